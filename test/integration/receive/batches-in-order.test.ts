import type { Sql } from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import type { Step } from "../../support/histories/account.ts";
import { applyStep, retag, withDeliveryFaults, withhold } from "../../support/histories/delivery.ts";
import { makeHistory, NO_TAG } from "../../support/histories/history.ts";
import { difference, readStates } from "../../support/histories/state.ts";
import { VISIBLE_METADATA } from "../../support/histories/truth.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";

// A batch is projected as sets. What it comes to is what its events come to one by one in the same order: not the rows
// alone, but every effect that was enqueued on the way, every case of dunning that opened and closed, every fact on record.

/** DUEBASE_SEED replays a run; DUEBASE_ORDERED_HISTORIES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_ORDERED_HISTORIES ?? 24);
/** As many are mixed in one stream of batches. */
const MIXED = 12;
const NOW = "2026-11-01T12:00:00Z";

type Tagged = { tag: string; step: Step };
type Sent = { event: string } | { other: Tagged };

/** What is compared beside the state: rows in full, without the numbers that rows get in the order in which they are made. */
const EFFECTS: Record<string, string[]> = {
  outbox: ["id", "created_at", "run_after", "finished_at"],
  audit_events: ["id", "recorded_at", "occurred_at"],
  dunning_cases: ["id", "updated_at"],
  dunning_actions: ["id", "case_id", "outbox_id", "anchor_at"],
  dunning_case_invoices: ["case_id"],
  dunning_resumptions: ["id", "case_id", "outbox_id"],
  entitlement_versions: ["updated_at"],
  failed_webhooks: ["first_failed_at", "last_failed_at", "resolved_at"],
};

let together: TestDatabase;
let alone: TestDatabase;
const tally = { batches: 0, events: 0, processed: 0 };

beforeAll(
  async () => {
    [together, alone] = [await createTestDatabase(), await createTestDatabase()];
    for (const { sql } of [together, alone])
      await sql`update billing.settings set visible_metadata = ${VISIBLE_METADATA}, mode = 'live' where id`;
    const [batches, single] = [together.connect(), alone.connect()];
    for (let first = 0; first < COUNT; first += MIXED) {
      const random = new Random(SEED + first);
      const stream = mixed(random, first, Math.min(MIXED, COUNT - first));
      await deliverOneByOne(single, await deliverInBatchesInOrder(batches, random, stream));
    }
    console.log(
      `${COUNT} histories, ${JSON.stringify(tally)}; replay: DUEBASE_SEED=${SEED} DUEBASE_ORDERED_HISTORIES=${COUNT}`,
    );
  },
  Math.max(600_000, COUNT * 10_000),
);
afterAll(async () => {
  await together?.drop();
  await alone?.drop();
});

it("ends in the rows of one by one in that order", {
  timeout: Math.max(120_000, COUNT * 1_000),
}, async () => {
  const [expected, actual] = [await readStates(alone.sql), await readStates(together.sql)];
  const differing = [...expected.keys()].flatMap((tag) => {
    const lines = difference(expected.get(tag), actual.get(tag));
    return lines.length > 0 ? [`${tag}:`, ...lines] : [];
  });
  expect(differing.slice(0, 40)).toEqual([]);
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
});

it.each(Object.entries(EFFECTS))("leaves the %s of one by one in that order", async (table, numbers) => {
  const read = async (sql: Sql) =>
    (
      await sql<{ row: string }[]>`
        select (to_jsonb(t) - ${numbers}::text[])::text as row from ${sql(`billing.${table}`)} as t`
    )
      // The number of a case, in keys and payloads; and the server's clock, by which reads and replays go. Stripe's times are
      // whole seconds.
      .map(({ row }) =>
        row
          .replaceAll(/\b(recovered:|case"?: ?|dunning:)\d+/g, "$1#")
          .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00/g, "now")
          .replaceAll(/\b\d{10}\.\d+/g, "now"),
      )
      .sort();
  const [expected, actual] = [await read(alone.sql), await read(together.sql)];
  const missing = expected.filter((row) => !actual.includes(row));
  const added = actual.filter((row) => !expected.includes(row));
  expect({ missing: missing.slice(0, 5), added: added.slice(0, 5) }).toEqual({ missing: [], added: [] });
  expect(actual).toHaveLength(expected.length);
});

it("projects much of what it receives in sets", async () => {
  // What one subtransaction stored has one xmin.
  const [stored] = await together.sql<{ in_sets: number }[]>`
    select sum(events)::integer as in_sets
    from (select count(*) as events from billing.webhook_events group by xmin::text) as t where events > 1`;
  expect(tally.processed).toBeGreaterThan(tally.events / 2);
  expect(stored?.in_sets).toBeGreaterThan(tally.processed / 4);
});

/** The steps of some histories, in random order among each other, each history's in the order in which they are delivered. */
function mixed(random: Random, first: number, count: number): Tagged[] {
  const queues = Array.from({ length: count }, (_, index) => {
    const { steps } = makeHistory(SEED + first + index);
    // In their order, or as Stripe delivers at its worst.
    const delivered = random.chance(0.5) ? [...steps] : withDeliveryFaults(random, steps);
    return { tag: `c0${(first + index).toString(16).padStart(6, "0")}`, steps: delivered };
  });
  const stream: Tagged[] = [];
  for (;;) {
    const waiting = queues.filter(({ steps }) => steps.length > 0);
    if (waiting.length === 0) return stream;
    const { tag, steps } = random.pick(waiting);
    stream.push({ tag, step: steps.shift() as Step });
  }
}

/** Returns what was sent, in the order in which it took effect: what leaves a batch is sent alone after it. */
async function deliverInBatchesInOrder(sql: Sql, random: Random, stream: Tagged[]): Promise<Sent[]> {
  const took: Sent[] = [];
  let events: string[] = [];
  const send = async () => {
    if (events.length === 0) return;
    const sent = events;
    events = [];
    const [row] = await sql<{ answers: string[] }[]>`
      select billing.receive_events(${`[${sent.join(",")}]`}::text::jsonb, ${NOW}) as answers`;
    const answers = row?.answers ?? [];
    tally.batches++;
    tally.events += sent.length;
    const left = sent.filter((_, position) => answers[position] === "retry_single");
    tally.processed += answers.filter((answer) => answer === "processed").length;
    for (const [position, event] of sent.entries())
      if (answers[position] !== "retry_single") took.push({ event });
    for (const event of left) {
      await sql`select billing.receive_event(${event}::text::jsonb, ${NOW})`;
      took.push({ event });
    }
  };
  let size = random.int(2, 100);
  for (const { tag, step } of stream) {
    if (step.kind === "event" && !step.isWithheld) {
      events.push(retag(JSON.stringify(step.event), NO_TAG, tag));
      if (events.length < size) continue;
      size = random.int(2, 100);
      await send();
    } else {
      await send();
      await apply(sql, { tag, step });
      took.push({ other: { tag, step } });
    }
  }
  await send();
  return took;
}

async function deliverOneByOne(sql: Sql, took: Sent[]): Promise<void> {
  for (const sent of took) {
    if ("event" in sent) await sql`select billing.receive_event(${sent.event}::text::jsonb, ${NOW})`;
    else await apply(sql, sent.other);
  }
}

async function apply(sql: Sql, { tag, step }: Tagged): Promise<void> {
  if (step.kind === "event") await withhold(sql, retag(JSON.stringify(step.event), NO_TAG, tag));
  else await applyStep(sql, step, tag);
}
