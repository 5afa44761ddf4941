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
      ...subscription({ id, created, customer: cus, items, currency: "usd" }),
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

test("a price of packages, tiers or another currency counts as Stripe counts, or not at all", async () => {
  const of = (values: object) => ({ ...priceOf(1000, "month"), ...values }) as ReturnType<typeof priceOf>;
  const packages = (round: string) =>
    of({ id: `price_ExamplePackages${round}`, transform_quantity: { divide_by: 100, round } });
  const tier = (up_to: number | null, unit: number | null, flat: number | null) => ({
    up_to,
    unit_amount: unit,
    unit_amount_decimal: unit === null ? null : String(unit),
    flat_amount: flat,
    flat_amount_decimal: flat === null ? null : String(flat),
  });
  const tiered = (mode: string, tiers: object[] | undefined) =>
    of({
      id: `price_ExampleTiers${mode}${tiers ? "Known" : ""}`,
      billing_scheme: "tiered",
      tiers_mode: mode,
      unit_amount: null,
      unit_amount_decimal: null,
      ...(tiers ? { tiers } : {}),
    });
  const steps = [tier(5, 700, null), tier(10, 600, 100), tier(null, 500, null)];
  const euros = { currency: "eur", unit_amount: 900, unit_amount_decimal: "900" };
  const metered = {
    interval: "month",
    interval_count: 1,
    meter: "mtr_Example",
    trial_period_days: null,
    usage_type: "metered",
  };
  const cases: [name: string, one: ReturnType<typeof priceOf>, quantity: number, monthly: string | null][] = [
    ["PackagesUp", packages("up"), 250, "3000"],
    ["PackagesDown", packages("down"), 250, "2000"],
    // 5 × 700, then 5 × 600 and 100 for the tier, then 2 × 500.
    ["Graduated", tiered("graduated", steps), 12, "7600"],
    ["GraduatedEdge", tiered("graduated", steps), 5, "3500"],
    ["Volume", tiered("volume", steps), 12, "6000"],
    ["VolumeEdge", tiered("volume", steps), 10, "6100"],
    ["TiersUnknown", tiered("graduated", undefined), 12, null],
    [
      "Fraction",
      of({ id: "price_ExampleFraction", unit_amount: null, unit_amount_decimal: "0.5" }),
      250,
      "125",
    ],
    ["Metered", of({ id: "price_ExampleMetered", recurring: metered }), 1, null],
    [
      "Named",
      of({ id: "price_ExampleNamed", unit_amount: null, unit_amount_decimal: null, custom_unit_amount: {} }),
      1,
      null,
    ],
    [
      "Abroad",
      of({
        id: "price_ExampleAbroad",
        ...euros,
        currency_options: { usd: { unit_amount: 1100, unit_amount_decimal: "1100" } },
      }),
      2,
      "2200",
    ],
    ["AbroadUnknown", of({ id: "price_ExampleAbroadUnknown", ...euros }), 2, null],
  ];
  for (const [name, one, quantity, monthly] of cases) {
    await subscribe(name, [[one, quantity]]);
    const subscriptionOf = database.sql`
      select monthly_amount from billing.subscription_overview where id = ${`sub_Example${name}`}
    `;
    expect([...(await subscriptionOf)], name).toEqual([{ monthly_amount: monthly }]);
    const customerOf = database.sql`select monthly_amount from billing.customer_overview where id = ${`cus_Example${name}`}`;
    expect([...(await customerOf)], name).toEqual([{ monthly_amount: monthly }]);
  }
  await subscribe("Half", [
    [priceOf(1000, "month"), 1],
    [tiered("graduated", undefined), 12],
  ]);
  const half = database.sql`select monthly_amount from billing.subscription_overview where id = 'sub_ExampleHalf'`;
  expect([...(await half)], "a part of a sum is no sum").toEqual([{ monthly_amount: null }]);
  const read = await database.askAsService(
    "select count(monthly_amount)::integer as told from billing.subscription_overview",
  );
  expect(read[0]?.told, "and operators may read it").toBeGreaterThan(5);
});

test("a tiered price's tiers are read from Stripe once, as no event carries them", async () => {
  const one = {
    ...priceOf(null, "year"),
    id: "price_ExampleToRead",
    billing_scheme: "tiered",
    tiers_mode: "volume",
  };
  const created = now - 90 * day;
  await database.receive(told("price.created", created, one));
  const readsOf = async () =>
    (
      await database.sql`select dedupe_key from billing.outbox where kind = 'refresh' and payload ->> 'id' = ${one.id}`
    ).length;
  expect(await readsOf()).toBe(1);
  const tiers = [
    {
      up_to: null,
      unit_amount: 100,
      unit_amount_decimal: "100",
      flat_amount: null,
      flat_amount_decimal: null,
    },
  ];
  await database.sql`select billing.apply_refresh(${database.sql.json({ ...one, tiers } as never)}, to_timestamp(${created + 5}))`;
  await database.receive(told("price.updated", created + 60, { ...one, nickname: "Team" }, one));
  expect(await readsOf()).toBe(1);
  expect([...(await database.sql`select tiers, nickname from billing.prices where id = ${one.id}`)]).toEqual([
    { tiers, nickname: "Team" },
  ]);
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
