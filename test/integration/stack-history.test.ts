import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cronCall } from "../../scripts/local/cron-call.ts";
import { localKeys } from "../../scripts/local/keys.ts";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { BACKFILL_STEPS } from "../../supabase/functions/_duebase/history/lists.ts";
import { clientOf } from "../local-stripe/support/harness.ts";
import { eventually } from "../support/stack-project.ts";

// duebase-reconcile as it runs: in Deno behind the local stack's door, its database through the Data API.

const customers = 7;

let directory: string;
let stack: Stack;
let sql: Sql;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-history-"));
  stack = await startStack({
    directory,
    ports: { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 },
    fsync: false,
    watch: false,
  });
  sql = postgres(stack.status.DB_URL, { max: 2, onnotice: () => {} });
  // The tick of the minute calls it too; here it does when a test says so.
  await sql`delete from billing.tick_parts where part = 'wake-reconcile'`;
  // Nobody listens.
  stack.stripe.webhooks.drop();
  const stripe = clientOf(stack.stripe);
  const product = await stripe.products.create({ name: "Pro", metadata: { features: "reports" } });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2900,
    recurring: { interval: "month" },
  });
  for (let n = 0; n < customers; n += 1) {
    const { id } = await stripe.customers.create({
      email: `${n}@example.com`,
      payment_method: "pm_card_visa",
      invoice_settings: { default_payment_method: "pm_card_visa" },
    });
    await stripe.subscriptions.create({ customer: id, items: [{ price: price.id }] });
  }
}, 180_000);
afterAll(async () => {
  await sql?.end({ timeout: 1 });
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Calls the function as the tick does, but waits for what comes of it. */
function call(headers?: Record<string, string>): Promise<Response> {
  const signed = cronCall("duebase-reconcile", { wait: true });
  return fetch(`${stack.status.FUNCTIONS_URL}/duebase-reconcile`, {
    ...signed,
    headers: headers ?? signed.headers,
  });
}

/** As `duebase backfill --in-project` begins one; of the events since then there are none. */
const begin = () => sql`
  select billing.begin_history(
    'backfill', ${[...BACKFILL_STEPS]}, jsonb_build_object('events_from', now() + interval '1 hour')
  )`;
const runs = () => sql`select kind, status from billing.history_runs order by id`;
const countOf = async (table: string) =>
  Number((await sql`select count(*) from ${sql(`billing.${table}`)}`)[0]?.count);

test.each([
  ["without a signature", {}],
  ["with the cron secret itself", { authorization: `Bearer ${localKeys.cronSecret}` }],
  [
    "with another secret",
    cronCall("duebase-reconcile", { wait: true }, "duebase_local_example_other").headers,
  ],
  ["with a key of the Data API", { authorization: `Bearer ${localKeys.secret}` }],
])("a call %s is answered 401, and nothing is read or written", async (_what, headers) => {
  await begin();
  stack.stripe.ledger.clear();
  const response = await call(headers);
  expect(response.status).toBe(401);
  expect(stack.stripe.ledger.requests).toEqual([]);
  expect(await countOf("customers")).toBe(0);
});

test("two calls at the same time read a begun backfill once: the second one finds it taken", async () => {
  stack.stripe.ledger.clear();
  const answers = await Promise.all([1, 2].map(async () => (await call()).json()));
  const total = (name: string) => answers.reduce((sum, answer) => sum + Number(answer[name]), 0);
  expect(total("finished"), JSON.stringify(answers)).toBe(1);
  expect(total("busy"), JSON.stringify(answers)).toBe(1);
  expect(await runs()).toEqual([{ kind: "backfill", status: "complete" }]);
  expect(await countOf("customers")).toBe(customers);
  expect(await countOf("subscriptions")).toBe(customers);
  expect(await countOf("invoices")).toBe(customers);
  // Whoever began the run has tried the key on every list.
  expect(stack.stripe.ledger.requestsWhere({ method: "GET", path: "/v1/subscriptions" })).toHaveLength(1);
}, 60_000);

test("the minute's tick wakes it for a begun backfill, and it is done without anybody waiting", async () => {
  await begin();
  await sql`
    insert into billing.tick_parts (position, part, function_name, runs_every, repeats, shares_time)
    values (30, 'wake-reconcile', 'billing_private.wake_reconcile', '1 minute', false, false)`;
  stack.stripe.ledger.clear();
  await stack.runCronJob("duebase-tick");
  await eventually(
    "the second backfill is complete",
    async () => {
      const ended =
        await sql`select from billing.history_runs where kind = 'backfill' and status = 'complete'`;
      return ended.length === 2;
    },
    30_000,
  );
  const [tick] =
    await sql`select failures, last_active_at is not null as woke from billing.tick_parts where part = 'wake-reconcile'`;
  expect(tick).toEqual({ failures: 0, woke: true });
  // Nobody was told of anything, in live mode too.
  expect(await sql`select kind from billing.outbox where kind <> 'refresh'`).toHaveLength(0);
  expect(stack.stripe.ledger.requestsWhere({ method: "POST" })).toEqual([]);
}, 60_000);
