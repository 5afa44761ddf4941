import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { latestInvoice, subscribe, typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

test("the first invoice is paid at once, and the period is on the item", async () => {
  const { subscription, customer } = await subscribe(harness);
  expect(subscription.status).toBe("active");
  expect(subscription.items.data[0]).toMatchObject({
    current_period_start: start,
    current_period_end: Date.UTC(2026, 1, 15, 9) / 1000,
    quantity: 1,
  });
  expect("current_period_end" in subscription).toBe(false);
  const invoice = await latestInvoice(stripe, subscription);
  expect(invoice).toMatchObject({
    status: "paid",
    billing_reason: "subscription_create",
    amount_paid: 2000,
    customer: customer.id,
    parent: { type: "subscription_details", subscription_details: { subscription: subscription.id } },
  });
  expect(invoice.payments?.data[0]).toMatchObject({ status: "paid", amount_paid: 2000, is_default: true });
  expect(typesAbout(harness, subscription.id)).toEqual(["customer.subscription.created"]);
});

test("a declined first payment leaves it incomplete, and paying the invoice makes it active", async () => {
  const { subscription, customer } = await subscribe(harness, {}, "pm_card_chargeCustomerFail");
  expect(subscription.status).toBe("incomplete");
  const visa = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
  await stripe.invoices.pay(String(subscription.latest_invoice), { payment_method: visa.id });
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "active" });
  expect(typesAbout(harness, subscription.id)).toEqual([
    "customer.subscription.created",
    "customer.subscription.updated",
  ]);
});

test("error_if_incomplete refuses with the decline and leaves nothing behind", async () => {
  const price = await harness.monthlyPrice();
  const { customer } = await harness.customerOnClock("pm_card_chargeCustomerFail");
  const error = await errorOf(
    stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      payment_behavior: "error_if_incomplete",
    }),
  );
  expect(error).toMatchObject({ statusCode: 402, code: "card_declined", decline_code: "generic_decline" });
  expect((await stripe.subscriptions.list({ customer: customer.id, status: "all" })).data).toEqual([]);
  expect((await stripe.invoices.list({ customer: customer.id })).data).toEqual([]);
});

test("without anything to charge it is refused; a trial asks for a card with a SetupIntent", async () => {
  const price = await harness.monthlyPrice();
  const { customer } = await harness.customerOnClock(null);
  const items = [{ price: price.id }];
  const error = await errorOf(stripe.subscriptions.create({ customer: customer.id, items }));
  expect(error).toMatchObject({ statusCode: 400, code: "resource_missing" });
  const trial = await stripe.subscriptions.create({ customer: customer.id, items, trial_period_days: 7 });
  expect(trial.status).toBe("trialing");
  expect(await stripe.setupIntents.retrieve(String(trial.pending_setup_intent))).toMatchObject({
    status: "requires_payment_method",
  });
  const invoice = await latestInvoice(stripe, trial);
  expect(invoice).toMatchObject({ status: "paid", amount_due: 0, total: 0 });
  expect(invoice.payments?.data).toEqual([]);
});

test("default_incomplete waits for the PaymentIntent to be confirmed", async () => {
  const { subscription } = await subscribe(harness, { payment_behavior: "default_incomplete" }, null);
  expect(subscription.status).toBe("incomplete");
  const invoice = await latestInvoice(stripe, subscription);
  const intent = String(invoice.payments?.data[0]?.payment.payment_intent);
  await stripe.paymentIntents.confirm(intent, { payment_method: "pm_card_visa" });
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "active" });
});

test("a trial of three days or less is announced at once", async () => {
  const { subscription } = await subscribe(harness, { trial_period_days: 2 });
  expect(typesAbout(harness, subscription.id)).toContain("customer.subscription.trial_will_end");
});

test("a coupon and a tax rate show in the totals", async () => {
  const coupon = await stripe.coupons.create({ percent_off: 25, duration: "once" });
  const rate = await stripe.taxRates.create({ display_name: "VAT", percentage: 20, inclusive: false });
  const { subscription, clock } = await subscribe(harness, {
    discounts: [{ coupon: coupon.id }],
    default_tax_rates: [rate.id],
  });
  expect(await latestInvoice(stripe, subscription)).toMatchObject({
    subtotal: 2000,
    total_discount_amounts: [{ amount: 500 }],
    total_taxes: [{ amount: 300 }],
    total: 1800,
    amount_paid: 1800,
  });
  await harness.advance(clock, start + 32 * day);
  const renewed = await stripe.subscriptions.retrieve(subscription.id);
  expect(await latestInvoice(stripe, renewed)).toMatchObject({ total: 2400 });
});
