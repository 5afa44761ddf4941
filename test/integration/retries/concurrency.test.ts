import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "postgres";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import {
  after,
  breakHandler,
  customerEvent,
  installHandler,
  mendHandler,
  minutes,
  replay,
} from "./handlers.ts";

const start = new Date("2026-11-01T12:00:00Z");
const due = after(start, minutes(2));

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await installHandler(database);
});
beforeEach(async () => {
  await mendHandler(database);
  await database.sql`truncate app.runs`;
});
afterAll(() => database.drop());

/** Stores events that fail, so that all are due two minutes later, and mends their cause. */
async function failThenMend(names: string[]): Promise<void> {
  await breakHandler(database, { customer: "*", sqlstate: "AP001" });
  for (const name of names) await database.receive(customerEvent(name), start);
  await mendHandler(database);
}

const left = () => database.sql`
  select event_id, status, attempts, error ->> 'sqlstate' as sqlstate
  from billing.failed_webhooks
  where status <> 'resolved'
`;

/** What cron's command does: one after the other, each by itself, until nothing is due. */
async function retryAll(sql: Sql): Promise<void> {
  while ((await sql`select billing.retry_failed_webhook(${due}) as was_tried`)[0]?.was_tried);
}

test("many retry runs at once try each event once, and none twice at the same time", async () => {
  const names = Array.from({ length: 60 }, (_, number) => `shared_${number}`);
  await failThenMend(names);
  await breakHandler(database, { customer: "*", seconds: 0.005 });
  const runners = Array.from({ length: 8 }, () => database.connect());
  for (let round = 0; round < 10 && (await left()).length > 0; round++) {
    await Promise.all(runners.map((sql) => retryAll(sql)));
  }
  expect(await left()).toEqual([]);
  const runs = await database.sql`select times, count(*)::int from app.runs group by times`;
  expect(runs).toEqual([{ times: 1, count: names.length }]);
});

test("a call tries one event, however many are due: each has a transaction of its own", async () => {
  await failThenMend(["one_1", "one_2", "one_3"]);
  await database.sql`select billing.retry_failed_webhook(${due})`;
  expect(await left()).toHaveLength(2);
  await retryAll(database.sql);
  expect(await left()).toEqual([]);
});

test("retries, replays and repeated deliveries of the same events at once: each is projected once", async () => {
  const names = Array.from({ length: 20 }, (_, number) => `mixed_${number}`);
  await failThenMend(names);
  await breakHandler(database, { customer: "*", seconds: 0.01 });
  const runners = Array.from({ length: 3 }, () => database.connect());
  await Promise.all([
    ...runners.map((sql) => retryAll(sql)),
    ...names.map((name) => replay(database, `evt_${name}`, due)),
    ...names.map((name) => database.receive(customerEvent(name), due)),
  ]);
  for (const sql of runners) await retryAll(sql);
  expect(await left()).toEqual([]);
  expect(await database.sql`select times, count(*)::int from app.runs group by times`).toEqual([
    { times: 1, count: names.length },
  ]);
});

/** Makes every failed event due now, in the order of these names, and returns the command cron runs every minute. */
async function makeDue(order: string[]): Promise<string> {
  for (const [position, name] of order.entries()) {
    await database.sql`
      update billing.failed_webhooks
      set next_attempt_at = now() - interval '1 hour' + ${position} * interval '1 second'
      where event_id = ${`evt_${name}`}
    `;
  }
  const [job] = await database.sql<
    { command: string }[]
  >`select command from cron.job where jobname = 'duebase-tick'`;
  if (!job) throw new Error("the tick is not scheduled");
  return job.command;
}

/** The same retries by somebody else, as ticks do not run at the same time. */
const RETRIES = "do $$ begin while billing.retry_failed_webhook(now()) loop commit; end loop; end $$";

test("runs that meet the same customers in opposite order do not wait for each other in a circle", async () => {
  // Two events of each customer, the second ones in reverse; 0.1 s each, so that the runs overlap all the time.
  const customers = ["one", "two", "three", "four"];
  const names = [
    ...customers.map((name) => `up_${name}`),
    ...customers.toReversed().map((name) => `down_${name}`),
  ];
  await breakHandler(database, { customer: "*", sqlstate: "AP001" });
  for (const name of names) {
    const customer = customerEvent(name.replace(/^(up|down)_/, "circle_"));
    await database.receive({ ...customer, id: `evt_${name}` }, start);
  }
  await mendHandler(database);
  await breakHandler(database, { customer: "*", seconds: 0.1 });
  const tick = await makeDue(names);
  await Promise.all([tick, RETRIES].map((command) => database.connect().unsafe(command)));
  expect(await left()).toEqual([]);
});

test("while a run is busy with one event, the customers it has done with are served", async () => {
  await failThenMend(["done_first", "takes_long"]);
  await breakHandler(database, { customer: "cus_takes_long", seconds: 5 });
  const tick = await makeDue(["done_first", "takes_long"]);
  const running = database.connect().unsafe(tick).execute();
  await until(async () => (await left()).length === 1);

  const begun = performance.now();
  const event = customerEvent("done_first", {
    id: "evt_done_first_next",
    type: "customer.updated",
    created: 1_790_000_100,
  });
  expect(await database.receive(event)).toBe("processed");
  expect(performance.now() - begun, "without waiting for the run").toBeLessThan(2_000);
  expect(await left(), "which is still busy").toHaveLength(1);
  await running;
  expect(await left()).toEqual([]);
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("it did not happen within 10 s");
    await delay(20);
  }
}
