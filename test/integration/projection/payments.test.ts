import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { inShapeOf, linksOf } from "../../support/old-shapes.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import type { StripeObject } from "../../support/stripe/events.ts";
import { invoice, invoicePayment } from "../../support/stripe/invoices.ts";
import { charge, declined, declinedOutcome, paymentIntent } from "../../support/stripe/payments.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const ada = "cus_ExampleAda";
const intent = paymentIntent({ id: "pi_ExampleBill", created: NOW, amount: 900, customer: ada });
const paidIntent = {
  ...intent,
  status: "succeeded" as const,
  amount_received: 900,
  latest_charge: "ch_ExampleBill",
};
const paidCharge = charge({
  id: "ch_ExampleBill",
  created: NOW,
  amount: 900,
  customer: ada,
  payment_intent: intent.id,
  receipt_url: "https://pay.example.com/receipts/1",
});
const paidBy = invoicePayment({
  id: "inpay_ExampleBill",
  created: NOW,
  invoice: "in_ExampleBill",
  amount: 900,
  payment: { type: "payment_intent", payment_intent: intent.id },
});
const bill = invoice({
  id: "in_ExampleBill",
  created: NOW,
  customer: ada,
  status: "paid",
  total: 900,
  amount_due: 900,
  amount_paid: 900,
  amount_remaining: 0,
});
const links = linksOf([paidBy as unknown as StripeObject]);
/** In the shape in which an invoice names its payment, and a payment its invoice. */
const old = (object: object) => inShapeOf("2022-11-15", object as StripeObject, links) as StripeObject;

const paymentsOf = async (name: string) =>
  await database.sql`
    select id, invoice_id, customer, amount, amount_received, amount_refunded, status, latest_charge, card_last4, failure_code
    from billing.payments where id like ${`%\\_${name}%`} or invoice_id = ${`in_${name}Bill`} order by id
  `;
const whole = (name: string) => ({
  id: `pi_${name}Bill`,
  invoice_id: `in_${name}Bill`,
  customer: `cus_${name}Ada`,
  amount: "900",
  amount_received: "900",
  amount_refunded: "0",
  status: "succeeded",
  latest_charge: `ch_${name}Bill`,
  card_last4: "4242",
  failure_code: null,
});

describe("money that moved once is one payment", () => {
  it("whichever of PaymentIntent, charge and InvoicePayment becomes known first", async () => {
    const events = [
      told("payment_intent.succeeded", NOW, paidIntent),
      told("charge.succeeded", NOW, paidCharge),
      told("invoice_payment.paid", NOW, paidBy),
      told("invoice.paid", NOW, bill),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await paymentsOf(name)).toEqual([whole(name)]);
  });

  it("whichever of the same becomes known first in the shape before basil", async () => {
    const events = [
      told("payment_intent.succeeded", NOW, old(paidIntent)),
      told("charge.succeeded", NOW, old(paidCharge)),
      told("invoice.paid", NOW, old(bill)),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await paymentsOf(name)).toEqual([whole(name)]);
  });

  it.each([
    [
      "the PaymentIntent",
      told("payment_intent.succeeded", NOW, paidIntent),
      { invoice_id: null, latest_charge: null, card_last4: null },
    ],
    ["the charge", told("charge.succeeded", NOW, paidCharge), { invoice_id: null }],
    [
      "the InvoicePayment",
      told("invoice_payment.paid", NOW, paidBy),
      { customer: null, latest_charge: null, card_last4: null },
    ],
    ["an old invoice", told("invoice.paid", NOW, old(bill)), { latest_charge: null, card_last4: null }],
  ])("also where only %s ever comes", async (_source, event, unknown) => {
    const name = await deliver(database, [event]);
    expect(await paymentsOf(name)).toEqual([{ ...whole(name), ...unknown }]);
  });

  it("but an invoice that merely names a payment is no payment yet", async () => {
    const name = await deliver(database, [
      told("invoice.finalized", NOW, old({ ...bill, status: "open", amount_paid: 0 })),
    ]);
    expect(await paymentsOf(name)).toEqual([]);
    await deliver(database, [told("payment_intent.created", NOW, intent)], name);
    expect(await paymentsOf(name)).toMatchObject([
      {
        id: `pi_${name}Bill`,
        invoice_id: `in_${name}Bill`,
        status: "requires_payment_method",
        amount_received: "0",
      },
    ]);
  });

  it("and an invoice paid out of band is one by itself where its version names nothing else, and none where a record will be named", async () => {
    const marked = { ...old(bill), paid_out_of_band: true, payment_intent: null, charge: null };
    const name = await deliver(database, [told("invoice.paid", NOW, marked)]);
    expect(await paymentsOf(name)).toMatchObject([{ id: `in_${name}Bill`, amount_received: "900" }]);
    expect(await paymentsOf(await deliver(database, [told("invoice.paid", NOW, bill)]))).toEqual([]);
  });

  it("though the payment that was waiting for it does not come in", async () => {
    const dropped = { ...intent, status: "canceled" as const, canceled_at: NOW };
    for (const name of await deliverInEveryOrder(database, [
      told("payment_intent.canceled", NOW, old(dropped)),
      told("invoice.paid", NOW, { ...old(bill), paid_out_of_band: true }),
    ]))
      expect(await paymentsOf(name)).toMatchObject([
        { id: `in_${name}Bill`, amount_received: "900", status: "succeeded" },
        { id: `pi_${name}Bill`, amount_received: "0", status: "canceled" },
      ]);
  });
});

describe("a payment of its own", () => {
  const isOneTime = async (name: string) =>
    (await database.sql`select is_one_time from billing.payments where id = ${`pi_${name}Bill`}`)[0]
      ?.is_one_time;

  it("is known as one-time, until an invoice turns out to be what it is for", async () => {
    const name = await deliver(database, [
      told("payment_intent.succeeded", NOW, paidIntent),
      told("charge.succeeded", NOW, paidCharge),
    ]);
    expect(await isOneTime(name)).toBe(true);
    await deliver(database, [told("invoice_payment.paid", NOW, paidBy)], name);
    expect(await isOneTime(name)).toBe(false);
    expect(
      await isOneTime(await deliver(database, [told("payment_intent.succeeded", NOW, old(paidIntent))])),
    ).toBe(false);
  });

  it("came in when its charge was made, not when the customer began", async () => {
    const late = { ...paidCharge, created: NOW + 3600 };
    for (const name of await deliverInEveryOrder(database, [
      told("payment_intent.succeeded", NOW + 3600, paidIntent),
      told("charge.succeeded", NOW + 3600, late),
    ])) {
      const [row] = await database.sql`
        select extract(epoch from created)::integer as created, extract(epoch from paid_at)::integer as paid_at
        from billing.payments where id = ${`pi_${name}Bill`}
      `;
      expect(row).toEqual({ created: NOW, paid_at: NOW + 3600 });
    }
  });
});

describe("a payment with several attempts", () => {
  const failedCharge = charge({
    id: "ch_ExampleFirst",
    created: NOW - 60,
    amount: 900,
    customer: ada,
    payment_intent: intent.id,
    status: "failed",
    ...declinedOutcome("insufficient_funds"),
  });
  const failedIntent = { ...intent, last_payment_error: declined("insufficient_funds", failedCharge.id) };

  it("shows why the last one failed, from the PaymentIntent or, until that is known, from the charge", async () => {
    const events = [
      told("charge.failed", NOW - 60, failedCharge),
      told("payment_intent.payment_failed", NOW - 60, failedIntent),
    ];
    for (const name of [
      ...(await deliverInEveryOrder(database, events)),
      await deliver(database, events.slice(0, 1)),
    ])
      expect(await paymentsOf(name)).toMatchObject([
        {
          id: `pi_${name}Bill`,
          status: "requires_payment_method",
          failure_code: "insufficient_funds",
          latest_charge: `ch_${name}First`,
          amount_received: "0",
        },
      ]);
  });

  it("shows the charge that succeeded, and no failure, in any order", async () => {
    const events = [
      told("charge.failed", NOW - 60, failedCharge),
      told("payment_intent.payment_failed", NOW - 60, failedIntent),
      told("charge.succeeded", NOW, paidCharge),
      told("payment_intent.succeeded", NOW, paidIntent),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await paymentsOf(name)).toEqual([{ ...whole(name), invoice_id: null }]);
  });
});

describe("a refund", () => {
  it("shows on the payment, also when it becomes known before the charge", async () => {
    const refunded = { ...paidCharge, amount_refunded: 400 };
    const events = [
      told("charge.succeeded", NOW, paidCharge),
      told("charge.refunded", NOW + 60, refunded, paidCharge),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await paymentsOf(name)).toMatchObject([{ id: `pi_${name}Bill`, amount_refunded: "400" }]);
  });
});

describe("a charge without a PaymentIntent", () => {
  it("is the payment itself, and is found by the invoice that names it", async () => {
    const alone = charge({ id: "ch_ExampleAlone", created: NOW, amount: 900, customer: ada });
    const byCharge = { ...paidBy, payment: { type: "charge" as const, charge: alone.id } };
    for (const name of await deliverInEveryOrder(database, [
      told("charge.succeeded", NOW, alone),
      told("invoice_payment.paid", NOW, byCharge),
    ]))
      expect(await paymentsOf(name)).toMatchObject([
        {
          id: `ch_${name}Alone`,
          invoice_id: `in_${name}Bill`,
          latest_charge: `ch_${name}Alone`,
          status: "succeeded",
        },
      ]);
  });
});
