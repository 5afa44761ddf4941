import { afterEach, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { Random } from "../../support/simulation/random.ts";

/** Six weeks of projects that are well: in none of them is anybody alarmed, at night, on weekends or after a quiet day. */

const HOUR = 3_600_000;
const DAYS = 42;
/** A Monday. */
const START = Date.parse("2027-01-04T00:00:00Z");

let database: TestDatabase;
afterEach(() => database.drop());

/** How likely something comes in an hour of a project's, and how many events that are. */
type Rhythm = (hourOfDay: number, isWeekend: boolean) => { chance: number; events: number };

const projects: [name: string, rhythm: Rhythm][] = [
  ["all around the clock", () => ({ chance: 1, events: 12 })],
  [
    "in working hours alone",
    (hour, isWeekend) => ({ chance: isWeekend || hour < 8 || hour > 17 ? 0 : 0.8, events: 4 }),
  ],
  ["with a sale every other day", (hour) => ({ chance: hour < 7 || hour > 22 ? 0 : 0.04, events: 6 })],
];

/** What duebase-reconcile does: reads Stripe's events each hour, and compares each day. */
async function reconciled(hour: number, now: Date): Promise<void> {
  for (const kind of hour % 24 === 0 ? ["events", "comparison"] : ["events"]) {
    await database.sql`
      insert into billing.history_runs (kind, status, livemode, events_from, started_at, progressed_at, finished_at)
      values (${kind}, 'complete', false, ${now}, ${now}, ${now}, ${now})`;
  }
}

it.each(projects)("a project that sells %s", { timeout: 300_000 }, async (_name, rhythm) => {
  database = await createTestDatabase();
  const { sql } = database;
  await sql`select vault.create_secret('https://functions.test', 'duebase_functions_url')`;
  await sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
  await sql`select vault.create_secret('https://chat.test/hook', 'duebase_alert_webhook_url')`;
  const random = new Random(4711);
  let sent = 0;
  for (let hour = 0; hour < DAYS * 24; hour++) {
    const began = new Date(START + hour * HOUR);
    const { chance, events } = rhythm(hour % 24, hour % 168 >= 120);
    if (random.chance(chance)) {
      const at = new Date(began.getTime() + Math.floor(random.next() * (HOUR - 60_000)));
      const batch = Array.from({ length: events }, (_, n) => ({
        id: `evt_${hour}_${n}`,
        object: "event",
        type: "customer.created",
        created: Math.floor(at.getTime() / 1000),
        livemode: false,
        data: { object: { id: `cus_${hour}_${n}`, object: "customer" } },
      }));
      await database.asService(
        (service) => service`select billing.receive_events(${service.json(batch)}, ${at})`,
      );
      // Some come twice, as everywhere.
      if (random.chance(0.1)) await database.receive(batch[0] ?? {}, at);
      sent += events;
      // How long it took in truth is the machine's affair. Before the tick: that counts it, and an alarm would stay on record.
      await sql`truncate billing_private.slow_events`;
    }
    const now = new Date(began.getTime() + HOUR);
    if (hour % 24 === 0) await sql`select billing_private.make_payload_partitions(${now})`;
    await sql`update billing.tick_parts set last_tick_at = ${now} where part = 'alarms'`;
    await reconciled(hour, now);
    while ((await sql`select billing_private.count_hours(${now}) as more`)[0]?.more > 0);
    await sql`select billing_private.count_for_health_view(${now}), billing_private.tell_alarms(${now})`;
  }
  expect(sent).toBeGreaterThan(50);
  expect(await sql`select name, meaning, began_at from billing.alarms`).toEqual([]);

  // And it would be noticed: from now on nothing comes.
  const alarms = [];
  for (let hour = DAYS * 24 + 9; hour < (DAYS + 28) * 24 && alarms.length === 0; hour++) {
    const now = new Date(START + hour * HOUR);
    await sql`update billing.tick_parts set last_tick_at = ${now} where part = 'alarms'`;
    await reconciled(hour, now);
    await sql`select billing_private.make_payload_partitions(${now}), billing_private.tell_alarms(${now})`;
    alarms.push(...(await sql<{ name: string }[]>`select name from billing.alarms`));
  }
  expect(alarms.map(({ name }) => name)).toEqual(["silence"]);
});
