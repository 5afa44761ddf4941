import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { subscribe } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

/** A draft of 25 dollars, in a customer's name. */
async function draft(params: Partial<Stripe.InvoiceCreateParams> = {}, balance = 0) {
  const { customer } = await harness.customerOnClock();
  if (balance !== 0) await stripe.customers.update(customer.id, { balance });
  await stripe.invoiceItems.create({ customer: customer.id, amount: 2500, currency: "usd" });
  const invoice = await stripe.invoices.create({
    customer: customer.id,
    pending_invoice_items_behavior: "include",
    ...params,
  });
  return { customer: customer.id, id: invoice.id };
}

async function open(params: Partial<Stripe.InvoiceCreateParams> = {}, balance = 0) {
  const made = await draft(params, balance);
  return { ...made, invoice: await stripe.invoices.finalizeInvoice(made.id) };
}

/** Whether the parts of an invoice make what is due. */
function expectSum(it: Stripe.Invoice): void {
  const sum = (amounts: { amount: number }[] | null): number =>
    (amounts ?? []).reduce((total, { amount }) => total + amount, 0);
  const lines = sum(it.lines.data);
  expect(it.total).toBe(
    lines - sum(it.total_pretax_credit_amounts) + sum(it.total_taxes) + it.amount_shipping,
  );
  const applied = (it.ending_balance ?? 0) - it.starting_balance;
  expect(it.amount_due).toBe(Math.max(0, it.total - applied) - it.pre_payment_credit_notes_amount);
  expect(it.amount_remaining).toBe(it.amount_due - it.amount_paid);
}

async function balanceOf(customer: string): Promise<number | undefined> {
  const found = await stripe.customers.retrieve(customer);
  return "balance" in found ? found.balance : undefined;
}

async function paymentsOf(invoice: string) {
  const { data } = await stripe.invoicePayments.list({ invoice });
  return data.map((it) => [it.payment.type, it.status, it.amount_paid]);
}

describe("credit notes", () => {
  test("before payment a part lowers what is due, and the rest is charged", async () => {
    const { id } = await open();
    const note = await stripe.creditNotes.create({ invoice: id, amount: 500, reason: "order_change" });
    expect(note).toMatchObject({
      type: "pre_payment",
      status: "issued",
      pre_payment_amount: 500,
      post_payment_amount: 0,
    });
    const lowered = await stripe.invoices.retrieve(id);
    expect(lowered).toMatchObject({
      status: "open",
      total: 2500,
      amount_due: 2000,
      amount_remaining: 2000,
      pre_payment_credit_notes_amount: 500,
    });
    expectSum(lowered);
    const paid = await stripe.invoices.pay(id);
    expect(paid).toMatchObject({ status: "paid", amount_paid: 2000, amount_remaining: 0 });
    expectSum(paid);
    expect(await paymentsOf(id)).toEqual([["payment_intent", "paid", 2000]]);
  });

  test("before payment the whole of it pays the invoice without money", async () => {
    const { id, customer } = await open();
    await stripe.creditNotes.create({ invoice: id, amount: 2500 });
    const paid = await stripe.invoices.retrieve(id);
    expect(paid).toMatchObject({
      status: "paid",
      total: 2500,
      amount_due: 0,
      amount_paid: 0,
      pre_payment_credit_notes_amount: 2500,
    });
    expectSum(paid);
    expect(await paymentsOf(id)).toEqual([["payment_intent", "canceled", null]]);
    expect(harness.local.ledger.count({ kind: "charge.succeeded", customer })).toBe(0);
    const about = harness.local.events.all().filter((it) => it.data.object.id === id);
    expect(about.map((it) => it.type)).toContain("invoice.paid");
  });

  test("after payment money goes back to the card, to the balance, or elsewhere", async () => {
    const { id, customer } = await open();
    await stripe.invoices.pay(id);
    const note = await stripe.creditNotes.create({
      invoice: id,
      amount: 1500,
      refund_amount: 700,
      credit_amount: 500,
      out_of_band_amount: 300,
    });
    expect(note).toMatchObject({ type: "post_payment", post_payment_amount: 1500, out_of_band_amount: 300 });
    expect(await stripe.refunds.retrieve(String(note.refunds[0]?.refund))).toMatchObject({ amount: 700 });
    expect(await balanceOf(customer)).toBe(-500);
    expect(await stripe.invoices.retrieve(id)).toMatchObject({
      status: "paid",
      amount_paid: 2500,
      post_payment_credit_notes_amount: 1500,
    });
    const types = harness.local.events.all().map((it) => it.type);
    expect(types).toContain("credit_note.created");
  });

  test("no more is credited than there is, and what is not shared out is refused", async () => {
    const { id } = await open();
    await stripe.invoices.pay(id);
    const unshared = stripe.creditNotes.create({ invoice: id, amount: 500 });
    expect(await errorOf(unshared)).toMatchObject({ statusCode: 400 });
    const tooMuch = stripe.creditNotes.create({ invoice: id, amount: 2600, credit_amount: 2600 });
    expect(await errorOf(tooMuch)).toMatchObject({ statusCode: 400 });
    const early = await draft();
    expect(await errorOf(stripe.creditNotes.create({ invoice: early.id, amount: 100 }))).toMatchObject({
      statusCode: 400,
    });
  });

  test("voided, it is owed again", async () => {
    const { id } = await open();
    const note = await stripe.creditNotes.create({ invoice: id, amount: 500 });
    expect(await stripe.creditNotes.voidCreditNote(note.id)).toMatchObject({ status: "void" });
    const again = await stripe.invoices.retrieve(id);
    expect(again).toMatchObject({ amount_due: 2500, pre_payment_credit_notes_amount: 0 });
    expectSum(again);
  });
});

describe("the customer's balance", () => {
  test.each([
    ["credit for a part", -1000, 1500, 0],
    ["more credit than the invoice asks", -4000, 0, -1500],
    ["a debt from before", 700, 3200, 0],
  ])("%s is applied", async (_, balance, due, left) => {
    const { invoice, customer } = await open({}, balance);
    expect(invoice).toMatchObject({
      total: 2500,
      starting_balance: balance,
      ending_balance: left,
      amount_due: due,
      status: due === 0 ? "paid" : "open",
    });
    expectSum(invoice);
    expect(await balanceOf(customer)).toBe(left);
    const { data } = await stripe.customers.listBalanceTransactions(customer);
    expect(data[0]).toMatchObject({
      type: "applied_to_invoice",
      amount: left - balance,
      ending_balance: left,
      invoice: invoice.id,
    });
  });

  test("it can be adjusted", async () => {
    const customer = await stripe.customers.create({});
    await stripe.customers.createBalanceTransaction(customer.id, { amount: -300, currency: "usd" });
    expect(await balanceOf(customer.id)).toBe(-300);
  });
});

test("shipping is part of the total", async () => {
  const { id } = await draft({
    shipping_cost: {
      shipping_rate_data: { display_name: "Parcel", fixed_amount: { amount: 590, currency: "usd" } },
    },
  });
  const invoice = await stripe.invoices.finalizeInvoice(id);
  expect(invoice).toMatchObject({
    subtotal: 2500,
    amount_shipping: 590,
    total: 3090,
    amount_due: 3090,
    shipping_cost: { amount_total: 590 },
  });
  expectSum(invoice);
  expect(await stripe.shippingRates.retrieve(String(invoice.shipping_cost?.shipping_rate))).toMatchObject({
    display_name: "Parcel",
  });
});

test("billing credit is spent on its prices before tax, renewal by renewal, and then money is taken again", async () => {
  const { subscription, customer, price, clock } = await subscribe(harness);
  await stripe.billing.creditGrants.create({
    customer: customer.id,
    amount: { type: "monetary", monetary: { value: 2500, currency: "usd" } },
    applicability_config: { scope: { prices: [{ id: price.id }] } },
  });
  await harness.advance(clock, start + 65 * day);
  const { data } = await stripe.invoices.list({ subscription: subscription.id });
  const [second, first] = data;
  expect(first).toMatchObject({ subtotal: 2000, total: 0, amount_paid: 0, status: "paid" });
  expect(first?.total_pretax_credit_amounts).toMatchObject([
    { amount: 2000, type: "credit_balance_transaction" },
  ]);
  expect(second).toMatchObject({ subtotal: 2000, total: 1500, amount_paid: 1500, status: "paid" });
  for (const invoice of data) expectSum(invoice);
});

test("discounts are among the pretax amounts", async () => {
  const coupon = await stripe.coupons.create({ percent_off: 25, duration: "forever" });
  const { subscription } = await subscribe(harness, { discounts: [{ coupon: coupon.id }] });
  const invoice = await stripe.invoices.retrieve(String(subscription.latest_invoice));
  expect(invoice.total_pretax_credit_amounts).toMatchObject([{ amount: 500, type: "discount" }]);
  expectSum(invoice);
});

describe("payment records", () => {
  function report(value: number): Promise<Stripe.PaymentRecord> {
    return stripe.paymentRecords.reportPayment({
      amount_requested: { value, currency: "usd" },
      initiated_at: start,
      outcome: "guaranteed",
      guaranteed: { guaranteed_at: start },
      payment_method_details: { type: "custom", custom: { display_name: "Wire" } },
    });
  }

  test("one pays an invoice without a PaymentIntent or a charge", async () => {
    const { id, customer } = await open();
    const record = await report(2500);
    const paid = await stripe.invoices.attachPayment(id, { payment_record: record.id });
    expect(paid).toMatchObject({ status: "paid", amount_paid: 2500, amount_remaining: 0 });
    expectSum(paid);
    expect(await paymentsOf(id)).toEqual([
      ["payment_record", "paid", 2500],
      ["payment_intent", "canceled", null],
    ]);
    expect(harness.local.ledger.count({ kind: "charge.succeeded", customer })).toBe(0);
    const told = harness.local.events
      .all()
      .filter((it) => it.type === "invoice_payment.paid")
      .at(-1);
    expect(told?.data.object).toMatchObject({
      invoice: id,
      payment: { type: "payment_record", payment_record: record.id },
    });
  });

  test("two pay it in parts, and what is too much is credited", async () => {
    const { id, customer } = await open();
    const part = await stripe.invoices.attachPayment(id, { payment_record: (await report(1000)).id });
    expect(part).toMatchObject({ status: "open", amount_paid: 1000, amount_remaining: 1500 });
    expectSum(part);
    const paid = await stripe.invoices.attachPayment(id, { payment_record: (await report(1800)).id });
    expect(paid).toMatchObject({ status: "paid", amount_paid: 2500, amount_overpaid: 300 });
    expect(await balanceOf(customer)).toBe(-300);
  });
});

test("a rest paid out of band is paid beside what was paid before", async () => {
  const { id } = await open();
  await stripe.rawRequest("POST", `/v1/test_helpers/duebase/invoices/${id}/pay_part`, { amount: 1000 });
  const paid = await stripe.invoices.pay(id, { paid_out_of_band: true });
  expect(paid).toMatchObject({ status: "paid", amount_paid: 2500 });
  expect(await paymentsOf(id)).toContainEqual(["payment_record", "paid", 1500]);
  expectSum(paid);
});
