import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

async function draft(params: Partial<Stripe.InvoiceCreateParams> = {}, card?: string | null) {
  const { clock, customer } = await harness.customerOnClock(card);
  await stripe.invoiceItems.create({
    customer: customer.id,
    amount: 2500,
    currency: "usd",
    description: "Setup",
  });
  const invoice = await stripe.invoices.create({
    customer: customer.id,
    pending_invoice_items_behavior: "include",
    ...params,
  });
  return { clock, customer, invoice };
}

function about(id: string): string[] {
  return harness.local.events
    .all()
    .filter((event) => event.data.object.id === id)
    .map((event) => event.type);
}

test("an invoice goes from draft to open to paid, with number, links and a payment of its own", async () => {
  const { invoice } = await draft();
  expect(invoice).toMatchObject({ status: "draft", total: 2500, number: null, hosted_invoice_url: null });
  const open = await stripe.invoices.finalizeInvoice(invoice.id);
  expect(open).toMatchObject({ status: "open", amount_due: 2500, amount_remaining: 2500 });
  expect(open.number).toMatch(/-0001$/);
  expect(open.hosted_invoice_url).toContain(`/i/${invoice.id}/`);
  expect(open.invoice_pdf).toContain("/pdf");
  const paid = await stripe.invoices.pay(invoice.id, { expand: ["payments"] });
  expect(paid).toMatchObject({ status: "paid", amount_paid: 2500, amount_remaining: 0, attempted: true });
  expect("paid" in paid || "payment_intent" in paid || "charge" in paid).toBe(false);
  const payment = paid.payments?.data[0];
  expect(await stripe.invoicePayments.retrieve(payment?.id ?? "")).toMatchObject({
    status: "paid",
    invoice: invoice.id,
    payment: { type: "payment_intent" },
  });
  expect((await stripe.invoicePayments.list({ invoice: invoice.id })).data).toHaveLength(1);
  expect(about(invoice.id)).toEqual([
    "invoice.created",
    "invoice.updated",
    "invoice.finalized",
    "invoice.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
  ]);
  expect(about(payment?.id ?? "")).toEqual(["invoice_payment.paid"]);
});

test("paying twice is refused, and the money is taken once", async () => {
  const { invoice, customer } = await draft();
  await stripe.invoices.pay(invoice.id);
  expect((await errorOf(stripe.invoices.pay(invoice.id))).message).toBe("Invoice is already paid");
  expect(harness.local.ledger.count({ kind: "charge.succeeded", customer: customer.id })).toBe(1);
});

test("two payments under one key are one payment", async () => {
  const { invoice, customer } = await draft();
  const options = { idempotencyKey: `pay-${invoice.id}` };
  const first = await stripe.invoices.pay(invoice.id, {}, options);
  const second = await stripe.invoices.pay(invoice.id, {}, options);
  expect([first.status, second.status]).toEqual(["paid", "paid"]);
  expect(harness.local.ledger.count({ kind: "charge.succeeded", customer: customer.id })).toBe(1);
});

test("a declined payment answers 402, counts one attempt, and a better card pays it", async () => {
  const { invoice, customer } = await draft({}, "pm_card_chargeCustomerFail");
  const error = await errorOf(stripe.invoices.pay(invoice.id));
  expect(error).toMatchObject({ statusCode: 402, code: "card_declined" });
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: "open", attempt_count: 1 });
  expect(about(invoice.id)).toContain("invoice.payment_failed");
  const visa = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
  expect(await stripe.invoices.pay(invoice.id, { payment_method: visa.id })).toMatchObject({
    status: "paid",
  });
});

test("a payment that needs the customer says so, and their answer pays it", async () => {
  const { invoice } = await draft({}, "pm_card_authenticationRequired");
  const error = await errorOf(stripe.invoices.pay(invoice.id));
  expect(error).toMatchObject({ statusCode: 402, code: "invoice_payment_intent_requires_action" });
  expect(about(invoice.id)).toContain("invoice.payment_action_required");
  const waiting = await stripe.invoices.retrieve(invoice.id, { expand: ["payments"] });
  const intent = String(waiting.payments?.data[0]?.payment.payment_intent);
  expect(await stripe.paymentIntents.retrieve(intent)).toMatchObject({ status: "requires_action" });
  await stripe.rawRequest("POST", `/v1/test_helpers/duebase/payment_intents/${intent}/authenticate`, {});
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: "paid" });
});

test("without any card the attempt fails with words of its own", async () => {
  const { invoice } = await draft({}, null);
  const error = await errorOf(stripe.invoices.pay(invoice.id));
  expect(error.statusCode).toBe(400);
  expect(error.message).toContain("no `default_payment_method`");
});

// "The amount_paid field on the Invoice object now reflects out of band payments": changelog of 2025-03-31.basil. How much
// of it came past Stripe is computed from payment records (2026-05-27.dahlia), and is in no event.
test("out of band takes no money at Stripe and closes the PaymentIntent: a payment record pays", async () => {
  const { invoice, customer } = await draft();
  const expand = ["payments", "amount_paid_off_stripe"];
  const paid = await stripe.invoices.pay(invoice.id, { paid_out_of_band: true, expand });
  expect(paid).toMatchObject({
    status: "paid",
    amount_paid: 2500,
    amount_paid_off_stripe: 2500,
    amount_remaining: 0,
  });
  expect(paid).toMatchObject({ attempted: false });
  expect(paid.payments?.data.map(({ status, payment }) => [payment.type, status])).toEqual([
    ["payment_record", "paid"],
    ["payment_intent", "canceled"],
  ]);
  expect(
    await stripe.paymentRecords.retrieve(String(paid.payments?.data[0]?.payment.payment_record)),
  ).toMatchObject({
    amount_guaranteed: { value: 2500 },
    customer_details: { customer: customer.id },
  });
  const told = harness.local.events
    .all()
    .filter(({ data }) => (data.object as { id: string }).id === invoice.id);
  expect(told.some(({ data }) => "amount_paid_off_stripe" in data.object)).toBe(false);
  expect(harness.local.ledger.count({ kind: "charge.succeeded", customer: customer.id })).toBe(0);
});

test("void, uncollectible and delete are allowed in their states and nowhere else", async () => {
  const { invoice: voided } = await draft();
  expect(await errorOf(stripe.invoices.voidInvoice(voided.id))).toMatchObject({ statusCode: 400 });
  await stripe.invoices.finalizeInvoice(voided.id);
  expect(await stripe.invoices.voidInvoice(voided.id)).toMatchObject({ status: "void" });
  expect(await errorOf(stripe.invoices.voidInvoice(voided.id))).toMatchObject({ statusCode: 400 });
  expect(await errorOf(stripe.invoices.pay(voided.id))).toMatchObject({ statusCode: 400 });

  const { invoice: written } = await draft();
  await stripe.invoices.finalizeInvoice(written.id);
  const uncollectible = await stripe.invoices.markUncollectible(written.id);
  expect(uncollectible.status).toBe("uncollectible");
  expect(uncollectible.status_transitions.marked_uncollectible_at).toBe(start);
  expect(await stripe.invoices.pay(written.id)).toMatchObject({ status: "paid" });

  const { invoice: deleted, customer } = await draft();
  expect(await stripe.invoices.del(deleted.id)).toMatchObject({ deleted: true });
  expect(await errorOf(stripe.invoices.retrieve(deleted.id))).toMatchObject({ code: "resource_missing" });
  expect((await stripe.invoiceItems.list({ customer: customer.id, pending: true })).data).toHaveLength(1);
  expect(await errorOf(stripe.invoices.del(written.id))).toMatchObject({ statusCode: 400 });
});

test("a draft with auto_advance becomes final an hour later and is paid; without it nothing happens", async () => {
  const { invoice, clock } = await draft({ auto_advance: true });
  expect(invoice.automatically_finalizes_at).toBe(start + 3600);
  const { invoice: idle, clock: other } = await draft();
  await harness.advance(clock, start + 2 * 3600);
  await harness.advance(other, start + 2 * day);
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: "paid" });
  expect(await stripe.invoices.retrieve(idle.id)).toMatchObject({ status: "draft" });
});

test("a credit balance is used first", async () => {
  const { customer, invoice } = await draft();
  await stripe.customers.update(customer.id, { balance: -1000 });
  const open = await stripe.invoices.finalizeInvoice(invoice.id);
  expect(open).toMatchObject({ total: 2500, starting_balance: -1000, ending_balance: 0, amount_due: 1500 });
  expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ balance: 0 });
});

test("items can be put on, changed on and taken off a draft", async () => {
  const { customer, invoice } = await draft();
  const item = await stripe.invoiceItems.create({
    customer: customer.id,
    invoice: invoice.id,
    amount: 500,
    currency: "usd",
  });
  expect((await stripe.invoices.retrieve(invoice.id)).total).toBe(3000);
  await stripe.invoiceItems.update(item.id, { amount: 700 });
  expect((await stripe.invoices.retrieve(invoice.id)).total).toBe(3200);
  await stripe.invoiceItems.del(item.id);
  expect((await stripe.invoices.retrieve(invoice.id)).total).toBe(2500);
  const lines = await stripe.invoices.listLineItems(invoice.id);
  expect(lines.data[0]).toMatchObject({ amount: 2500, parent: { type: "invoice_item_details" } });
});

test("a preview shows the next renewal and stores nothing", async () => {
  const price = await harness.monthlyPrice();
  const { customer } = await harness.customerOnClock();
  const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const preview = await stripe.invoices.createPreview({ customer: customer.id, subscription: id });
  expect(preview).toMatchObject({ total: 2000, status: "draft", billing_reason: "upcoming" });
  expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
});

test("zero-decimal currencies count in their smallest unit", async () => {
  const product = await stripe.products.create({ name: "Yen" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "jpy",
    unit_amount: 500,
    recurring: { interval: "month" },
  });
  const { customer } = await harness.customerOnClock();
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  const invoice = await stripe.invoices.retrieve(String(subscription.latest_invoice));
  expect(invoice).toMatchObject({ currency: "jpy", amount_paid: 500 });
  expect(invoice.lines.data[0]?.description).toContain("¥500");
});
