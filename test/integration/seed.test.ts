import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

// supabase/seed.sql, as the local stack and `supabase start` run it: once, after the migrations, as postgres.

const seed = readFileSync(join(projectRoot, "supabase", "seed.sql"), "utf8");

let database: TestDatabase;
let seconds: number;
beforeAll(async () => {
  database = await createTestDatabase();
  const started = performance.now();
  await sow();
  seconds = (performance.now() - started) / 1000;
});
afterAll(() => database.drop());

/** Runs the seed as a session of its own. */
async function sow(): Promise<void> {
  const session = database.connect();
  await session.unsafe(seed);
  await session.end();
}

const values = async (statement: string) =>
  (await database.sql.unsafe(statement)).map((row) => Object.values(row)[0] as string);

test("the seed comes in by the door within seconds, and nothing of it fails", async () => {
  expect(seconds).toBeLessThan(15);
  expect(await database.sql`select * from billing.failed_webhooks`).toEqual([]);
  expect(await values("select count(*)::int from billing.customers")).toEqual([25]);
  expect(await values("select distinct livemode from billing.webhook_events")).toEqual([false]);
  expect(
    await values(
      "select count(*)::int from billing.webhook_events where created > now() + interval '1 minute'",
    ),
  ).toEqual([0]);
});

test("every state there is has somebody in it", async () => {
  const statuses = await values("select distinct status from billing.subscriptions order by 1");
  expect(statuses).toEqual(["active", "canceled", "incomplete", "past_due", "paused", "trialing", "unpaid"]);
  expect(await values("select distinct status from billing.customer_overview order by 1")).toEqual([
    ...["active", "canceled", "deleted", "incomplete", "no_purchase", "one_time"],
    ...["past_due", "paused", "trialing", "unpaid"],
  ]);
  expect(await values("select distinct status from billing.invoices order by 1")).toEqual([
    "open",
    "paid",
    "void",
  ]);
  expect(await values("select distinct currency from billing.payments order by 1")).toEqual([
    "eur",
    "gbp",
    "jpy",
    "usd",
  ]);
  for (const there of [
    "from billing.subscriptions where cancel_at_period_end and status = 'active'",
    "from billing.subscriptions where pause_collection is not null",
    "from billing.subscriptions where cancellation_details ->> 'reason' = 'payment_failed'",
    "from billing.subscriptions where collection_method = 'send_invoice'",
    "from billing.subscription_overview where trial_end < now() + interval '3 days' and status = 'trialing'",
    "from billing.customer_overview where overdue_amount > 0 and currency = 'jpy'",
    "from billing.customer_overview where overdue_amount = 0 and open_amount > 0",
    "from billing.payments where amount_refunded = amount",
    "from billing.disputes where status = 'needs_response'",
    "from billing.customers where deleted_at is not null",
    "from billing.customers where owner_id is null",
    "from billing.entitlements",
    "from billing.revenue",
  ])
    expect((await database.sql.unsafe(`select 1 ${there} limit 1`)).length, there).toBe(1);
});

test("its books balance: what invoices say was paid has come in", async () => {
  const [sums] = await database.sql`
    select
      (select sum(amount_paid) from billing.invoices)::int as paid,
      (select sum(amount_received) from billing.payments where invoice_id is not null)::int as received
  `;
  expect(sums?.paid).toBeGreaterThan(50_000);
  expect(sums?.paid).toBe(sums?.received);
});

test("it owes nobody anything, and no order in it is in doubt", async () => {
  expect(await database.sql`select dedupe_key from billing.outbox where kind = 'refresh'`).toEqual([]);
  expect(await values("select distinct status from billing.outbox where status <> 'canceled'")).toEqual([]);
});

test("nobody in it is dunned: Stripe, which would be asked before each step, does not know them", async () => {
  expect(await values("select count(*)::int from billing.dunning_cases")).not.toEqual([0]);
  for (const days of [0, 1, 7]) {
    const [run] =
      await database.sql`select billing.advance_dunning(now() + ${`${days} days`}::interval) as run`;
    expect(run?.run).toMatchObject({ due: 0 });
  }
});

test("run again, or after anything has come in, it does nothing", async () => {
  const before = await values("select count(*)::int from billing.webhook_events");
  await sow();
  expect(await values("select count(*)::int from billing.webhook_events")).toEqual(before);
  expect(await values("select count(*)::int from billing.webhook_duplicates")).toEqual([0]);
});

test("teams have the seats they pay for, and nothing about them waits", async () => {
  expect(
    await database.sql`
      select s.status, count(*)::int, bool_and(s.quantity = s.stripe_quantity) as has_them
      from billing.seats as s where s.status <> 'no_item' group by 1`,
  ).toEqual([{ status: "same", count: 6, has_them: true }]);
  expect(await values("select dedupe_key from billing.outbox where dedupe_key like 'seats:%'")).toEqual([]);
});
