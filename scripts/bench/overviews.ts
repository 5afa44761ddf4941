/**
 * What operators open first, in a project that has received a million events: the newest events, revenue, customers and
 * subscriptions. Each as Studio asks for a page of it, as a report asks for all of it, and for one customer.
 */
import type { Sql } from "postgres";
import { middle } from "./builds.ts";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const EVENTS = 1_000_000;
/** What a million events are about: a year of customers who pay every month, and have seven to eight events a month. */
const CUSTOMERS = 11_000;
const INVOICES = CUSTOMERS * 12;
const ROUNDS = 9;
const MOST_MILLISECONDS = 300;

const QUESTIONS: [string, string][] = [
  ["the 100 newest events", "select * from billing.webhook_events order by received_at desc limit 100"],
  [
    "the 100 newest events with payload",
    "select * from billing.stripe_events order by received_at desc limit 100",
  ],
  ["revenue of all days", "select * from billing.revenue order by day desc, currency"],
  ["revenue of 30 days", "select * from billing.revenue where day > current_date - 30 order by day"],
  ["customer_overview, a page", "select * from billing.customer_overview limit 100"],
  [
    "customer_overview, the newest",
    "select * from billing.customer_overview order by created desc limit 100",
  ],
  [
    "customer_overview, who owes most",
    "select * from billing.customer_overview order by overdue_amount desc limit 100",
  ],
  ["customer_overview, one customer", "select * from billing.customer_overview where id = 'cus_7'"],
  [
    "subscription_overview, who owes most",
    "select * from billing.subscription_overview order by overdue_amount desc limit 100",
  ],
  ["subscription_overview, one", "select * from billing.subscription_overview where id = 'sub_7'"],
];

/** Takes about two minutes, most of them to fill, with a server of its own in a temporary directory. */
export async function benchOverviews(): Promise<BenchRow[]> {
  return withServer({ fsync: false }, async ({ connect, install }) => {
    await install("postgres");
    const sql = connect("supabase_admin", "postgres");
    await fillYear(sql);
    // As people read in Studio.
    await sql`set role service_role`;
    const rows: BenchRow[] = [];
    for (const [name, question] of QUESTIONS) rows.push(await ask(sql, name, question));
    return rows;
  });
}

async function ask(sql: Sql, name: string, question: string): Promise<BenchRow> {
  const taken: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    const found = await sql.unsafe(question);
    taken.push(performance.now() - begun);
    if (found.length === 0) throw new Error(`nothing was found: ${question}`);
  }
  const value = middle(taken);
  return {
    name: `${name}, at ${EVENTS.toLocaleString("en-US")} events`,
    value,
    unit: "ms",
    target: `under ${MOST_MILLISECONDS} ms`,
    met: value < MOST_MILLISECONDS,
  };
}

/** A year of it, as it stands after projection. */
async function fillYear(sql: Sql): Promise<void> {
  await sql.unsafe(`
    set session_replication_role = replica;

    insert into billing.customers (id, owner_id, email, name, currency, default_payment_method, livemode, created)
    select 'cus_' || n, gen_random_uuid(), n || '@example.com', 'Customer ' || n, 'eur', 'pm_' || n, true, now() - (n % 365) * interval '1 day'
    from generate_series(1, ${CUSTOMERS}) as n;
    insert into billing.products (id, name) select 'prod_' || n, 'Plan ' || n from generate_series(1, 5) as n;
    insert into billing.prices (id, product, currency, unit_amount, recurring)
    select 'price_' || n, 'prod_' || n % 5 + 1, 'eur', 900 + n, '{"interval": "month", "interval_count": 1}' from generate_series(1, 10) as n;
    insert into billing.subscriptions (id, customer, status, cancel_at_period_end, currency, livemode, created)
    select 'sub_' || n, 'cus_' || n, case when n % 20 = 0 then 'past_due' when n % 7 = 0 then 'canceled' else 'active' end, false, 'eur', true,
      now() - (n % 365) * interval '1 day'
    from generate_series(1, ${CUSTOMERS}) as n;
    insert into billing.subscription_items (id, subscription, customer, price, product, quantity)
    select 'si_' || n, 'sub_' || n, 'cus_' || n, 'price_' || n % 10 + 1, 'prod_' || n % 5 + 1, 1 from generate_series(1, ${CUSTOMERS}) as n;
    insert into billing.payment_methods (id, customer, type, card_brand, card_last4, card_exp_month, card_exp_year, created)
    select 'pm_' || n, 'cus_' || n, 'card', 'visa', '4242', 12, 2030, now() from generate_series(1, ${CUSTOMERS}) as n;
    insert into billing.invoices (id, customer, subscription, status, currency, total, amount_due, amount_remaining, due_date, created)
    select
      'in_' || n, 'cus_' || n % ${CUSTOMERS} + 1, 'sub_' || n % ${CUSTOMERS} + 1,
      case when n % 200 = 0 then 'open' else 'paid' end, 'eur', 900, 900, case when n % 200 = 0 then 900 else 0 end,
      case when n % 200 = 0 then now() - interval '3 days' end, now() - n * interval '4 minutes'
    from generate_series(1, ${INVOICES}) as n;
    insert into billing.payments
      (id, customer, invoice_id, amount, amount_received, amount_refunded, currency, status, metadata, created, paid_at)
    select 'pi_' || n, i.customer, i.id, 900, 900, case when n % 50 = 0 then 100 else 0 end, 'eur', 'succeeded', '{}', i.created, i.created
    from generate_series(1, ${INVOICES}) as n
    join billing.invoices as i on i.id = 'in_' || n
    where i.status = 'paid';
    insert into billing.refunds (id, payment_id, amount, currency, status, created)
    select 're_' || p.id, p.id, 100, 'eur', 'succeeded', p.created + interval '2 days' from billing.payments as p where p.amount_refunded > 0;
    insert into billing.disputes (id, payment_id, amount, amount_disputed, amount_lost, currency, status, created)
    select 'du_' || n, 'pi_' || n * 100 + 1, 900, 900, 0, 'eur', 'needs_response', now() - n * interval '6 hours'
    from generate_series(1, ${INVOICES / 100 - 1}) as n;
    insert into billing.webhook_events (id, type, livemode, created, object_id, customer_id, received_at)
    select
      'evt_' || n, 'invoice.updated', true, now() - (${EVENTS} - n) * interval '30 seconds', 'in_' || n / 8,
      'cus_' || n / 8 % ${CUSTOMERS} + 1, now() - (${EVENTS} - n) * interval '30 seconds'
    from generate_series(1, ${EVENTS}) as n;
    insert into billing_private.webhook_payloads (event_id, received_at, customer_id, payload)
    select e.id, e.received_at, e.customer_id, jsonb_build_object('id', e.id, 'type', e.type, 'note', repeat('x', 500))
    from billing.webhook_events as e;

    set session_replication_role = origin;
  `);
  await sql`vacuum (analyze)`;
}
