/**
 * What it costs to know whether all is well, after a year at a million events a month: the health view as an operator asks for
 * it, and what the minute tick spends on it.
 */
import type { Sql } from "postgres";
import { middle } from "./builds.ts";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const EVENTS = Number(process.env.DUEBASE_BENCH_EVENTS ?? 1_000_000) * 12;
const ROUNDS = 25;
const MOST_MILLISECONDS_OF_THE_VIEW = 50;
const MOST_MILLISECONDS_OF_A_TICK = 5;

/** The parts of the tick that are there for it. */
const PARTS = ["count_hours", "count_for_health_view", "tell_alarms"];

/** Takes about five minutes, most of them to fill; `DUEBASE_BENCH_EVENTS` says how many events a month has. */
export async function benchHealth(): Promise<BenchRow[]> {
  return withServer({ fsync: false }, async ({ connect, install }) => {
    await install("postgres");
    const sql = connect("supabase_admin", "postgres");
    await fillYear(sql);
    // Catches up with the hours of four weeks, and counts for the first time what is counted seldom.
    while ((await sql`select billing_private.count_hours() as more`)[0]?.more > 0);
    await sql`select billing_private.count_for_health_view()`;
    const view = await time(sql, "select * from billing.health");
    const tick = await time(sql, asInTick());
    const at = `after ${EVENTS.toLocaleString("en-US")} events`;
    return [
      row(`the health view, ${at}`, view, MOST_MILLISECONDS_OF_THE_VIEW),
      row(`its share of a tick, ${at}`, tick, MOST_MILLISECONDS_OF_A_TICK),
    ];
  });
}

const row = (name: string, value: number, most: number): BenchRow => ({
  name,
  value,
  unit: "ms",
  target: `under ${most} ms`,
  met: value < most,
});

/** As the tick runs them: by one statement, each part in a transaction of its own. */
const asInTick = () =>
  `do $$ begin ${PARTS.map((part) => `perform billing_private.${part}(); commit;`).join(" ")} end $$`;

/** Median milliseconds of a statement. */
async function time(sql: Sql, statement: string): Promise<number> {
  const taken: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    await sql.unsafe(statement);
    taken.push(performance.now() - begun);
  }
  return middle(taken);
}

/** A year of it, as it stands after projection: nearly all is done, something is open. */
async function fillYear(sql: Sql): Promise<void> {
  await sql.unsafe(`
    set session_replication_role = replica;
    insert into billing.webhook_events (id, type, livemode, created, object_id, customer_id, received_at)
    select
      'evt_' || n, 'invoice.updated', false, t.at, 'in_' || n % 1000000, 'cus_' || n % 100000, t.at
    from generate_series(1, ${EVENTS}) as n
    cross join lateral (select now() - interval '365 days' * (1 - n::double precision / ${EVENTS}) as at) as t;
    insert into billing.webhook_duplicates (event_id, received_at)
    select id, received_at from billing.webhook_events where id like 'evt_%00';
    insert into billing.failed_webhooks (event_id, status, attempts, error, first_failed_at, last_failed_at, resolved_at)
    select id, 'resolved', 1, '{"sqlstate": "23514"}', received_at, received_at, received_at
    from billing.webhook_events where id like 'evt_%000';
    insert into billing.outbox (kind, dedupe_key, payload, status, run_after, created_at, finished_at)
    select
      case when n % 1000 = 0 then 'alert' else 'email' end, 'key_' || n, '{"cause": "email_bounced"}', 'delivered', t.at, t.at, t.at
    from generate_series(1, ${Math.round(EVENTS / 20)}) as n
    cross join lateral (select now() - interval '90 days' * (1 - n::double precision / ${Math.round(EVENTS / 20)}) as at) as t;
    insert into billing.emails (
      outbox_id, dedupe_key, template, from_address, to_address, locale, subject, html, text, status, status_at, created_at, sent_at
    )
    select
      n, 'key_' || n, 'payment-receipt', 'billing@example.com', n || '@example.com', 'en', 'Receipt', 'Receipt', 'Receipt',
      case when n % 500 = 0 then 'bounced' else 'delivered' end, t.at, t.at, t.at
    from generate_series(1, ${Math.round(EVENTS / 10)}) as n
    cross join lateral (select now() - interval '365 days' * (1 - n::double precision / ${Math.round(EVENTS / 10)}) as at) as t;
    insert into billing.customers (id, owner_id, livemode, created)
    select 'cus_' || n, gen_random_uuid(), false, now() - interval '1 year' from generate_series(1, 100000) as n;
    insert into billing.subscriptions (id, customer, status, cancel_at_period_end, livemode, created)
    select 'sub_' || n, 'cus_' || n, 'active', false, false, now() - interval '1 year' from generate_series(1, 100000) as n;
    insert into billing.invoices (id, customer, subscription, status, currency, total, created)
    select
      'in_' || n, 'cus_' || n % 100000, 'sub_' || n % 100000, case when n % 1000 = 0 then 'open' else 'paid' end, 'eur', 900,
      now() - interval '1 year'
    from generate_series(1, 1000000) as n;
    insert into billing.dunning_cases (
      subject_id, customer, subscription, currency, policy_id, status, outcome, anchor_at, ladder_from, amount_due, opened_at, closed_at
    )
    select
      'sub_' || n, 'cus_' || n, 'sub_' || n, 'eur', 1, case when n <= 1000 then 'open' else 'closed' end,
      case when n > 1000 then 'recovered' end, now() - interval '300 days', now() - interval '300 days', 900,
      now() - interval '300 days', case when n > 1000 then now() - interval '290 days' + interval '5 minutes' * n end
    from generate_series(1, 80000) as n;
    insert into billing.hourly_metrics (hour, events, duplicates, emails_sent, emails_delivered, counted_at)
    select h, 1400, 14, 140, 139, h + interval '4 days'
    from generate_series(date_trunc('hour', now()) - interval '365 days', now() - interval '29 days', interval '1 hour') as h;
    reset session_replication_role;
  `);
  await sql`vacuum (analyze)`;
}
