/**
 * What an event costs now, beside an older build: two databases on one server, one built from this work tree and one
 * from a commit of its history, that take turns in short rounds. Whatever else the machine does hits both.
 */
import type { JSONValue, Sql } from "postgres";
import { middle, withBuilds } from "./builds.ts";
import { billingEvents } from "./events.ts";
import type { BenchRow } from "./report.ts";

const ROUNDS = 120;
const ROUND_EVENTS = 28;
const WARM_UP_ROUNDS = 5;
const LEAST_SHARE = 0.95;

/** One build of the database, with events that are its own. */
interface Build {
  sql: Sql;
  events: ReturnType<typeof billingEvents>;
}

/** Events of one `receive_events`, and how much of the older build's rate, an event a transaction, is asked of it. */
const BATCHES = [
  { events: 70, least: 4.5 },
  { events: 14, least: 3.5 },
  { events: 7, least: 2.5 },
];
const BATCH_ROUNDS = 40;
const BATCH_ROUND_EVENTS = 70;

/** What one round of a build took. */
interface Round {
  milliseconds: number;
  walBytes: number;
}

/**
 * Receives and projects the same events in both builds, one a transaction, and then many a transaction in the current one.
 * Takes about two minutes, with a server of its
 * own (fsync on) in a temporary directory. Neither the work tree nor the repository is written to.
 *
 * @param commit whose migrations the older build is made of; any name that git knows it by
 * @throws Error where git knows no such commit, or where an event was not projected
 */
export function benchAgainst(commit: string): Promise<BenchRow[]> {
  return withBuilds(commit, { fsync: true }, async (connect) => {
    const older = { sql: connect("postgres", "older"), events: billingEvents("build") };
    const current = { sql: connect("postgres", "current"), events: billingEvents("build") };
    const rows = report(commit, await inTurns(older, current));
    for (const batch of BATCHES) rows.push(await batchBesideSingle(commit, batch, older, current));
    return rows;
  });
}

async function inTurns(older: Build, current: Build): Promise<[older: Round, current: Round][]> {
  const rounds: [Round, Round][] = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    let pair: [Round, Round];
    // Each is first as often as the other.
    if (round % 2 === 0) pair = [await deliver(older), await deliver(current)];
    else {
      const second = await deliver(current);
      pair = [await deliver(older), second];
    }
    if (round >= 0) rounds.push(pair);
  }
  for (const { sql } of [older, current]) {
    const [failed] =
      await sql`select event_id, error ->> 'message' as message from billing.failed_webhooks limit 1`;
    if (failed) throw new Error(`bench event ${failed.event_id} was not projected: ${failed.message}`);
  }
  return rounds;
}

async function deliver({ sql, events }: Build): Promise<Round> {
  const batch = Array.from({ length: ROUND_EVENTS }, () => events.next().value);
  const before = await walPosition(sql);
  const started = performance.now();
  for (const event of batch) await sql`select billing.receive_event(${sql.json(event as JSONValue)})`;
  return { milliseconds: performance.now() - started, walBytes: (await walPosition(sql)) - before };
}

async function batchBesideSingle(
  commit: string,
  { events, least }: (typeof BATCHES)[number],
  older: Build,
  current: Build,
): Promise<BenchRow> {
  const rounds: { ratio: number; perEvent: number }[] = [];
  for (let round = -WARM_UP_ROUNDS; round < BATCH_ROUNDS; round++) {
    const single = (await deliver(older)).milliseconds / ROUND_EVENTS;
    const perEvent = await deliverInBatches(current, events);
    if (round >= 0) rounds.push({ ratio: single / perEvent, perEvent });
  }
  const ratio = middle(rounds.map((round) => round.ratio));
  return {
    name: `receive_events, ${events} at a time`,
    value: 1000 / middle(rounds.map((round) => round.perEvent)),
    unit: "events/s",
    ratio,
    target: `at least ${least} of ${commit}, one at a time`,
    met: ratio >= least,
  };
}

/** Milliseconds an event. */
async function deliverInBatches({ sql, events }: Build, size: number): Promise<number> {
  const batches = Array.from({ length: BATCH_ROUND_EVENTS / size }, () =>
    Array.from({ length: size }, () => events.next().value as unknown as JSONValue),
  );
  const started = performance.now();
  for (const batch of batches) {
    const [row] = await sql<
      { answers: string[] }[]
    >`select billing.receive_events(${sql.json(batch)}) as answers`;
    const other = row?.answers.find((answer) => answer !== "processed");
    if (other) throw new Error(`an event of a batch was answered ${other}`);
  }
  return (performance.now() - started) / BATCH_ROUND_EVENTS;
}

async function walPosition(sql: Sql): Promise<number> {
  const [row] = await sql<{ bytes: string }[]>`select pg_current_wal_insert_lsn() - '0/0' as bytes`;
  return Number(row?.bytes);
}

function report(commit: string, rounds: [older: Round, current: Round][]): BenchRow[] {
  const time = (build: 0 | 1) => middle(rounds.map((pair) => pair[build].milliseconds)) / ROUND_EVENTS;
  const wal = (build: 0 | 1) => middle(rounds.map((pair) => pair[build].walBytes)) / ROUND_EVENTS;
  const ratios = rounds.map(([before, now]) => before.milliseconds / now.milliseconds).sort((a, b) => a - b);
  const ratio = middle(ratios);
  // The ranks between which a median lies with 95 % confidence, whatever the distribution is.
  const spread = 0.98 * Math.sqrt(ratios.length);
  const bound = (rank: number) => (ratios[Math.round(rank)] ?? Number.NaN).toFixed(2);
  const noise = `${bound(ratios.length / 2 - spread)} to ${bound(ratios.length / 2 + spread)}`;
  return [
    { name: `receive + project, ${commit}`, value: 1000 / time(0), unit: "events/s" },
    {
      name: `receive + project, now (${noise} by noise)`,
      value: 1000 / time(1),
      unit: "events/s",
      ratio,
      target: `at least ${LEAST_SHARE} of ${commit}`,
      met: ratio >= LEAST_SHARE,
    },
    { name: `WAL of an event, ${commit}`, value: wal(0), unit: "bytes" },
    { name: "WAL of an event, now", value: wal(1), unit: "bytes", ratio: wal(1) / wal(0) },
  ];
}
