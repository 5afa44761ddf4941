import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { namedBy, tables } from "./expectations.ts";
import { type Subscriber, subscribe } from "./subscribers.ts";

const owned = Object.keys(tables).filter((name) => tables[name] === "owner");

let database: TestDatabase;
let ada: Subscriber;
let bob: Subscriber;
beforeAll(async () => {
  database = await createTestDatabase();
  ada = await subscribe(database, "ada");
  bob = await subscribe(database, "bob");
  // Rows of nobody: a customer without a user, and what hangs on no customer at all.
  await database.sql.unsafe(`
    insert into billing.customers (id) values ('cus_nobody');
    insert into billing.invoices (id, customer) values ('in_nobody', 'cus_nobody'), ('in_guest', null);
    insert into billing.subscriptions (id, customer, status, cancel_at_period_end) values ('sub_nobody', null, 'active', false);
    insert into billing.subscription_items (id, subscription, customer)
    values ('si_nobody', 'sub_nobody', null), ('si_lost', 'sub_unknown', 'cus_nobody');
    insert into billing.payments (id, customer, amount, amount_received, amount_refunded, currency, status, metadata)
    values ('pi_guest', null, 1, 1, 0, 'eur', 'succeeded', '{}');
    insert into billing.subscription_usage (subscription, metric, period_start, used, is_open)
    values ('sub_nobody', 'api_calls', now(), 0, true);
    insert into billing.credit_entries (kind, credits, balance_after, reason, missing, purchase, created_at)
    values ('images', 1, 1, 'purchase', 0, 'pi_guest', now());
    insert into billing.payment_methods (id, customer) values ('pm_nobody', 'cus_nobody'), ('pm_guest', null);
    insert into billing.payment_methods (id, customer, detached_at) values ('pm_former', 'cus_ada', now());
    insert into billing.entitlements (owner_id, feature, sources, version, updated_at)
    values ('${await database.signUp()}', 'feature_without_customer', '{cus_unknown}', 1, now());
    insert into billing.seats (owner_id, quantity, counted_at, count_id, status, status_since)
    values ('${await database.signUp()}', 1, now(), 0, 'no_item', now());
  `);
});
afterAll(() => database.drop());

async function idsSeenBy(userId: string, table: string): Promise<string[]> {
  const rows = await database.asUser(
    userId,
    (sql) => sql<{ id: string }[]>`select ${sql(namedBy[table] ?? "id")} as id from ${sql(table)} order by 1`,
  );
  return rows.map((row) => row.id);
}

describe.each(owned)("%s", (table) => {
  test("shows each user the own rows and nobody else's", async () => {
    const all = await database.sql`select from ${database.sql(table)}`;
    expect(all.length, "there are rows of others").toBeGreaterThan(2);
    for (const { userId, name } of [ada, bob]) {
      const ids = await idsSeenBy(userId, table);
      expect(ids.length, "a subscriber has a row here: see subscribers.ts").toBeGreaterThan(0);
      for (const id of ids) expect(id).toMatch(new RegExp(`_${name}$`));
    }
  });

  test("shows nothing to a user without a customer", async () => {
    expect(await idsSeenBy(await database.signUp(), table)).toEqual([]);
  });

  test("shows nothing to a token whose user does not exist", async () => {
    expect(await idsSeenBy(randomUUID(), table)).toEqual([]);
  });

  test("shows service_role everything", async () => {
    const [all] = await database.sql`select count(*)::int from ${database.sql(table)}`;
    const [seen] = await database.asService((sql) => sql`select count(*)::int from ${sql(table)}`);
    expect(seen).toEqual(all);
  });
});

test("rows of a customer that is handed to another user go with it", async () => {
  const carl = await subscribe(database, "carl");
  expect(await idsSeenBy(carl.userId, "billing.invoices")).toEqual(["in_carl"]);
  const dora = await database.signUp();
  await database.receive({
    id: "evt_handed_over",
    object: "event",
    type: "checkout.session.completed",
    created: 1_790_000_100,
    livemode: false,
    data: {
      object: {
        id: "cs_1",
        object: "checkout.session",
        status: "complete",
        customer: "cus_carl",
        metadata: { owner_id: dora },
      },
    },
  });
  expect(await idsSeenBy(carl.userId, "billing.invoices")).toEqual([]);
  expect(await idsSeenBy(dora, "billing.invoices")).toEqual(["in_carl"]);
});

test("rows of a user who is deleted are nobody's", async () => {
  const eve = await subscribe(database, "eve");
  const auth = database.connect({ role: "supabase_auth_admin" });
  await auth`delete from auth.users where id = ${eve.userId}`;
  for (const table of owned) expect(await idsSeenBy(eve.userId, table)).toEqual([]);
  expect(await database.sql`select owner_id from billing.customers where id = 'cus_eve'`).toEqual([
    { owner_id: null },
  ]);
});
