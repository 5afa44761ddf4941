import type { Sql } from "postgres";
import type { TestDatabase } from "../database.ts";
import { inLanes } from "../simulation/lanes.ts";
import { Random } from "../simulation/random.ts";
import type { Account, Step } from "./account.ts";
import {
  deliverInParallel,
  deliverInSequence,
  retag,
  runMinutelyJobs,
  type Tally,
  withDeliveryFaults,
} from "./delivery.ts";
import { makeHistory, NO_TAG } from "./history.ts";
import { readStates, type State } from "./state.ts";
import { VISIBLE_METADATA } from "./truth.ts";

/** One history and the orders in which it is delivered. The first is the true one, without repetition. */
export interface Played {
  seed: number;
  account: Account;
  orders: Step[][];
}

/** The results of delivering many histories in several orders each. A run is the number of an order. */
export interface Play {
  histories: Played[];
  /** The last run, delivered over several connections at once. */
  parallelRun: number;
  tally: Tally;
  /** When the histories began to be delivered (Unix seconds). */
  ranAt: number;
  /** Seconds that each part of it took. */
  laps: Record<string, number>;
  stateOf(run: number, history: number): State | undefined;
  /** `object second` of every read of Stripe that is owed. */
  askedOf(run: number, history: number): Set<string>;
  /** The state after Stripe has answered them all. */
  finalStateOf(run: number, history: number): State | undefined;
}

/** The tag of one delivery of one history: eight hexadecimal digits. */
const tagOf = (run: number, history: number) =>
  `d${run.toString(16)}${history.toString(16).padStart(6, "0")}`;

/**
 * Makes `count` histories from consecutive seeds and delivers each into one database, each time under ids of its own:
 * once in order, in `shuffles` random orders with repetitions one by one, and in one more order over `connections`
 * connections at once.
 */
export async function play(
  database: TestDatabase,
  options: { seed: number; count: number; shuffles: number; connections: number },
): Promise<Play> {
  const histories = Array.from({ length: options.count }, (_, index): Played => {
    const account = makeHistory(options.seed + index);
    const random = new Random((options.seed + index) ^ 0x5bd1e995);
    const disturbed = Array.from({ length: options.shuffles + 1 }, () =>
      withDeliveryFaults(random, account.steps),
    );
    return { seed: options.seed + index, account, orders: [account.steps, ...disturbed] };
  });
  const parallelRun = options.shuffles + 1;
  const deliveries = histories.map(({ orders }, history) =>
    orders.map((steps, run) => ({ tag: tagOf(run, history), steps })),
  );

  await database.sql`update billing.settings set visible_metadata = ${VISIBLE_METADATA} where id`;
  const ranAt = Date.now() / 1000;
  const watch = stopwatch();
  const tallies: Tally[] = [];
  const oneByOne = deliveries.flatMap((runs) => runs.slice(0, parallelRun));
  const idle = [database.connect(), database.connect()];
  await inLanes(idle.length, oneByOne, async (delivery) => {
    const sql = idle.pop() as Sql;
    tallies.push(await deliverInSequence(sql, delivery));
    idle.push(sql);
  });
  watch.lap("one by one");
  const connections = Array.from({ length: options.connections }, () => database.connect());
  const atOnce = deliveries.flatMap((runs) => runs.slice(parallelRun));
  tallies.push(await deliverInParallel(connections, atOnce));
  watch.lap(`${options.connections} at once`);
  await runMinutelyJobs(database.sql);
  const states = await readStates(database.sql);
  const asked = await readAsked(database);
  watch.lap("read back");
  await answer(database, asked, (tag) => histories[Number.parseInt(tag.slice(2), 16)]?.account);
  const final = await readStates(database.sql);
  watch.lap("final");

  const tally: Tally = {};
  for (const one of tallies)
    for (const [outcome, times] of Object.entries(one) as [keyof Tally, number][])
      tally[outcome] = (tally[outcome] ?? 0) + times;
  return {
    histories,
    parallelRun,
    tally,
    ranAt,
    laps: watch.laps,
    stateOf: (run, history) => states.get(tagOf(run, history)),
    finalStateOf: (run, history) => final.get(tagOf(run, history)),
    askedOf: (run, history) => asked.get(tagOf(run, history)) ?? new Set(),
  };
}

async function readAsked(database: TestDatabase): Promise<Map<string, Set<string>>> {
  const rows = await database.sql<{ key: string }[]>`
    select dedupe_key as key from billing.outbox
    where kind = 'refresh' and status = 'pending' and dedupe_key like 'refresh:%' -- not what was never seen
  `;
  const asked = new Map<string, Set<string>>();
  for (const { key } of rows) {
    const [, id = "", second] = key.split(":");
    const tag = /_([0-9a-f]{8})x/.exec(id)?.[1] ?? "";
    const seconds = asked.get(tag) ?? new Set();
    asked.set(tag, seconds.add(`${retag(id, tag, NO_TAG)} ${second}`));
  }
  return asked;
}

/** Answers every read that the database asked for with the object at Stripe, a minute after the last event. */
async function answer(
  database: TestDatabase,
  asked: Map<string, Set<string>>,
  accountOf: (tag: string) => Account | undefined,
): Promise<void> {
  const answers: { object: string; at: number }[] = [];
  for (const [tag, seconds] of asked) {
    const account = accountOf(tag);
    if (!account) throw new Error(`no history has the tag ${tag}`);
    for (const id of new Set([...seconds].map((second) => second.split(" ")[0] ?? ""))) {
      const object = account.asAnswered(id);
      answers.push({ object: retag(JSON.stringify(object), NO_TAG, tag), at: account.now + 60 });
    }
  }
  const outcomes = await database.sql<{ outcome: string; count: number }[]>`
    select billing.apply_refresh(answer.object::jsonb, to_timestamp(answer.at)) as outcome, count(*)::integer as count
    from jsonb_to_recordset(${JSON.stringify(answers)}::text::jsonb) as answer (object text, at double precision)
    group by 1
  `;
  const unapplied = outcomes.filter(({ outcome }) => outcome !== "applied" && outcome !== "stale");
  if (unapplied.length > 0)
    throw new Error(`Stripe's answers were not applied: ${JSON.stringify(unapplied)}`);
}

function stopwatch() {
  const laps: Record<string, number> = {};
  let from = performance.now();
  return {
    laps,
    lap(name: string) {
      laps[name] = Math.round((performance.now() - from) / 100) / 10;
      from = performance.now();
    },
  };
}
