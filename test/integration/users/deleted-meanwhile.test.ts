import type { JSONValue } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

// Deleting an account locks its row before a trigger of ours can take a customer's turn, and an event takes that turn
// before it needs the row: whichever loses, no deletion fails and no event is put off.

const NOW = 1_790_000_000;
const ROUNDS = 25;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

let told = 0;
const event = (type: string, object: object) => ({
  id: `evt_meanwhile_${++told}`,
  object: "event",
  type,
  created: NOW + told,
  livemode: false,
  data: { object },
});

test("events of a customer whose account is deleted in that moment are all projected, and the account is gone", async () => {
  const sessions = Array.from({ length: 4 }, () => database.connect());
  const plan = { id: "prod_meanwhile", object: "product", name: "Pro", metadata: { features: "export" } };
  await database.receive(event("product.created", plan));
  const outcomes: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    const user = await database.signUp();
    const metadata = { owner_id: user };
    const person = (email: string) => ({ id: `cus_meanwhile${round}`, object: "customer", email, metadata });
    const subscription = (status: string) => ({
      id: `sub_meanwhile${round}`,
      object: "subscription",
      customer: `cus_meanwhile${round}`,
      status,
      metadata,
      items: { data: [{ id: `si_meanwhile${round}`, price: { id: "price_meanwhile", product: plan.id } }] },
    });
    await database.receive(event("customer.created", person("first@example.com")));
    const events = [
      event("customer.subscription.created", subscription("active")),
      event("customer.updated", person("second@example.com")),
      event("customer.subscription.updated", subscription("past_due")),
      event("customer.updated", person("last@example.com")),
    ];
    await Promise.all([
      ...sessions.map(async (sql, index) => {
        const json = sql.json(events[index] as unknown as JSONValue);
        const [row] = await sql<{ outcome: string }[]>`select billing.receive_event(${json}) as outcome`;
        const outcome = String(row?.outcome);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      }),
      database.sql`delete from auth.users where id = ${user}`,
    ]);
  }
  expect(await database.sql`select event_id, error from billing.failed_webhooks`).toEqual([]);
  expect(outcomes).toEqual({ processed: 4 * ROUNDS });
  const [left] = await database.sql`
      select
        (select count(*)::int from auth.users) as users,
        (select count(*)::int from billing.entitlements) as entitlements,
        (select count(*)::int from billing.customers where owner_id is not null) as linked,
        (select array_agg(distinct email) from billing.customers) as emails,
        (select array_agg(distinct status) from billing.subscriptions) as statuses`;
  expect(left).toEqual({
    users: 0,
    entitlements: 0,
    linked: 0,
    emails: ["last@example.com"],
    statuses: ["past_due"],
  });
}, 120_000);
