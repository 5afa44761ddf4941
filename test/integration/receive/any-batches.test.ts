import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type BatchesTally, deliverInBatches } from "../../support/histories/batches.ts";
import { deliverInSequence, runMinutelyJobs, withDeliveryFaults } from "../../support/histories/delivery.ts";
import { makeHistory } from "../../support/histories/history.ts";
import { difference, readStates } from "../../support/histories/state.ts";
import { VISIBLE_METADATA } from "../../support/histories/truth.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";

// However a history is split into batches, in any order, repeated, several batches at once and with single events in
// between: it ends in the rows of its events received one by one in their true order.

/** DUEBASE_SEED replays a run, as far as the order goes; DUEBASE_BATCHED_HISTORIES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_BATCHED_HISTORIES ?? 40);
const CONNECTIONS = 8;

const histories = Array.from({ length: COUNT }, (_, index) => {
  const { steps } = makeHistory(SEED + index);
  return { seed: SEED + index, steps, disturbed: withDeliveryFaults(new Random(SEED + index), steps) };
});
const tagOf = (run: "0" | "1", history: number) => `b${run}${history.toString(16).padStart(6, "0")}`;

let database: TestDatabase;
let tally: BatchesTally;

beforeAll(
  async () => {
    database = await createTestDatabase();
    await database.sql`update billing.settings set visible_metadata = ${VISIBLE_METADATA} where id`;
    const oneByOne = database.connect();
    for (const [index, { steps }] of histories.entries())
      await deliverInSequence(oneByOne, { tag: tagOf("0", index), steps });
    const connections = Array.from({ length: CONNECTIONS }, () => database.connect());
    const deliveries = histories.map(({ disturbed }, index) => ({
      tag: tagOf("1", index),
      steps: disturbed,
    }));
    const begun = performance.now();
    tally = await deliverInBatches(connections, deliveries, new Random(SEED));
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    console.log(
      `${COUNT} histories, ${JSON.stringify(tally)}, ${seconds} s; replay: DUEBASE_SEED=${SEED} DUEBASE_BATCHED_HISTORIES=${COUNT}`,
    );
    await runMinutelyJobs(database.sql);
  },
  Math.max(600_000, COUNT * 10_000),
);
afterAll(() => database?.drop());

it("ends in the rows of one by one", { timeout: Math.max(120_000, COUNT * 1_000) }, async () => {
  const states = await readStates(database.sql);
  const differing = histories.flatMap(({ seed }, index) => {
    const lines = difference(states.get(tagOf("0", index)), states.get(tagOf("1", index)));
    return lines.length > 0 ? [`seed ${seed}:`, ...lines] : [];
  });
  expect(differing.slice(0, 40)).toEqual([]);
});

it("stores each event once, counts each repetition and fails none", async () => {
  const sent = histories.map(({ disturbed }) => disturbed.filter(({ kind }) => kind === "event"));
  const distinct = sent.reduce((sum, events) => sum + new Set(events).size, 0);
  const all = sent.reduce((sum, events) => sum + events.length, 0);
  const [stored] = await database.sql`
    select
      (select count(*)::integer from billing.webhook_events where id ~ '_b1[0-9a-f]{6}x') as events,
      (select count(*)::integer from billing.webhook_duplicates) as duplicates
  `;
  expect(stored).toEqual({ events: distinct, duplicates: all - distinct });
  const { processed = 0, quarantined = 0, duplicate, failed } = tally.outcomes;
  expect({ first: processed + quarantined, duplicate, failed }).toEqual({
    first: distinct,
    duplicate: all - distinct,
    failed: undefined,
  });
  expect(
    await database.sql`select event_id, error from billing.failed_webhooks where status <> 'resolved' limit 5`,
  ).toEqual([]);
});

it("receives most of them in batches, and finds no deadlock", async () => {
  expect(tally.batches).toBeGreaterThan(COUNT / 10);
  expect(tally.left).toBeLessThan(tally.inBatches / 2);
  expect(tally.rolledBack).toBeGreaterThan(0);
  const [counted] = await database.sql<{ deadlocks: number }[]>`
    select deadlocks::integer from pg_stat_database where datname = current_database()`;
  expect(counted?.deadlocks).toBe(0);
});
