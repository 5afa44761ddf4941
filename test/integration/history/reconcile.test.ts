import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CallStripe, connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { reconcile } from "../../../supabase/functions/duebase-reconcile/reconcile.ts";
import { impatientClock, mirroredRows, readHistory, TEST_KEY } from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccountWithHistory } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { callAsService } from "../../support/delivering.ts";

let account: StripeAccount;
let database: TestDatabase;

/** What the minute's tick sets off. */
function work(parts: { budgetMs?: number; callStripe?: CallStripe } = {}): Promise<Record<string, number>> {
  return reconcile({
    callBilling: callAsService(database),
    callStripe: callStripe(),
    secretKey: TEST_KEY,
    holder: "test",
    clock: impatientClock(),
    now: account.now().toISOString(),
    ...parts,
  });
}
const callStripe = () => connectStripe({ secretKey: TEST_KEY, baseUrl: account.local.url });

/** Webhooks that get through, from now on. */
async function deliver(since: number): Promise<void> {
  for (const event of account.local.events.all().slice(since)) await database.receive(event, account.now());
}

const happened = (): number => account.local.events.all().length;

beforeAll(async () => {
  account = await startAccountWithHistory({ customers: 12, months: 3 });
  database = await createTestDatabase();
  await readHistory(database, account);
}, 300_000);
afterAll(async () => {
  await account?.close();
  await database?.drop();
});

test("with every webhook delivered nothing is missed, nothing differs, and no delivery counts as repeated", async () => {
  const before = happened();
  await account.pass(1);
  await deliver(before);
  await account.pass(1);
  await deliver(before);
  const counted = await database.sql`select from billing.webhook_duplicates`;
  expect(await work()).toMatchObject({ finished: 2, incomplete: 0, paused: 0, busy: 0 });
  expect(await database.sql`select * from billing.drift`).toEqual([]);
  expect((await database.sql`select from billing.webhook_duplicates`).length).toBe(counted.length);
});

test("webhooks that were off for three days are found, counted, and bring the rows they would have brought", async () => {
  const missedBefore = await missed();
  const before = happened();
  await account.pass(1);
  const [running] = (await account.stripe.subscriptions.list({ status: "active", limit: 1 })).data;
  await account.stripe.subscriptions.update(running?.id ?? "", {
    metadata: { said: "while nobody listened" },
  });
  await account.pass(2);
  // Younger than five minutes, an event may be on its way; of other types, none has to come.
  const taken = await handledTypes();
  const late = account.local.events
    .all()
    .slice(before)
    .filter(({ created, type }) => taken.has(type) && created <= account.now().getTime() / 1000 - 300);
  expect(late.length).toBeGreaterThan(5);
  await work();
  expect((await missed()) - missedBefore).toBe(late.length);
  const [told] = await database.sql`select problem from billing.job_problems where job = 'missed-webhooks'`;
  expect(told?.problem).toMatch(new RegExp(`^${late.length} webhooks were missed since 20\\d\\d-`));
  const [row] =
    await database.sql`select metadata from billing.object_metadata where object_id = ${running?.id ?? ""}`;
  expect(row).toMatchObject({ metadata: { said: "while nobody listened" } });
});

test("how many were missed is told until a run finds none", async () => {
  const before = happened();
  // What was too young the last time.
  await work();
  await account.pass(0.05);
  await work();
  await account.pass(0.05);
  await deliver(before);
  await work();
  expect(await database.sql`select job from billing.job_problems where job = 'missed-webhooks'`).toEqual([]);
});

test("what was changed behind its back is found within a day, with the field, and is as at Stripe again", async () => {
  await account.pass(0.8);
  await work();
  const truth = await mirroredRows(database);
  const [running] = (await account.stripe.subscriptions.list({ status: "active", limit: 1 })).data;
  const [open] = (await account.stripe.invoices.list({ status: "open", limit: 1 })).data;
  await database.sql`update billing.subscriptions set cancel_at_period_end = true where id = ${running?.id ?? ""}`;
  await database.sql`update billing.invoices set amount_remaining = 1 where id = ${open?.id ?? ""}`;
  const before = await database.sql`select max(id) as id from billing.drift`;
  await account.pass(1);
  await work();
  const found = await database.sql`
    select object_id, field, ours, stripes, why, mended_at is not null as is_mended
    from billing.drift where id > ${before[0]?.id ?? 0} and object_id in (${running?.id ?? ""}, ${open?.id ?? ""})
    order by object
  `;
  expect(found).toEqual([
    {
      object_id: open?.id,
      field: "amount_remaining",
      ours: 1,
      stripes: open?.amount_remaining,
      why: expect.any(String),
      is_mended: true,
    },
    {
      object_id: running?.id,
      field: "cancel_at_period_end",
      ours: true,
      stripes: false,
      why: expect.any(String),
      is_mended: true,
    },
  ]);
  const mended = await mirroredRows(database);
  expect(mended.subscriptions).toEqual(truth.subscriptions);
});

test("nothing is due until an hour has gone by, and no function is called meanwhile", async () => {
  const wake = async (minutes: number): Promise<boolean> => {
    const at = new Date(account.now().getTime() + minutes * 60_000);
    const [row] = await database.sql`select billing_private.wake_reconcile(${at}) as woken`;
    return row?.woken === true;
  };
  expect(await wake(1)).toBe(false);
  expect(await wake(58)).toBe(false);
  await database.sql`select vault.create_secret('http://127.0.0.1:9/functions/v1', 'duebase_functions_url')`;
  await database.sql`select vault.create_secret('example-cron-secret', 'duebase_cron_secret')`;
  expect(await wake(60)).toBe(true);
});

test("events that Stripe lists no longer are met by reading the objects of that time", async () => {
  const [running] = (await account.stripe.subscriptions.list({ status: "active", limit: 1 })).data;
  await account.pass(1);
  await account.stripe.customers.update(String(running?.customer), { name: "Said forty days ago" });
  await account.pass(40);
  await work();
  expect(
    await database.sql`select name from billing.customers where id = ${String(running?.customer)}`,
  ).toEqual([{ name: "Said forty days ago" }]);
  const runs = await database.sql`select kind, status from billing.history_runs order by id desc limit 3`;
  expect(runs).toContainEqual({ kind: "backfill", status: "complete" });
});

test("while the objects of a long gap are read in many pieces, the events that are still listed come in too", async () => {
  const [running] = (await account.stripe.subscriptions.list({ status: "active", limit: 1 })).data;
  await account.pass(35);
  const before = happened();
  await account.stripe.customers.update(String(running?.customer), { name: "Said five days ago" });
  await account.pass(5);
  const id = account.local.events
    .all()
    .slice(before)
    .find(({ type }) => type === "customer.updated")?.id;
  // Stripe takes all the time of the first piece, and leaves none for the events; the next minutes have some.
  const budgetMs = 2_000;
  let calls = 0;
  const slowly: CallStripe = async (request) => {
    if (++calls > 3) await delay(budgetMs);
    return await callStripe()(request);
  };
  expect(await work({ budgetMs, callStripe: slowly })).toMatchObject({ paused: 1, finished: 0 });
  for (let minutes = 0; minutes < 10 && (await work()).finished !== 0; minutes++);
  expect(
    await database.sql`select event_id from billing.missed_webhooks where event_id = ${id ?? ""}`,
  ).toEqual([{ event_id: id }]);
  const runs = await database.sql`select distinct status from billing.history_runs`;
  expect(runs).toEqual([{ status: "complete" }]);
});

test("a backfill that comes between does not make up for the events that were missed before it", async () => {
  const [running] = (await account.stripe.subscriptions.list({ status: "active", limit: 1 })).data;
  const before = happened();
  await account.stripe.subscriptions.update(running?.id ?? "", { metadata: { said: "before the backfill" } });
  await account.pass(0.1);
  const told = account.local.events.all().slice(before);
  const id = told.find(({ type }) => type === "customer.subscription.updated")?.id ?? "";
  await readHistory(database, account);
  await account.pass(0.1);
  await work();
  expect(await database.sql`select event_id from billing.missed_webhooks where event_id = ${id}`).toEqual([
    { event_id: id },
  ]);
});

test("an event that nothing here handles is no webhook that was missed, and is not stored", async () => {
  await work();
  const before = happened();
  await account.stripe.setupIntents.create({});
  const told = account.local.events.all().slice(before);
  expect(told.map(({ type }) => type)).toEqual(["setup_intent.created"]);
  await account.pass(0.1);
  await deliver(before + 1);
  await work();
  expect(await database.sql`select problem from billing.job_problems where job = 'missed-webhooks'`).toEqual(
    [],
  );
  expect(await database.sql`select from billing.webhook_events where id = ${told[0]?.id ?? ""}`).toEqual([]);
});

async function missed(): Promise<number> {
  return (await database.sql`select from billing.missed_webhooks`).length;
}

async function handledTypes(): Promise<Set<string>> {
  const rows = await database.sql`select distinct event_type from billing.event_handlers`;
  return new Set(rows.map(({ event_type }) => event_type));
}
