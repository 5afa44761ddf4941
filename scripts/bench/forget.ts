/**
 * What forgetting one person takes beside 30,000 events and beside 3,000,000, with a third as many rows in the outbox:
 * it must be over within the API's statement timeout, and not feel what is other people's.
 */
import type { Sql } from "postgres";
import type { BenchRow } from "./report.ts";
import { withServer } from "./server.ts";

const FEW_EVENTS = 30_000;
const MANY_EVENTS = 3_000_000;
/** Events and mails of each person: two years of a monthly subscription. */
const EVENTS_EACH = 300;
const MAILS_EACH = 100;
/** The platform ends a statement of service_role after so long, ms. */
const STATEMENT_TIMEOUT_MS = 8_000;
const PEOPLE = 5;

/** Takes some minutes, nearly all of them to write the rows, with a server of its own in a temporary directory. */
export async function benchForgetting(): Promise<BenchRow[]> {
  // What is written before the clock runs need not survive a crash; what is measured is read and updated in memory.
  return withServer({ fsync: false }, async ({ connect, install, copyDatabase }) => {
    await install("postgres");
    await copyDatabase("few", "many");
    const took: Record<string, number> = {};
    for (const [name, events] of [
      ["few", FEW_EVENTS],
      ["many", MANY_EVENTS],
    ] as const) {
      await fill(connect("supabase_admin", name), events);
      took[name] = await slowest(connect("postgres", name), events / EVENTS_EACH);
    }
    const { few = Number.NaN, many = Number.NaN } = took;
    return [
      {
        name: `forget_user beside ${FEW_EVENTS.toLocaleString("en-US")} events, slowest of ${PEOPLE}`,
        value: few,
        unit: "ms",
      },
      {
        name: `the same beside ${MANY_EVENTS.toLocaleString("en-US")} events and ${(MANY_EVENTS / 3).toLocaleString("en-US")} effects`,
        value: many,
        unit: "ms",
        ratio: many / few,
        target: `within ${STATEMENT_TIMEOUT_MS / 1000} s`,
        met: many < STATEMENT_TIMEOUT_MS,
      },
    ];
  });
}

const userOf = (person: string) => `('00000000-0000-4000-8000-' || lpad((${person})::text, 12, '0'))::uuid`;

/** Events of invoices, one in twenty a refund that names no customer, and delivered mails, as they are after years. */
async function fill(sql: Sql, events: number): Promise<void> {
  const people = events / EVENTS_EACH;
  await sql.unsafe(`
    set session_replication_role = replica;
    insert into auth.users (id, email) select ${userOf("n")}, n || '@example.com' from generate_series(0, ${people - 1}) as n;
    insert into billing.customers (id, owner_id, email, created)
    select 'cus_' || n, ${userOf("n")}, n || '@example.com', to_timestamp(1700000000) from generate_series(0, ${people - 1}) as n;
    insert into billing.payments (id, customer, amount, amount_received, amount_refunded, currency, status, metadata, created)
    select 'pi_' || n, 'cus_' || n % ${people}, 900, 900, 0, 'eur', 'succeeded', '{}', to_timestamp(1700000000)
    from generate_series(0, ${people * 24 - 1}) as n;
    insert into billing.webhook_events (id, type, livemode, created, object_id, customer_id, received_at)
    select
      'evt_' || n, case when n % 20 = 0 then 'refund.created' else 'invoice.updated' end, false, to_timestamp(1700000000 + n / 10),
      case when n % 20 = 0 then 're_' || n else 'in_' || n / 10 end, case when n % 20 > 0 then 'cus_' || n % ${people} end,
      to_timestamp(1700000000 + n / 10)
    from generate_series(0, ${events - 1}) as n;
    insert into billing_private.webhook_payloads (event_id, received_at, customer_id, payload)
    select
      'evt_' || n, to_timestamp(1700000000 + n / 10), case when n % 20 > 0 then 'cus_' || n % ${people} end,
      jsonb_build_object('id', 'evt_' || n, 'object', 'event', 'data', jsonb_build_object('object', case
        when n % 20 = 0 then jsonb_build_object('id', 're_' || n, 'object', 'refund', 'payment_intent', 'pi_' || n % ${people * 24})
        else jsonb_build_object(
          'id', 'in_' || n / 10, 'object', 'invoice', 'customer', 'cus_' || n % ${people}, 'customer_email', n || '@example.com',
          'customer_name', 'Person ' || n, 'number', n::text, 'amount_due', 900, 'description', repeat('x', 200)
        )
      end))
    from generate_series(0, ${events - 1}) as n;
    insert into billing.outbox (kind, dedupe_key, payload, status, run_after, created_at, finished_at)
    select
      'email', 'receipt:in_' || n, jsonb_build_object('template', 'payment-receipt', 'customer', 'cus_' || n % ${people}, 'invoice', 'in_' || n),
      'delivered', to_timestamp(1700000000), to_timestamp(1700000000), to_timestamp(1700000000)
    from generate_series(0, ${people * MAILS_EACH - 1}) as n;
    set session_replication_role = default;
  `);
  await sql`vacuum analyze`;
}

/** The longest that one of some people takes to forget, ms. */
async function slowest(sql: Sql, people: number): Promise<number> {
  const took: number[] = [];
  for (let person = 0; person < PEOPLE; person++) {
    const startedAt = performance.now();
    await sql.unsafe(
      `select billing.forget_user(${userOf(String(Math.floor((people / PEOPLE) * person) + 1))})`,
    );
    took.push(performance.now() - startedAt);
  }
  return Math.max(...took);
}
