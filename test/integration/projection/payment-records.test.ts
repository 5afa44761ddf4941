import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { inShapeOf, linksOf } from "../../support/old-shapes.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import type { StripeObject } from "../../support/stripe/events.ts";
import { invoice, invoicePayment } from "../../support/stripe/invoices.ts";
import { charge, paymentIntent } from "../../support/stripe/payments.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const bill = invoice({
  id: "in_ExampleBill",
  created: NOW,
  customer: "cus_ExampleAda",
  status: "paid",
  total: 900,
  amount_due: 900,
  amount_paid: 900,
  amount_remaining: 0,
});
const paidBy = (payment: object) =>
  told(
    "invoice_payment.paid",
    NOW,
    invoicePayment({
      id: "inpay_ExampleBill",
      created: NOW,
      invoice: bill.id,
      amount: 900,
      payment: payment as never,
    }),
  );
const byRecord = paidBy({ type: "payment_record", payment_record: "pr_ExampleBill" });
const paid = told("invoice.paid", NOW, bill);
/** As versions before 2025-03-31.basil tell of an invoice that was marked as paid past Stripe. */
const outOfBand = told("invoice.paid", NOW, {
  ...(inShapeOf("2022-11-15", bill as unknown as StripeObject, linksOf([])) as StripeObject),
  amount_paid: 0,
  paid_out_of_band: true,
});
const amount = (value: number) => ({ value, currency: "eur" });
/** A payment record as Stripe answers when it is asked for one. */
const recordOf = (name: string, values: object = {}) => ({
  id: `pr_${name}Bill`,
  object: "payment_record",
  amount: amount(900),
  amount_authorized: amount(900),
  amount_canceled: amount(0),
  amount_failed: amount(0),
  amount_guaranteed: amount(900),
  amount_refunded: amount(0),
  amount_requested: amount(900),
  application: null,
  created: NOW,
  customer_details: { customer: `cus_${name}Ada`, email: null, name: null, phone: null },
  description: null,
  livemode: false,
  metadata: {},
  payment_method_details: {
    type: "custom",
    custom: { display_name: "Cash", type: null },
    payment_method: null,
  },
  processor_details: { type: "custom", custom: { payment_reference: "r-1" } },
  reported_by: "self",
  ...values,
});
const read = (object: object, at: number) => database.sql`
  select billing.apply_refresh(${database.sql.json(object as never)}, to_timestamp(${at}))
`;

/** The payments of a name, and what they come to in the revenue of the day. */
const paymentsOf = async (name: string) => [
  ...(await database.sql`
    select id, invoice_id, amount_received::integer as received, amount_refunded::integer as refunded, status, outcome,
      payment_method_type as type, payment_method_name as name, card_last4, paid_at is not null as is_dated
    from billing.payments where id like ${`%\\_${name}%`} or invoice_id = ${`in_${name}Bill`} order by id
  `),
];
const whole = (name: string) => ({
  id: `pr_${name}Bill`,
  invoice_id: `in_${name}Bill`,
  received: 900,
  refunded: 0,
  status: "succeeded",
  outcome: "paid",
  type: null,
  name: null,
  card_last4: null,
  is_dated: true,
});

describe("money that came past Stripe", () => {
  it("is a payment of its invoice, in any order, and its payment record is read", async () => {
    for (const name of await deliverInEveryOrder(database, [paid, byRecord])) {
      expect(await paymentsOf(name)).toEqual([whole(name)]);
      expect(
        await database.sql`select payment_record from billing.invoice_payments where invoice = ${`in_${name}Bill`}`,
      ).toEqual([{ payment_record: `pr_${name}Bill` }]);
      const reads = await database.sql`
        select payload - 'event' as payload from billing.outbox
        where kind = 'refresh' and payload ->> 'id' = ${`pr_${name}Bill`}
      `;
      expect([...reads]).toEqual([{ payload: { object: "payment_record", id: `pr_${name}Bill` } }]);
    }
  });

  it("is what the payment record says once it is read, before or after the invoice", async () => {
    const named = { ...whole("x"), type: "custom", name: "Cash" };
    const first = await deliver(database, [paid, byRecord]);
    await read(recordOf(first), NOW + 5);
    expect(await paymentsOf(first)).toEqual([
      { ...named, id: `pr_${first}Bill`, invoice_id: `in_${first}Bill` },
    ]);
    await read(recordOf(first, { amount_refunded: amount(300) }), NOW + 60);
    expect(await paymentsOf(first)).toMatchObject([{ refunded: 300, outcome: "partially_refunded" }]);
  });

  it("of an older version's invoice goes by the invoice, until the record is named: never two rows", async () => {
    const noted = { ...outOfBand.data.object, metadata: { note: "paid in cash" } };
    const alone = await deliver(database, [told("invoice.paid", NOW, noted)]);
    expect(
      await database.sql`select metadata from billing.object_metadata where object_id = ${`in_${alone}Bill`}`,
    ).toEqual([{ metadata: { note: "paid in cash" } }]);
    expect(await paymentsOf(alone)).toEqual([{ ...whole(alone), id: `in_${alone}Bill` }]);
    for (const name of await deliverInEveryOrder(database, [outOfBand, byRecord]))
      expect(await paymentsOf(name)).toEqual([whole(name)]);
  });

  it("that a PaymentIntent recorded is that PaymentIntent's, whichever becomes known first", async () => {
    const intent = {
      ...paymentIntent({ id: "pi_ExampleBill", created: NOW, amount: 900, customer: "cus_ExampleAda" }),
      status: "succeeded" as const,
      amount_received: 900,
      latest_charge: "ch_ExampleBill",
      payment_record: "pr_ExampleBill",
    };
    const taken = charge({
      id: "ch_ExampleBill",
      created: NOW,
      amount: 900,
      customer: "cus_ExampleAda",
      payment_intent: intent.id,
    });
    const events = [
      told("payment_intent.succeeded", NOW, intent),
      told("charge.succeeded", NOW, taken),
      byRecord,
      paid,
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await paymentsOf(name)).toEqual([
        { ...whole(name), id: `pi_${name}Bill`, type: "card", card_last4: "4242" },
      ]);
    const late = await deliver(database, [byRecord]);
    await read(recordOf(late), NOW + 5);
    await deliver(database, events.slice(0, 2), late);
    expect(await paymentsOf(late)).toMatchObject([
      { id: `pi_${late}Bill`, received: 900, card_last4: "4242" },
    ]);
  });

  it("counts once in the day's revenue", async () => {
    const own = await createTestDatabase();
    try {
      await deliver(own, [outOfBand, byRecord, paid]);
      expect([
        ...(await own.sql`select payments::integer, gross::integer, net::integer from billing.revenue`),
      ]).toEqual([{ payments: 1, gross: 900, net: 900 }]);
    } finally {
      await own.drop();
    }
  });
});
