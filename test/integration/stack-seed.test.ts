import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { nextBoundary } from "../../scripts/local/stripe/billing/periods.ts";
import { clientOf } from "../local-stripe/support/harness.ts";
import { eventually } from "../support/stack-project.ts";

// What `npm run dev` shows at first: a small business that lives. The local Stripe knows its customers.

let directory: string;
let stack: Stack;
let sql: Sql;
let stripe: Stripe;
/** The scheduler's clock: until the stack is up each look at it is a minute later, so that every job falls due at once. */
let minutesAhead = 0;
let isUp = false;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-seed-"));
  stack = await startStack({
    directory,
    seed: true,
    ports: { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 },
    fsync: false,
    watch: false,
    now: () => new Date(Date.now() + (isUp ? minutesAhead : ++minutesAhead) * 60_000),
  });
  isUp = true;
  sql = postgres(stack.status.DB_URL, { max: 2, onnotice: () => {} });
  stripe = clientOf(stack.stripe);
}, 240_000);
afterAll(async () => {
  await sql?.end({ timeout: 1 });
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

const casesOf = (status: string) => sql`
  select customer, outcome from billing.dunning_cases where status = ${status} order by customer`;

test("no job runs before the seed's day has begun: to the watchdog the day's run of dunning would be missing", async () => {
  const early = await sql`
    select d.command, d.start_time
    from cron.job_run_details as d
    where d.start_time < (select min(r.finished_at) from billing.dunning_runs as r)`;
  expect(early).toEqual([]);
});

test("the next period of each subscription is a whole one, though those that the seed tells of have thirty days", async () => {
  const running = await stripe.subscriptions.list({ limit: 100, status: "active" });
  expect(running.data.length).toBeGreaterThan(10);
  for (const { id, billing_cycle_anchor: anchor, items } of running.data) {
    const [item] = items.data;
    const { interval, interval_count } = item?.price.recurring ?? { interval: "month", interval_count: 1 };
    const end = item?.current_period_end ?? 0;
    const next = nextBoundary(anchor, { interval, interval_count }, end);
    expect((next - end) / 86_400, id).toBeGreaterThan(27);
  }
});

test("overdue customers have an open case and a mail in the inbox", async () => {
  const open = await casesOf("open");
  expect(open.map(({ customer }) => customer)).toEqual([
    "cus_Seed10",
    "cus_Seed11",
    "cus_Seed12",
    "cus_Seed14",
  ]);
  const addresses = ["mateo@example.com", "hannah@example.com", "haruto@example.com", "chloe@example.com"];
  await eventually(
    "each has got a notice",
    async () => {
      const mails = await sql`
        select to_address from billing.emails where template = 'payment-failed-notice' and status in ('sent', 'delivered')`;
      return addresses.every((address) => mails.some(({ to_address }) => to_address === address));
    },
    30_000,
  );
  const inInbox = stack.inbox.emails().flatMap(({ to }) => to);
  for (const address of addresses) expect(inInbox).toContain(address);
  expect(await sql`select status from billing.outbox where status = 'dead'`).toEqual([]);
});

test("there is something in the report: who paid after all, and who was lost", async () => {
  const outcomes = (await casesOf("closed")).map(({ customer, outcome }) => `${customer} ${outcome}`);
  expect(outcomes).toContain("cus_Seed13 recovered");
  expect(outcomes).toContain("cus_Seed19 subscription_ended");
});

test("the local Stripe says of everybody what the tables say", async () => {
  const customers = await sql`select id, email from billing.customers where deleted_at is null order by id`;
  expect(customers.length).toBeGreaterThan(20);
  for (const { id, email } of customers) {
    expect(await stripe.customers.retrieve(id)).toMatchObject({ id, email });
  }
  const subscriptions = await sql`select id, status, customer from billing.subscriptions order by id`;
  for (const { id, status } of subscriptions) {
    expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ id, status });
  }
  const invoices = await sql`select id, status, amount_remaining::int from billing.invoices order by id`;
  for (const { id, status, amount_remaining } of invoices) {
    expect(await stripe.invoices.retrieve(id)).toMatchObject({ status, amount_remaining });
  }
  await expect(stripe.customers.retrieve("cus_Seed24")).resolves.toMatchObject({ deleted: true });
});

// Before anything changes at Stripe, as an event on its way would be taken for drift.
test("its history comes in whole, and the local Stripe has nothing that the tables have not", async () => {
  await stack.runCronJob("duebase-tick");
  const runs = await eventually(
    "history was read and compared",
    async () => {
      const found = await sql`
        select distinct on (r.kind) r.kind, r.status, r.problem
        from billing.history_runs as r
        order by r.kind, r.started_at desc`;
      // A run that was stopped says why.
      return found.length === 3 &&
        found.every(({ status, problem }) => status !== "running" || problem !== null)
        ? found
        : undefined;
    },
    60_000,
  );
  const complete = (kind: string) => ({ kind, status: "complete", problem: null });
  expect(runs).toEqual([complete("backfill"), complete("comparison"), complete("events")]);
  expect(await sql`select object_id, error from billing.history_problems`).toEqual([]);
  expect(await sql`select object_id, field, ours, stripes from billing.drift`).toEqual([]);
}, 90_000);

test("who pays at the local Stripe is recovered, by the webhook, and the case closes", async () => {
  const [open] = (await stripe.invoices.list({ customer: "cus_Seed10", status: "open" })).data;
  const id = String(open?.id);
  // The old card is still declined.
  await expect(stripe.invoices.pay(id)).rejects.toMatchObject({ code: "card_declined" });
  const card = await stripe.paymentMethods.attach("pm_card_visa", { customer: "cus_Seed10" });
  await stripe.invoices.pay(id, { payment_method: card.id });
  const outcome = await eventually("the case is closed", async () => {
    const [row] =
      await sql`select outcome from billing.dunning_cases where customer = 'cus_Seed10' and status = 'closed'`;
    return row?.outcome as string | undefined;
  });
  expect(outcome).toBe("recovered");
  expect(await stripe.subscriptions.retrieve("sub_Seed10")).toMatchObject({ status: "active" });
}, 60_000);

test("nothing in it is red", async () => {
  await stack.runCronJob("duebase-tick");
  // How fast this machine is at the moment is not the seed's.
  const red = await sql`
    select name, meaning from billing.health where status = 'red' and name not like 'event-latency-%'`;
  const dead =
    await sql`select kind, payload, last_error, created_at from billing.outbox where status = 'dead'`;
  expect(dead).toEqual([]);
  expect(red).toEqual([]);
  expect(await sql`select job, problem from billing.job_problems`).toEqual([]);
});

test("it goes on by itself: what is renewed, retried and ended later is planned", async () => {
  const before =
    await sql`select count(*)::int as events from billing.webhook_events where id not like 'evt\\_Seed%'`;
  expect(before[0]?.events).toBeGreaterThan(0);
  const running = await stripe.subscriptions.list({ status: "active", limit: 100 });
  expect(running.data.length).toBeGreaterThan(8);
  for (const { items } of running.data) {
    expect(items.data[0]?.current_period_end).toBeGreaterThan(Date.now() / 1000);
  }
});

test("the operator is alerted in the inbox, without a setting", async () => {
  await sql`delete from auth.users where email = 'liam@example.com'`;
  const mail = await eventually("the inbox has the alert", async () =>
    stack.inbox.emails().find(({ to }) => to.includes("operator@example.com")),
  );
  expect(mail.subject).toBe("Duebase alert: owner deleted with subscription");
  expect(mail.text).toContain("cus_Seed5");
  expect(await sql`select kind, payload, last_error from billing.outbox where status = 'dead'`).toEqual([]);
});
