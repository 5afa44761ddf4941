import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { completeCheckout, giveCardInPortal, setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { subscribe, typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

async function throughCheckout(params: Partial<Stripe.Checkout.SessionCreateParams> = {}) {
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock(null);
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    customer: customer.id,
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://app.example/done",
    ...params,
  });
  const { subscription } = await completeCheckout(stripe, session.id);
  return { clock, customer: customer.id, subscription: String(subscription) };
}

async function defaultsOf(customer: string, subscription: string) {
  const found = await stripe.customers.retrieve(customer);
  const { default_payment_method: own } = await stripe.subscriptions.retrieve(subscription);
  return {
    customer: "invoice_settings" in found ? found.invoice_settings.default_payment_method : null,
    subscription: own,
  };
}

async function newCard(customer: string, name = "pm_card_mastercard"): Promise<string> {
  return (await stripe.paymentMethods.attach(name, { customer })).id;
}

/** What the open invoice of a renewal that failed was last charged to. */
async function failedRenewal(subscription: string): Promise<Stripe.Invoice & { id: string }> {
  const { data } = await stripe.invoices.list({ subscription, status: "open", expand: ["data.payments"] });
  const invoice = data[0];
  if (!invoice) throw new Error(`${subscription} has no open invoice`);
  return invoice as Stripe.Invoice & { id: string };
}

test("Checkout gives the subscription a card of its own, once it has paid, and the customer none", async () => {
  const { customer, subscription } = await throughCheckout();
  const { customer: shared, subscription: own } = await defaultsOf(customer, subscription);
  expect(own).toMatch(/^pm_/);
  expect(shared).toBeNull();
  const about = harness.local.events.all().filter((event) => event.data.object.id === subscription);
  expect(about.map((event) => [event.type, event.data.object.default_payment_method])).toEqual([
    ["customer.subscription.created", null],
    ["customer.subscription.updated", own],
  ]);
  expect(about[1]?.data.previous_attributes).toEqual({ status: "incomplete", default_payment_method: null });
});

test("so it does where nothing is due yet", async () => {
  const trial = await throughCheckout({ subscription_data: { trial_period_days: 14 } });
  expect((await defaultsOf(trial.customer, trial.subscription)).subscription).toMatch(/^pm_/);
  const coupon = await stripe.coupons.create({ percent_off: 100, duration: "once" });
  const free = await throughCheckout({ discounts: [{ coupon: coupon.id }] });
  expect((await defaultsOf(free.customer, free.subscription)).subscription).toMatch(/^pm_/);
});

test("a card given in the portal is the customer's, and the subscription is still charged to its own", async () => {
  const { clock, customer, subscription } = await throughCheckout();
  const before = await defaultsOf(customer, subscription);
  await setCardOutcome(stripe, String(before.subscription), "insufficient_funds");
  await giveCardInPortal(stripe, customer, "pm_card_mastercard");
  const after = await defaultsOf(customer, subscription);
  expect(after.subscription).toBe(before.subscription);
  expect(after.customer).toMatch(/^pm_/);
  expect(after.customer).not.toBe(before.subscription);
  await harness.advance(clock, start + 32 * day);
  expect(await stripe.subscriptions.retrieve(subscription)).toMatchObject({ status: "past_due" });
});

test("a card the bank refuses is not saved in the portal", async () => {
  const { customer, subscription } = await throughCheckout();
  await expect(giveCardInPortal(stripe, customer, "pm_card_chargeDeclined")).rejects.toThrow("declined");
  expect((await defaultsOf(customer, subscription)).customer).toBeNull();
});

test("an invoice paid with a card that was named is paid with it, and no default changes", async () => {
  const { clock, customer, subscription } = await throughCheckout();
  const before = await defaultsOf(customer, subscription);
  await setCardOutcome(stripe, String(before.subscription), "insufficient_funds");
  await harness.advance(clock, start + 32 * day);
  const invoice = await failedRenewal(subscription);
  const card = await newCard(customer);
  expect(await stripe.invoices.pay(invoice.id, { payment_method: card })).toMatchObject({ status: "paid" });
  const intent = String(invoice.payments?.data[0]?.payment.payment_intent);
  expect(await stripe.paymentIntents.retrieve(intent)).toMatchObject({ payment_method: card });
  expect(await defaultsOf(customer, subscription)).toEqual(before);
});

test("a card of somebody else, or of nobody, pays no invoice", async () => {
  const { clock, customer, subscription } = await throughCheckout();
  await setCardOutcome(stripe, String((await defaultsOf(customer, subscription)).subscription), "lost_card");
  await harness.advance(clock, start + 32 * day);
  const { id } = await failedRenewal(subscription);
  const other = await stripe.customers.create({ payment_method: "pm_card_visa" });
  const { data } = await stripe.customers.listPaymentMethods(other.id);
  for (const payment_method of [data[0]?.id ?? "", "pm_card_visa"]) {
    const refused = await errorOf(stripe.invoices.pay(id, { payment_method }));
    expect(refused).toMatchObject({ statusCode: 400, code: "resource_missing", param: "payment_method" });
  }
  expect(await stripe.invoices.retrieve(id)).toMatchObject({ status: "open" });
});

test("on_subscription keeps the card of every payment that succeeds, not of the first alone", async () => {
  const { clock, customer, subscription } = await subscribe(harness, {
    payment_settings: { save_default_payment_method: "on_subscription" },
  });
  const first = await defaultsOf(customer.id, subscription.id);
  expect(first.subscription).toBe(first.customer);
  expect(typesAbout(harness, subscription.id)).toEqual(["customer.subscription.created"]);
  await setCardOutcome(stripe, String(first.subscription), "insufficient_funds");
  await harness.advance(clock, start + 32 * day);
  const card = await newCard(customer.id);
  await stripe.invoices.pay((await failedRenewal(subscription.id)).id, { payment_method: card });
  expect(await defaultsOf(customer.id, subscription.id)).toEqual({ ...first, subscription: card });
});

test("on_subscription keeps nothing where the invoice was paid without a charge", async () => {
  const { clock, customer, subscription } = await subscribe(harness, {
    payment_settings: { save_default_payment_method: "on_subscription" },
  });
  const before = await defaultsOf(customer.id, subscription.id);
  await setCardOutcome(stripe, String(before.subscription), "insufficient_funds");
  await harness.advance(clock, start + 32 * day);
  await stripe.invoices.pay((await failedRenewal(subscription.id)).id, { paid_out_of_band: true });
  expect(await defaultsOf(customer.id, subscription.id)).toEqual(before);
});
