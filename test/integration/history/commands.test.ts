import { afterAll, beforeAll, expect, test } from "vitest";
import { duebase } from "../../support/account/command.ts";
import { deliverAll } from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccountWithHistory } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

// One account that moves in by the commands, as people and programs read them: each test begins where the one before it ended.

const RUNNING = new Set(["active", "trialing", "past_due", "unpaid", "paused"]);
const LINKS = "select stripe_id as customer, user_id as owner_id from app.profiles";
const ACCESS = "select user_id as owner_id, feature from app.access";

let account: StripeAccount;
let database: TestDatabase;
let payers: string[];
/** Pays, and the application does not know whose it is. */
let stranger: string;
/** By customer. */
const users = new Map<string, string>();

const run = (...args: string[]) => duebase(database, account, args);

/** The user of a customer that the application knows. */
function userOf(customer: string): string {
  const user = users.get(customer);
  if (user === undefined) throw new Error(`${customer} has no user`);
  return user;
}

beforeAll(async () => {
  // Commands go by the clock of the database: the account's three months end yesterday.
  const start = new Date(Date.now() - 91 * 86_400_000);
  account = await startAccountWithHistory({ customers: 12, months: 3, start });
  database = await createTestDatabase();
  const running = await account.stripe.subscriptions
    .list({ limit: 100 })
    .autoPagingToArray({ limit: 1000 })
    .then((all) => all.filter(({ status }) => RUNNING.has(status)));
  payers = [...new Set(running.map(({ customer }) => String(customer)))];
  [stranger = ""] = payers;
  await database.sql.unsafe(`
    create schema app;
    create table app.profiles (stripe_id text primary key, user_id uuid not null);
    create table app.access (user_id uuid not null, feature text not null);
  `);
  for (const customer of account.customers) {
    if (customer === stranger) continue;
    const user = await database.signUp();
    users.set(customer, user);
    await database.sql`insert into app.profiles values (${customer}, ${user})`;
  }
}, 120_000);
afterAll(async () => {
  await account?.close();
  await database?.drop();
});

async function expectNothingWritten(): Promise<void> {
  for (const table of ["history_runs", "customers", "invoices", "outbox"]) {
    expect(await database.sql`select from ${database.sql(`billing.${table}`)}`, table).toHaveLength(0);
  }
}

test("a dry run counts what there is, payers whom nothing links, and open invoices by age, and writes nothing", async () => {
  account.local.ledger.clear();
  const { code, out } = await run("backfill", "--dry-run", "--json");
  expect(code).toBe(0);
  const found = JSON.parse(out);
  const invoices = await account.stripe.invoices.list({ limit: 100 }).autoPagingToArray({ limit: 1000 });
  const open = invoices.filter(({ status }) => status === "open");
  expect(found.objects).toMatchObject({
    customers: 12,
    invoices: invoices.length,
    open_invoices: open.length,
  });
  expect(found.payers).toBe(payers.length);
  expect([...found.payersWithoutOwner].sort()).toEqual([...payers].sort());
  expect(found.openInvoices.invoices).toBe(open.length);
  expect(found.openInvoices.amounts).toEqual({ usd: open.reduce((sum, it) => sum + it.amount_remaining, 0) });
  const byAge = Object.values<number>(found.openInvoices.byAge);
  expect(byAge.reduce((sum, invoices) => sum + invoices, 0)).toBe(open.length);
  expect(byAge.filter((invoices) => invoices > 0).length).toBeGreaterThan(1);
  expect(found.mails).toBe(0);
  expect(account.local.ledger.effects).toEqual([]);
  await expectNothingWritten();
});

test("a dry run tells people the same in words, with how long it takes", async () => {
  const { code, out } = await run("backfill", "--dry-run");
  expect(code).toBe(0);
  expect(out).toMatch(/What a backfill would read\n {2}products +2\n/);
  expect(out).toMatch(/ customers +12\n/);
  expect(out).toMatch(/It takes about \d+ calls, \d+ seconds at the least\./);
  expect(out).toContain(
    `Payers: ${payers.length}; nothing at Stripe names an owner for ${payers.length} of them.`,
  );
  expect(out).toMatch(/Open invoices: \d+, [\d,]+ usd \(minor units\): \d+ /);
  expect(out).toMatch(/0 mails\. Nothing was written\.\n$/);
  await expectNothingWritten();
});

test.each([
  ["fails", "select * from app.customers", /Your query failed: relation "app.customers" does not exist/],
  ["lacks a column", "select stripe_id from app.profiles", /Your query gives no column customer, owner_id/],
  [
    "writes",
    `delete from app.profiles returning stripe_id as customer, user_id as owner_id`,
    /read-only transaction/,
  ],
])("a query that %s is refused before anything is read", async (_what, query, message) => {
  account.local.ledger.clear();
  const { code, out } = await run("backfill", "--json", "--links-query", query);
  expect(code).toBe(1);
  expect(JSON.parse(out).error).toMatchObject({ message: expect.stringMatching(message), cure: /./ });
  expect(account.local.ledger.requests).toEqual([]);
  expect(await database.sql`select from app.profiles`).toHaveLength(users.size);
  await expectNothingWritten();
});

test("a project without a key is told its name", async () => {
  const { code, err } = await duebase(database, account, ["backfill"], {
    DUEBASE_STRIPE_SECRET_KEY: undefined,
    STRIPE_SECRET_KEY: undefined,
  });
  expect(code).toBe(1);
  expect(err).toMatch(/DUEBASE_STRIPE_SECRET_KEY is not set/);
});

test("every payer who is linked has access as soon as the backfill has linked them, and who is unlinked is named", async () => {
  const { code, out } = await run("backfill", "--json", "--links-query", LINKS);
  expect(code).toBe(0);
  const answer = JSON.parse(out);
  expect(answer.run).toMatchObject({ kind: "backfill", status: "complete", problems: 0 });
  expect(answer.links).toMatchObject({ links: 11, outcomes: { linked: 11 }, reasons: [] });
  expect(answer.unlinked).toEqual([expect.objectContaining({ customer: stranger, subscriptions: 1 })]);
  expect(answer.mails).toBe(0);
  expect(await database.sql`select from billing.outbox where kind <> 'refresh'`).toHaveLength(0);
  const without = await database.sql<{ customer: string }[]>`
    select distinct s.customer
    from billing.subscriptions as s
    join billing.customers as c on c.id = s.customer
    where s.status in ('active', 'trialing') and not billing.owner_has_feature(c.owner_id, 'reports')
  `;
  expect(without).toEqual([]);
  const entitled =
    await database.sql`select distinct owner_id from billing.entitlements where feature = 'reports'`;
  expect(entitled.length).toBeGreaterThan(4);
});

test("the entitlements are those of a project that knew whose they are from the first day", async () => {
  const listened = await createTestDatabase();
  for (const [customer, user] of users) {
    await listened.signUp({ id: user });
    await listened.sql`select * from billing.link_customers(${listened.sql.json([{ customer, owner_id: user }])})`;
  }
  await deliverAll(listened, account);
  const entitlements = (of: TestDatabase) =>
    of.sql`select owner_id, feature, sources, valid_until from billing.entitlements order by 1, 2`;
  expect([...(await entitlements(database))]).toEqual([...(await entitlements(listened))]);
  await listened.drop();
});

test("old debts are told by age, and that nobody is mailed about them", async () => {
  const { code, out } = await run("backfill", "--report-only", "--json");
  expect(code).toBe(0);
  const { oldDebts } = JSON.parse(out);
  const at_risk = await database.sql<{ invoice: string; amount: number }[]>`
    select v.invoice, v.amount_remaining::integer as amount from billing_private.overdue_invoices as v where v.overdue_since <= now()
  `;
  expect(at_risk.length).toBeGreaterThan(0);
  expect(oldDebts).toMatchObject({
    invoices: at_risk.length,
    amounts: { usd: at_risk.reduce((sum, { amount }) => sum + amount, 0) },
  });
  const byAge = Object.values<number>(oldDebts.byAge);
  expect(byAge.reduce((sum, invoices) => sum + invoices, 0)).toBe(at_risk.length);
  const people = await run("backfill", "--report-only");
  expect(people.out).toContain(`Old debts: ${at_risk.length} invoices of `);
  expect(people.out).toContain("Nobody is mailed about them until you release them.");
});

test("who would lose or gain access is told against the application's own table", async () => {
  const here = await database.sql<{ owner_id: string; feature: string }[]>`
    select owner_id, feature from billing.entitlements order by 1, 2
  `;
  const [gains, ...same] = here;
  const unpaid = account.customers.find((customer) => !payers.includes(customer) && customer !== stranger);
  const loses = userOf(unpaid ?? "");
  for (const { owner_id, feature } of [...same, { owner_id: loses, feature: "reports" }])
    await database.sql`insert into app.access values (${owner_id}, ${feature})`;
  const { code, out } = await run("backfill", "--report-only", "--json", "--access-query", ACCESS);
  expect(code).toBe(0);
  expect(JSON.parse(out).access).toEqual({
    same: same.length,
    lost: [{ owner_id: loses, feature: "reports" }],
    gained: [gains],
  });
});

test("the report for people names links, payers without an owner and both sides of access", async () => {
  const { code, out } = await run(
    "backfill",
    "--report-only",
    "--links-query",
    LINKS,
    "--access-query",
    ACCESS,
  );
  expect(code).toBe(0);
  expect(out).toMatch(/backfill 1: complete, \d+ calls\n {2}products +2 read +2 applied\n/);
  expect(out).toContain("0 mails were enqueued, and nothing was changed at Stripe.");
  expect(out).toContain("Links: 11 given: 11 unchanged");
  expect(out).toContain(`1 payers belong to nobody here and have no access:\n  ${stranger} `);
  expect(out).toMatch(/Access: \d+ the same, 1 that would be lost, 1 that would be new\./);
  expect(out).toMatch(/Has access in your table, and would not have it here:\n {2}[0-9a-f-]{36} reports\n/);
  expect(out).toMatch(/Would have access here, and has none in your table:\n {2}[0-9a-f-]{36} \w+\n/);
});

test("a payer whom the application names later is linked, and refused links say why", async () => {
  const user = await database.signUp();
  await database.sql`insert into app.profiles values (${stranger}, ${user}), ('cus_nobody_knows', ${user})`;
  const { out } = await run("backfill", "--report-only", "--json", "--links-query", LINKS);
  const { links, unlinked } = JSON.parse(out);
  expect(links.outcomes).toMatchObject({ unchanged: 11, linked: 1 });
  expect(links.reasons.map(({ customer }: { customer: string }) => customer)).toEqual(["cus_nobody_knows"]);
  expect(unlinked).toEqual([]);
  const [row] = await database.sql`select billing.owner_has_feature(${user}, 'reports') as has`;
  expect(row?.has).toBe(true);
});

test("reconcile tells what was missed, by type, and what differed, and is red while something is not mended", async () => {
  const [running] = (await account.stripe.subscriptions.list({ status: "active", limit: 1 })).data;
  await account.stripe.customers.update(String(running?.customer), { name: "Nobody listened" });
  // As if the backfill had been two days ago.
  await database.sql`update billing.history_runs set started_at = started_at - interval '2 days' where true`;
  await database.sql`update billing.subscriptions set cancel_at_period_end = true where id = ${running?.id ?? ""}`;
  const { code, out } = await run("reconcile", "--json");
  const answer = JSON.parse(out);
  expect(answer.missed).toContainEqual({ type: "customer.updated", events: 1 });
  expect(answer.drift).toContainEqual(
    expect.objectContaining({
      object_id: running?.id,
      field: "cancel_at_period_end",
      ours: true,
      stripes: false,
      mended_at: expect.any(String),
    }),
  );
  expect(code).toBe(0);
  const again = await run("reconcile");
  expect(again.out).toContain("No webhook was missed.");
  expect(again.out).toContain("Nothing differed.");
});

test("reconcile reads the objects of a time that Stripe lists no events of, and only once", async () => {
  await database.sql`update billing.history_runs set started_at = started_at - interval '40 days' where true`;
  const kinds = async () => {
    const { code, out } = await run("reconcile", "--json");
    expect(code).toBe(0);
    return JSON.parse(out).runs.map(({ kind }: { kind: string }) => kind);
  };
  expect(await kinds()).toEqual(["backfill", "events", "comparison"]);
  expect(await kinds()).toEqual(["events", "comparison"]);
});
