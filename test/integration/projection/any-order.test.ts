import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import type { Account, Happening } from "../../support/histories/account.ts";
import {
  type Delivery,
  deliverInParallel,
  deliverInSequence,
  runMinutelyJobs,
  storm,
  type Tally,
} from "../../support/histories/delivery.ts";
import { makeHistory } from "../../support/histories/history.ts";
import { Random } from "../../support/histories/random.ts";
import { difference, readStates, type State } from "../../support/histories/state.ts";

/** DUEBASE_SEED replays a run; DUEBASE_HISTORIES makes it longer or shorter. */
const SEED = Number(process.env.DUEBASE_SEED ?? Date.now() % 1_000_000_000);
const COUNT = Number(process.env.DUEBASE_HISTORIES ?? 200);
const SHUFFLES = 2;
const CONNECTIONS = 8;

const IN_ORDER = 0;
const PARALLEL = SHUFFLES + 1;

/** The tag of one delivery of one history: eight hexadecimal digits. */
const tagOf = (run: number, history: number) =>
  `d${run.toString(16)}${history.toString(16).padStart(6, "0")}`;

interface Played {
  seed: number;
  account: Account;
  orders: Happening[][];
}

let database: TestDatabase;
let played: Played[];
let states: Map<string, State>;
const tallies: Tally[] = [];

beforeAll(async () => {
  console.log(`histories: DUEBASE_SEED=${SEED} DUEBASE_HISTORIES=${COUNT}`);
  database = await createTestDatabase();
  played = Array.from({ length: COUNT }, (_, index) => {
    const seed = SEED + index;
    const account = makeHistory(seed);
    const random = new Random(seed ^ 0x5bd1e995);
    const storms = Array.from({ length: SHUFFLES + 1 }, () => storm(random, account.happenings));
    return { seed, account, orders: [account.happenings, ...storms] };
  });
  const started = performance.now();
  const oneByOne: Delivery[] = played.flatMap(({ orders }, history) =>
    orders.slice(0, PARALLEL).map((happenings, run) => ({ tag: tagOf(run, history), happenings })),
  );
  await Promise.all(
    [0, 1].map(async (half) => {
      const sql = database.connect();
      for (const delivery of oneByOne.filter((_, index) => index % 2 === half))
        tallies.push(await deliverInSequence(sql, delivery));
    }),
  );
  const sequential = performance.now();
  const connections: Sql[] = Array.from({ length: CONNECTIONS }, () => database.connect());
  const atOnce = played.map(({ orders }, history) => ({
    tag: tagOf(PARALLEL, history),
    happenings: orders[PARALLEL] ?? [],
  }));
  tallies.push(await deliverInParallel(connections, atOnce));
  const parallel = performance.now();
  await runMinutelyJobs(database.sql);
  states = await readStates(database.sql);
  const read = performance.now();
  const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(1)} s`;
  console.log(
    `one by one ${seconds(started, sequential)}, in parallel ${seconds(sequential, parallel)}, read ${seconds(parallel, read)}`,
  );
}, 300_000);
afterAll(() => database?.drop());

/** The orders that end in another state than the one true order, with what differs. */
function differing(run: number): string[] {
  return played.flatMap(({ seed }, history) => {
    const lines = difference(states.get(tagOf(IN_ORDER, history)), states.get(tagOf(run, history)));
    return lines.length > 0 ? [`seed ${seed}, run ${run}:\n${lines.join("\n")}`] : [];
  });
}

describe("any order, any repetition", () => {
  it("fails no event", async () => {
    const failed = await database.sql`select event_id, status, error from billing.failed_webhooks limit 5`;
    expect(failed).toEqual([]);
  });

  it.each(Array.from({ length: SHUFFLES }, (_, index) => index + 1))(
    "shuffled, one by one, ends in the state of the true order (%i)",
    (run) => {
      expect(differing(run).slice(0, 3)).toEqual([]);
    },
  );

  it("eight at a time ends in the state of the true order", () => {
    expect(differing(PARALLEL).slice(0, 3)).toEqual([]);
  });
});
