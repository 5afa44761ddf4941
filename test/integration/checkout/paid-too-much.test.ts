import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";
import { invoice, invoicePayment } from "../../support/stripe/invoices.ts";
import { paymentIntent } from "../../support/stripe/payments.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const alertsOf = async (name: string, cause: string) =>
  (
    await database.sql<{ payload: Record<string, unknown> }[]>`
      select payload from billing.outbox
      where kind = 'alert' and payload ->> 'cause' = ${cause} and payload::text like ${`%${name}%`} order by id
    `
  ).map(({ payload }) => payload);

const plan = (id: string, values: object = {}, price = "price_ExampleMonthly", product = "prod_ExamplePro") =>
  subscription({
    id,
    created: NOW,
    customer: "cus_ExampleAda",
    items: [
      subscriptionItem({
        id: `si_${id}`,
        subscription: id,
        created: NOW,
        price: { id: price, product },
      } as never),
    ],
    ...values,
  } as never);

describe("two running subscriptions of one buyer to one product", () => {
  const first = told("customer.subscription.created", NOW, plan("sub_ExampleOne"));
  const second = told(
    "customer.subscription.created",
    NOW + 60,
    plan("sub_ExampleTwo", { created: NOW + 60, latest_invoice: "in_ExampleTwo" }, "price_ExampleYearly"),
  );

  it("are alerted once, the newest and its invoice first, in any order", async () => {
    const update = told(
      "customer.subscription.updated",
      NOW + 90,
      plan("sub_ExampleOne", { metadata: { a: "1" } }),
    );
    for (const name of await deliverInEveryOrder(database, [first, second, update])) {
      const alerts = await alertsOf(name, "two_subscriptions");
      expect(alerts).toHaveLength(1);
      expect(alerts[0]).toMatchObject({
        customer: `cus_${name}Ada`,
        product: `prod_${name}Pro`,
        subscriptions: [
          { subscription: `sub_${name}Two`, invoice: `in_${name}Two` },
          { subscription: `sub_${name}One` },
        ],
      });
    }
  });

  it("are alerted with the payment to give back, where it is known by then", async () => {
    const paid = {
      ...paymentIntent({ id: "pi_ExampleTwo", created: NOW, amount: 2000, customer: "cus_ExampleAda" }),
      status: "succeeded" as const,
      amount_received: 2000,
    };
    const link = invoicePayment({
      id: "inpay_ExampleTwo",
      created: NOW,
      invoice: "in_ExampleTwo",
      amount: 2000,
      payment: { type: "payment_intent", payment_intent: paid.id },
    });
    const name = await deliver(database, [
      first,
      told("payment_intent.succeeded", NOW + 60, paid),
      told("invoice_payment.paid", NOW + 60, link),
      second,
    ]);
    const [alert] = await alertsOf(name, "two_subscriptions");
    expect(alert).toMatchObject({
      subscriptions: [{ invoice: `in_${name}Two`, payments: [`pi_${name}Two`] }, { payments: null }],
    });
  });

  it("of two customers who turn out to be one user are alerted with the link", async () => {
    const user = await database.signUp();
    const one = (id: string) =>
      told("customer.created", NOW, customer({ id, created: NOW, metadata: { owner_id: user } }));
    const other = plan("sub_ExampleTwo", { customer: "cus_ExampleBis" });
    const events = [
      first,
      told("customer.subscription.created", NOW, other),
      one("cus_ExampleAda"),
      one("cus_ExampleBis"),
    ];
    for (const order of [events, events.toReversed()]) {
      const name = await deliver(database, order);
      expect(await alertsOf(name, "two_subscriptions")).toHaveLength(1);
      await database.sql`delete from billing.subscriptions where id like ${`sub_${name}%`}`;
    }
  });

  it("are none where one has ended, is of another product, or was asked for", async () => {
    for (const other of [
      plan("sub_ExampleTwo", { status: "canceled", ended_at: NOW }),
      plan("sub_ExampleTwo", { status: "incomplete" }),
      plan("sub_ExampleTwo", {}, "price_ExampleTeam", "prod_ExampleTeam"),
      plan("sub_ExampleTwo", { metadata: { duebase_another: "true" } }),
    ]) {
      const name = await deliver(database, [first, told("customer.subscription.created", NOW + 60, other)]);
      expect(await alertsOf(name, "two_subscriptions")).toEqual([]);
    }
  });
});

describe("an invoice that is paid after its subscription has ended", () => {
  const ended = told(
    "customer.subscription.deleted",
    NOW + 1000,
    plan("sub_ExamplePlan", { status: "canceled", ended_at: NOW + 1000, canceled_at: NOW + 1000 }),
  );
  const bill = (values: object = {}) =>
    invoice({
      id: "in_ExampleLate",
      created: NOW,
      customer: "cus_ExampleAda",
      subscription: "sub_ExamplePlan",
      status: "paid",
      amount_paid: 2000,
      status_transitions: {
        finalized_at: NOW,
        paid_at: NOW + 2000,
        voided_at: null,
        marked_uncollectible_at: null,
      },
      ...values,
    } as never);
  const paid = (values: object = {}, at = NOW + 2000) => told("invoice.paid", at, bill(values));

  it("is alerted once, in any order", async () => {
    const repeated = told("invoice.payment_succeeded", NOW + 2000, bill());
    for (const name of await deliverInEveryOrder(database, [ended, paid(), repeated])) {
      const alerts = await alertsOf(name, "paid_after_end");
      expect(alerts).toHaveLength(1);
      expect(alerts[0]).toMatchObject({
        subscription: `sub_${name}Plan`,
        invoice: `in_${name}Late`,
        amount_paid: 2000,
      });
    }
  });

  it("is alerted as well by versions that tell no moment of payment", async () => {
    const old = paid({ status_transitions: undefined });
    for (const name of await deliverInEveryOrder(database, [ended, old])) {
      const [alert, ...others] = await alertsOf(name, "paid_after_end");
      expect(others).toEqual([]);
      expect(Date.parse(String(alert?.paid_at))).toBe((NOW + 2000) * 1000);
    }
    const before = paid({ status_transitions: undefined }, NOW + 500);
    expect(await alertsOf(await deliver(database, [ended, before]), "paid_after_end")).toEqual([]);
  });

  it("is as it should be before the end, for what was used until then, and where no money came", async () => {
    const transitions = { finalized_at: NOW, voided_at: null, marked_uncollectible_at: null };
    for (const right of [
      paid({ status_transitions: { ...transitions, paid_at: NOW + 500 } }, NOW + 500),
      paid({ created: NOW + 1000 }),
      paid({ amount_paid: 0 }),
    ]) {
      const name = await deliver(database, [ended, right]);
      expect(await alertsOf(name, "paid_after_end")).toEqual([]);
    }
  });
});
