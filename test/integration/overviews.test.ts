import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { told } from "../support/orders.ts";
import { price, product } from "../support/stripe/catalogue.ts";
import { customer } from "../support/stripe/customers.ts";
import { invoice } from "../support/stripe/invoices.ts";
import { subscription, subscriptionItem } from "../support/stripe/subscriptions.ts";

const day = 86_400;
const now = Math.floor(Date.now() / 1000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

type Interval = "day" | "week" | "month" | "year";
const priceOf = (amount: number | null, interval: Interval, count = 1) =>
  price({
    id: `price_Example${amount}${interval}${count}`,
    created: now - 90 * day,
    product: "prod_ExamplePro",
    currency: "usd",
    unit_amount: amount,
    recurring: {
      interval,
      interval_count: count,
      meter: null,
      trial_period_days: null,
      usage_type: "licensed",
    },
  });

async function subscribe(name: string, prices: [ReturnType<typeof priceOf>, number][], status = "active") {
  const [id, cus] = [`sub_Example${name}`, `cus_Example${name}`];
  const items = prices.map(([one, quantity], index) =>
    subscriptionItem({
      id: `si_Example${name}${index}`,
      created: now - 40 * day + index,
      subscription: id,
      price: one,
      quantity,
      current_period_start: now - 10 * day,
      current_period_end: now + 20 * day,
    }),
  );
  const created = now - 40 * day;
  for (const event of [
    told("product.created", created, product({ id: "prod_ExamplePro", created, name: "Pro" })),
    ...prices.map(([one]) => told("price.created", created, one)),
    told("customer.created", created, customer({ id: cus, created, name, email: `${name}@example.com` })),
    told("customer.subscription.created", created, {
      ...subscription({ id, created, customer: cus, items }),
      status,
    }),
  ])
    await database.receive(event);
}

const bill = (name: string, number: number, values: object) => ({
  ...invoice({
    id: `in_Example${name}${number}`,
    created: now - 9 * day,
    customer: `cus_Example${name}`,
    subscription: `sub_Example${name}`,
  }),
  currency: "usd",
  status: "open",
  ...values,
});

test("a subscription's amount is that of a month, whatever its interval, over all its items", async () => {
  const cases: [name: string, items: [ReturnType<typeof priceOf>, number][], monthly: string | null][] = [
    ["Monthly", [[priceOf(1000, "month"), 3]], "3000"],
    ["Yearly", [[priceOf(12_000, "year"), 1]], "1000"],
    ["Quarterly", [[priceOf(3000, "month", 3), 1]], "1000"],
    ["Weekly", [[priceOf(300, "week"), 1]], "1300"],
    [
      "Mixed",
      [
        [priceOf(1000, "month"), 1],
        [priceOf(100, "year"), 1],
      ],
      "1008",
    ],
    ["Tiered", [[priceOf(null, "month"), 1]], null],
  ];
  for (const [name, items, monthly] of cases) {
    await subscribe(name, items);
    const [row] = await database.sql`
      select monthly_amount, currency, products from billing.subscription_overview where id = ${`sub_Example${name}`}
    `;
    expect(row, name).toEqual({
      monthly_amount: monthly,
      currency: "usd",
      products: items.map(() => "Pro").join(", "),
    });
  }
});

test("what is open is overdue once it failed or its due date is past, and not before", async () => {
  await subscribe("Debtor", [[priceOf(1000, "month"), 1]], "past_due");
  for (const [type, object] of [
    [
      "invoice.sent",
      bill("Debtor", 1, {
        amount_remaining: 100,
        due_date: now + 5 * day,
        collection_method: "send_invoice",
      }),
    ],
    [
      "invoice.sent",
      bill("Debtor", 2, { amount_remaining: 20, due_date: now - 5 * day, collection_method: "send_invoice" }),
    ],
    ["invoice.payment_failed", bill("Debtor", 3, { amount_remaining: 3 })],
    ["invoice.voided", bill("Debtor", 4, { amount_remaining: 4000, status: "void" })],
  ] as const)
    await database.receive(told(type, now - 8 * day, object));
  const amounts = {
    open_amount: "123",
    overdue_amount: "23",
    overdue_since: new Date((now - 8 * day) * 1000),
  };
  expect(
    await database.sql`select open_amount, overdue_amount, overdue_since from billing.subscription_overview where id = 'sub_ExampleDebtor'`,
  ).toEqual([amounts]);
  const [row] = await database.sql`select * from billing.customer_overview where id = 'cus_ExampleDebtor'`;
  expect(row).toMatchObject({ ...amounts, status: "past_due", subscriptions: 1, monthly_amount: "1000" });
  expect(row?.dunning_since).toBeInstanceOf(Date);
});

test("a customer's row is that of the subscription to look at first", async () => {
  await subscribe("Two", [[priceOf(1000, "month"), 1]]);
  await database.receive(
    told("customer.subscription.created", now - day, {
      ...subscription({
        id: "sub_ExampleTwoLate",
        created: now - day,
        customer: "cus_ExampleTwo",
        items: [],
      }),
      status: "past_due",
    }),
  );
  expect(
    await database.sql`select status, subscriptions, monthly_amount from billing.customer_overview where id = 'cus_ExampleTwo'`,
  ).toEqual([{ status: "past_due", subscriptions: 2, monthly_amount: "1000" }]);
});
