import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import { price } from "../../support/stripe/catalogue.ts";
import { customer } from "../../support/stripe/customers.ts";
import { invoice } from "../../support/stripe/invoices.ts";
import { charge, paymentMethod } from "../../support/stripe/payments.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

const NOW = 1_790_000_000;
const USER = "0c0ffee0-1111-4222-8333-000000000018";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.signUp({ id: USER });
});
afterAll(() => database.drop());

const alone = { customer: null, customer_account: "acct_ExampleAda" };
const ada = { ...customer({ id: "cus_ExampleAda", created: NOW }), customer_account: "acct_ExampleAda" };
const known = told("customer.created", NOW, ada);
const card = { ...paymentMethod({ id: "pm_ExampleCard", created: NOW, customer: null }), ...alone };
const attached = told("payment_method.attached", NOW + 1, card);
const item = subscriptionItem({
  id: "si_ExampleItem",
  created: NOW,
  subscription: "sub_ExamplePlan",
  price: price({ id: "price_ExampleMonthly", created: NOW, product: "prod_Example" }),
  current_period_start: NOW,
  current_period_end: NOW + 2_592_000,
});
const plan = {
  ...subscription({
    id: "sub_ExamplePlan",
    created: NOW,
    customer: ada.id,
    items: [item],
    metadata: { owner_id: USER },
  }),
  ...alone,
};
const begun = told("customer.subscription.created", NOW + 2, plan);
const paid = told("charge.succeeded", NOW + 3, {
  ...charge({ id: "ch_ExamplePaid", created: NOW, amount: 900, customer: null }),
  payment_intent: null,
  ...alone,
});
const billed = told("invoice.finalized", NOW + 4, {
  ...invoice({ id: "in_ExampleBill", created: NOW, customer: ada.id, status: "open" }),
  ...alone,
});

it("what names its customer's account alone is the customer's, in any order, and so is its owner", async () => {
  for (const name of await deliverInEveryOrder(database, [known, attached, begun, paid])) {
    const [row] = await database.sql`
      select
        (select customer from billing.payment_methods where id = ${`pm_${name}Card`}) as card,
        (select detached_at from billing.payment_methods where id = ${`pm_${name}Card`}) as detached,
        (select customer from billing.subscriptions where id = ${`sub_${name}Plan`}) as plan,
        (select customer from billing.subscription_items where id = ${`si_${name}Item`}) as item,
        (select customer from billing.payments where id = ${`ch_${name}Paid`}) as payment,
        (select array_agg(array[id, owner_id::text]) from billing.customers where id like ${`%_${name}%`}) as customers
    `;
    const id = `cus_${name}Ada`;
    const expected = { card: id, detached: null, plan: id, item: id, payment: id, customers: [[id, USER]] };
    expect(row).toEqual(expected);
  }
});

it("any object that names both shows which customer the account is", async () => {
  const both = told(
    "customer.subscription.updated",
    NOW + 5,
    { ...plan, customer: ada.id },
    { ...plan, status: "incomplete" },
  );
  for (const name of await deliverInEveryOrder(database, [attached, billed, both])) {
    expect([
      ...(await database.sql`select customer from billing.invoices where id = ${`in_${name}Bill`}`),
    ]).toEqual([{ customer: `cus_${name}Ada` }]);
    expect([
      ...(await database.sql`select customer, detached_at from billing.payment_methods where id = ${`pm_${name}Card`}`),
    ]).toEqual([{ customer: `cus_${name}Ada`, detached_at: null }]);
  }
});

it("a payment method that leaves its account is detached, and still its customer's", async () => {
  const left = told(
    "payment_method.detached",
    NOW + 60,
    { ...card, customer_account: null },
    { ...card, customer_account: "acct_ExampleAda" },
  );
  for (const name of await deliverInEveryOrder(database, [known, attached, left]))
    expect([
      ...(await database.sql`select customer, detached_at from billing.payment_methods where id = ${`pm_${name}Card`}`),
    ]).toEqual([{ customer: `cus_${name}Ada`, detached_at: new Date((NOW + 60) * 1000) }]);
});

it("until the customer is known, it is kept under the account's id and nothing is lost", async () => {
  const name = await deliver(database, [attached, begun]);
  expect([
    ...(await database.sql`select customer from billing.subscriptions where id = ${`sub_${name}Plan`}`),
  ]).toEqual([{ customer: `acct_${name}Ada` }]);
  expect([...(await database.sql`select count(*)::integer from billing.failed_webhooks`)]).toEqual([
    { count: 0 },
  ]);
});

it("nothing is read under the account's id, and what waits for it is the customer's once that is known", async () => {
  const owing = {
    ...billed.data.object,
    total: 900,
    amount_due: 900,
    amount_remaining: 900,
    attempt_count: 1,
  };
  const failed = told("invoice.payment_failed", NOW + 5, owing);
  const paid = told("invoice.paid", NOW + 6, {
    ...owing,
    status: "paid",
    amount_paid: 900,
    amount_remaining: 0,
  });
  const name = await deliver(database, [begun, failed, paid]);
  const waiting = () =>
    database.sql<{ kind: string; customer: string }[]>`
      select kind, payload ->> 'customer' as customer from billing.outbox
      where status = 'pending' and payload::text like ${`%${name}%`} and kind <> 'refresh' order by kind
    `;
  const account = `acct_${name}Ada`;
  expect(
    await database.sql`select from billing.outbox where dedupe_key = ${`unseen:customer:${account}`}`,
  ).toHaveLength(0);
  expect([...(await waiting())]).toEqual([
    { kind: "dunning", customer: account },
    { kind: "email", customer: account },
  ]);
  await deliver(database, [known], name);
  expect([...(await waiting())]).toEqual([
    { kind: "dunning", customer: `cus_${name}Ada` },
    { kind: "email", customer: `cus_${name}Ada` },
  ]);
});
