/**
 * What the database does with an event, beside the least it could do: store the same payload in a bare table.
 * The subjects take turns in short rounds on one server, so that whatever else the machine does hits both.
 */
import type postgres from "postgres";
import type Stripe from "stripe";
import { billingEvents } from "./events.ts";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const ROUNDS = 40;
const ROUND_EVENTS = 70;
// Plans and pages are warm before time counts.
const WARM_UP_EVENTS = 70;
const LEAST_SHARE_OF_BARE = 0.45;
const LEAST_GAIN_OF_DUPLICATE = 5;
const LEAST_SHARE_OF_DISTINCT = 0.7;

type Subject = (event: Stripe.Event) => Promise<unknown>;

/** Takes about a minute, with a server of its own (fsync on) in a temporary directory. */
export async function benchDatabase(): Promise<BenchRow[]> {
  return withServer({ fsync: true }, async ({ connect, install }) => {
    await install("postgres");
    const sql = connect("postgres", "postgres");
    await sql`create table public.bare_payloads (id text primary key, payload jsonb not null)`;
    return [
      ...(await receiveAgainstBare(sql)),
      ...(await duplicateAgainstNew(sql)),
      ...(await hotCustomer(sql)),
    ];
  });
}

async function receiveAgainstBare(sql: postgres.Sql): Promise<BenchRow[]> {
  const [bare, received] = await inTurns([
    [
      billingEvents("bare"),
      (event) => sql`insert into public.bare_payloads values (${event.id}, ${json(sql, event)})`,
    ],
    [billingEvents("full"), receive(sql)],
  ]);
  await expectAllProcessed(sql);
  const ratio = bare / received;
  return [
    { name: "bare single-row insert of the payload", value: 1000 / bare, unit: "rows/s" },
    {
      name: "receive + project",
      value: 1000 / received,
      unit: "events/s",
      ratio,
      target: `at least ${LEAST_SHARE_OF_BARE} of bare inserts`,
      met: ratio >= LEAST_SHARE_OF_BARE,
    },
  ];
}

/** What the server spends on each: the time of a call less that of one which brings the same payload for nothing. */
async function duplicateAgainstNew(sql: postgres.Sql): Promise<BenchRow[]> {
  const [nothing, first, repeated] = await inTurns([
    [billingEvents("idle"), (event) => sql`select ${json(sql, event)}::jsonb is null`],
    [billingEvents("new"), receive(sql)],
    // The same ids as receiveAgainstBare delivered.
    [billingEvents("full"), receive(sql)],
  ]);
  const [counted] = await sql<
    { duplicates: number }[]
  >`select count(*)::int as duplicates from billing.webhook_duplicates`;
  if (counted?.duplicates !== ROUNDS * ROUND_EVENTS + WARM_UP_EVENTS)
    throw new Error(`not all were duplicates: ${counted?.duplicates}`);
  const ratio = (first - nothing) / (repeated - nothing);
  return [
    {
      name: "a duplicate",
      value: 1000 / repeated,
      unit: "events/s",
      ratio,
      target: `at least ${LEAST_GAIN_OF_DUPLICATE} times cheaper than a new event`,
      met: ratio >= LEAST_GAIN_OF_DUPLICATE,
    },
  ];
}

async function hotCustomer(sql: postgres.Sql): Promise<BenchRow[]> {
  const [distinct, hot] = await inTurns([
    [billingEvents("distinct"), receive(sql)],
    [billingEvents("hot", "one"), receive(sql)],
  ]);
  await expectAllProcessed(sql);
  const ratio = distinct / hot;
  return [
    {
      name: `${ROUNDS * ROUND_EVENTS} events of one customer`,
      value: 1000 / hot,
      unit: "events/s",
      ratio,
      target: `at least ${LEAST_SHARE_OF_DISTINCT} of distinct customers`,
      met: ratio >= LEAST_SHARE_OF_DISTINCT,
    },
  ];
}

/** Milliseconds per event of each subject, which are given their own events and take turns. */
async function inTurns<Subjects extends [Iterator<Stripe.Event>, Subject][]>(
  subjects: [...Subjects],
): Promise<{ [index in keyof Subjects]: number }> {
  const spent = subjects.map(() => 0);
  for (const [events, subject] of subjects) {
    for (const event of take(events, WARM_UP_EVENTS)) await subject(event);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [events, subject]] of subjects.entries()) {
      const batch = take(events, ROUND_EVENTS);
      const started = performance.now();
      for (const event of batch) await subject(event);
      spent[index] = (spent[index] ?? 0) + performance.now() - started;
    }
  }
  return spent.map((milliseconds) => milliseconds / (ROUNDS * ROUND_EVENTS)) as {
    [index in keyof Subjects]: number;
  };
}

function take(events: Iterator<Stripe.Event>, count: number): Stripe.Event[] {
  return Array.from({ length: count }, () => events.next().value as Stripe.Event);
}

function receive(sql: postgres.Sql): Subject {
  return (event) => sql`select billing.receive_event(${json(sql, event)})`;
}

function json(sql: postgres.Sql, event: Stripe.Event): postgres.Parameter {
  return sql.json(event as unknown as postgres.JSONValue);
}

async function expectAllProcessed(sql: postgres.Sql): Promise<void> {
  const failed =
    await sql`select event_id, error ->> 'message' as message from billing.failed_webhooks limit 1`;
  if (failed[0]) throw new Error(`bench event ${failed[0].event_id} was not projected: ${failed[0].message}`);
}
