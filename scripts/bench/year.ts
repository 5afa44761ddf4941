/**
 * Fifteen months in time-lapse: events come in every day, the tick runs, what is old is purged. What is kept by age stops growing,
 * no piece of a purge holds anything for long, and the database that is full of it receives as fast as an empty one.
 */
import type { JSONValue, Sql } from "postgres";
import type Stripe from "stripe";
import { middle } from "./builds.ts";
import { billingEvents } from "./events.ts";
import { type BenchRow, percentile } from "./report.ts";
import { withServer } from "./server.ts";

const EVENTS_A_MONTH = Number(process.env.DUEBASE_BENCH_EVENTS ?? 10_000);
/** Longer than the ledger is kept, which is what is kept longest of what an event leaves. */
const MONTHS = 15;
const DAYS_A_MONTH = 30;
const BATCH = 70;
const DAY = 86_400_000;
const BEGIN = Date.parse("2026-01-01T03:00:00Z");
const ROUNDS = 30;
const LEAST_SHARE_OF_EMPTY = 0.9;
const MOST_MILLISECONDS_OF_A_PIECE = 1_000;

/** What is kept by age, and how long a month's rows of it stay, in months. */
const KEPT: { name: string; tables: string[]; months: number }[] = [
  { name: "payloads", tables: ["billing_private.webhook_payloads"], months: 5 },
  { name: "the ledger", tables: ["billing.webhook_events"], months: 14 },
  { name: "the outbox", tables: ["billing.outbox"], months: 5 },
];

/**
 * Takes about ten minutes, most of them to receive, with a server of its own in a temporary directory. `DUEBASE_BENCH_EVENTS` says how
 * many events a month has; a month of a large project is a million.
 */
export async function benchYear(): Promise<BenchRow[]> {
  return withServer({ fsync: false }, async ({ connect, install, copyDatabase }) => {
    await install("postgres");
    await copyDatabase("empty");
    const sql = connect("supabase_admin", "postgres");
    const year = await playMonths(sql);
    const left = await leftByAnEvent(sql);
    return [
      ...sizes(year),
      ...left,
      pieces(year),
      await besideEmpty(sql, connect("supabase_admin", "empty")),
    ];
  });
}

/** What an event leaves on the disk, indexes and all; in the tables named here, or in all others of ours. */
const LEFT_BY_AN_EVENT: { name: string; tables: string[] }[] = [
  { name: "its payload", tables: ["billing_private.webhook_payloads", "billing_private.kept_payloads"] },
  { name: "its row of the ledger", tables: ["billing.webhook_events"] },
  { name: "audit", tables: ["billing.audit_events"] },
  { name: "effects and emails", tables: ["billing.outbox", "billing.emails"] },
];

/** What was measured on the way. */
interface Year {
  /** Rows by month and table of `KEPT`. */
  rows: Map<string, number>[];
  /** Bytes of the whole database by month. */
  bytes: number[];
  /** Milliseconds of each transaction of the tick. */
  pieces: number[];
}

async function playMonths(sql: Sql): Promise<Year> {
  const year: Year = { rows: [], bytes: [], pieces: [] };
  const events = billingEvents("year");
  for (let day = 0; day < MONTHS * DAYS_A_MONTH; day++) {
    const now = new Date(BEGIN + day * DAY);
    for (let left = Math.round(EVENTS_A_MONTH / DAYS_A_MONTH); left > 0; left -= BATCH)
      await receive(sql, take(events, Math.min(BATCH, left), now), now);
    await endEffects(sql, now);
    await tick(sql, now, year.pieces);
    // As autovacuum does.
    if (day % 7 === 0) await sql`vacuum (analyze)`;
    if (day % DAYS_A_MONTH === DAYS_A_MONTH - 1) await measure(sql, year);
  }
  return year;
}

function take(events: Generator<Stripe.Event>, count: number, now: Date): Stripe.Event[] {
  return Array.from({ length: count }, () => ({
    ...(events.next().value as Stripe.Event),
    created: Math.floor(now.getTime() / 1000) - 1,
  }));
}

/** @throws Error where an event was not projected */
async function receive(sql: Sql, batch: Stripe.Event[], now: Date): Promise<void> {
  const [row] = await sql<
    { answers: string[] }[]
  >`select billing.receive_events(${sql.json(batch as unknown as JSONValue)}, ${now}) as answers`;
  const other = row?.answers.find((answer) => answer !== "processed");
  if (other) throw new Error(`an event of ${now.toISOString()} was answered ${other}`);
}

/** As if everything had been delivered; nobody is there to deliver to. */
async function endEffects(sql: Sql, now: Date): Promise<void> {
  await sql`
    update billing.outbox set status = 'delivered', finished_at = ${now}, attempts = 1 where status = 'pending'`;
}

/** Every transaction of one tick. */
async function tick(sql: Sql, now: Date, pieces: number[]): Promise<void> {
  for (let isDue = true; isDue; ) {
    const begun = performance.now();
    const [row] = await sql<{ is_due: boolean }[]>`
      select billing_private.advance_tick(${now}, ${now}, '1 hour') as is_due`;
    pieces.push(performance.now() - begun);
    isDue = row?.is_due ?? false;
  }
  const failed = await sql`select part, last_error from billing.tick_parts where failures > 0`;
  if (failed.length > 0) throw new Error(`parts of the tick failed: ${JSON.stringify(failed)}`);
}

async function measure(sql: Sql, year: Year): Promise<void> {
  const rows = new Map<string, number>();
  for (const { name, tables } of KEPT) {
    let count = 0;
    for (const table of tables) {
      const [row] = await sql.unsafe<{ count: number }[]>(`select count(*)::integer as count from ${table}`);
      count += row?.count ?? 0;
    }
    rows.set(name, count);
  }
  const [size] = await sql<{ bytes: string }[]>`select pg_database_size(current_database()) as bytes`;
  year.rows.push(rows);
  year.bytes.push(Number(size?.bytes));
}

/** Bytes by kind, of the events whose rows of it are still there. */
async function leftByAnEvent(sql: Sql): Promise<BenchRow[]> {
  const [all] = await sql<{ events: number; kept: number; payloads: number; bytes: string }[]>`
    select
      ${EVENTS_A_MONTH * MONTHS}::integer as events,
      (select count(*) from billing.webhook_events)::integer as kept,
      (select count(*) from billing_private.webhook_payloads)::integer
        + (select count(*) from billing_private.kept_payloads)::integer as payloads,
      (
        select sum(pg_total_relation_size(c.oid)) from pg_class as c
        where c.relkind = 'r' and c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      ) as bytes
  `;
  if (!all) throw new Error("the database does not count");
  const rows: BenchRow[] = [];
  let named = 0;
  for (const { name, tables } of LEFT_BY_AN_EVENT) {
    const [size] = await sql<{ bytes: string }[]>`
      select sum(pg_total_relation_size(p.relid)) as bytes
      from (
        select t.name as relid from unnest(${tables}::text[]::regclass[]) as t (name)
        union
        select p.relid from unnest(${tables}::text[]::regclass[]) as t (name) cross join lateral pg_partition_tree(t.name) as p
      ) as p`;
    const bytes = Number(size?.bytes);
    named += bytes;
    const events =
      name === "its payload" ? all.payloads : name === "its row of the ledger" ? all.kept : all.events;
    rows.push({ name: `left by an event: ${name}`, value: bytes / events, unit: "bytes" });
  }
  rows.push({
    name: "left by an event: all else, what it is about among it",
    value: (Number(all.bytes) - named) / all.events,
    unit: "bytes",
  });
  return rows;
}

function sizes({ rows, bytes }: Year): BenchRow[] {
  const kept = KEPT.map(({ name, months }): BenchRow => {
    const counts = rows.map((month) => month.get(name) ?? 0);
    // The most there ever was beside what so many months bring.
    const value = Math.max(...counts) / (counts[0] ?? Number.NaN);
    return {
      name: `${name} after ${MONTHS} months`,
      value,
      unit: "months of rows",
      target: `at most ${months}`,
      met: value <= months,
    };
  });
  const grown = (last: number, before: number) => (bytes[last] ?? Number.NaN) - (bytes[before] ?? Number.NaN);
  return [
    ...kept,
    {
      name: `the database after ${MONTHS} months of ${EVENTS_A_MONTH.toLocaleString("en-US")} events`,
      value: (bytes.at(-1) ?? Number.NaN) / 2 ** 20,
      unit: "MiB",
    },
    {
      name: "growth of the last month beside the first full one",
      value: grown(MONTHS - 1, MONTHS - 2) / 2 ** 20,
      unit: "MiB",
      ratio: grown(MONTHS - 1, MONTHS - 2) / grown(1, 0),
    },
  ];
}

function pieces({ pieces: taken }: Year): BenchRow {
  const value = percentile(taken, 1);
  return {
    name: `the longest of ${taken.length.toLocaleString("en-US")} transactions of the tick`,
    value,
    unit: "ms",
    target: `under ${MOST_MILLISECONDS_OF_A_PIECE} ms`,
    met: value < MOST_MILLISECONDS_OF_A_PIECE,
  };
}

async function besideEmpty(full: Sql, empty: Sql): Promise<BenchRow> {
  const now = new Date(BEGIN + MONTHS * DAYS_A_MONTH * DAY);
  const events = billingEvents("after");
  const ratios: number[] = [];
  const perSecond: number[] = [];
  for (let round = -3; round < ROUNDS; round++) {
    const batch = take(events, BATCH, now);
    const took = async (sql: Sql) => {
      const begun = performance.now();
      await receive(sql, batch, now);
      return performance.now() - begun;
    };
    // Each is first as often as the other.
    const first = round % 2 === 0 ? full : empty;
    const one = await took(first);
    const other = await took(first === full ? empty : full);
    const [ofFull, ofEmpty] = first === full ? [one, other] : [other, one];
    if (round < 0) continue;
    ratios.push(ofEmpty / ofFull);
    perSecond.push((BATCH * 1000) / ofFull);
  }
  const ratio = middle(ratios);
  return {
    name: `receive_events, ${BATCH} at a time, after ${MONTHS} months`,
    value: middle(perSecond),
    unit: "events/s",
    ratio,
    target: `at least ${LEAST_SHARE_OF_EMPTY} of an empty database`,
    met: ratio >= LEAST_SHARE_OF_EMPTY,
  };
}
