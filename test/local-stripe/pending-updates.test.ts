import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { latestInvoice, subscribe, typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;
const hour = 3600;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

async function upgrade(subscription: Stripe.Subscription, amount = 4000) {
  const dearer = await harness.monthlyPrice(amount);
  return stripe.subscriptions.update(subscription.id, {
    items: [{ id: subscription.items.data[0]?.id, price: dearer.id }],
    proration_behavior: "always_invoice",
    payment_behavior: "pending_if_incomplete",
  });
}

/** A subscriber who has asked for a dearer plan `days` into the month, with a card that is declined. */
async function declinedUpgrade(days = 10) {
  const subscriber = await subscribe(harness);
  const card = String((await defaultOf(subscriber.customer.id)) ?? "");
  await setCardOutcome(stripe, card, "insufficient_funds");
  await harness.advance(subscriber.clock, start + days * day);
  const waiting = await upgrade(subscriber.subscription);
  return { ...subscriber, card, waiting, invoice: String(waiting.latest_invoice) };
}

async function defaultOf(customer: string) {
  const found = await stripe.customers.retrieve(customer);
  return "invoice_settings" in found ? found.invoice_settings.default_payment_method : null;
}

test("a declined upgrade leaves the subscription active on its old plan, and its invoice open", async () => {
  const { waiting, invoice, subscription, customer } = await declinedUpgrade();
  expect(waiting.status).toBe("active");
  expect(waiting.items.data[0]?.price.unit_amount).toBe(2000);
  expect(waiting.pending_update?.subscription_items?.[0]?.price.unit_amount).toBe(4000);
  expect(waiting.pending_update?.expires_at).toBe(start + 10 * day + 23 * hour);
  expect(await latestInvoice(stripe, waiting)).toMatchObject({
    id: invoice,
    status: "open",
    billing_reason: "subscription_update",
    attempted: true,
    next_payment_attempt: null,
  });
  const told = harness.local.events.all().filter((event) => event.data.object.id === subscription.id);
  expect(told.map((event) => event.data.object.status)).not.toContain("past_due");
  expect(told.filter((event) => event.type === "customer.subscription.updated")).toHaveLength(1);
  expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ delinquent: false });
});

test("it expires after 23 hours, and its invoice is voided then by Stripe itself", async () => {
  const { clock, invoice, subscription } = await declinedUpgrade();
  await harness.advance(clock, start + 10 * day + 22 * hour);
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({ status: "open" });
  await harness.advance(clock, start + 11 * day);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    status: "active",
    pending_update: null,
  });
  const voided = await stripe.invoices.retrieve(invoice);
  expect(voided).toMatchObject({ status: "void", attempt_count: 1 });
  expect(voided.status_transitions.voided_at).toBe(start + 10 * day + 23 * hour);
  const happened = harness.local.events
    .all()
    .filter((event) => event.created === start + 10 * day + 23 * hour);
  expect(happened.map((event) => event.type)).toEqual(
    expect.arrayContaining(["customer.subscription.pending_update_expired", "invoice.voided"]),
  );
  expect(happened.every((event) => event.request?.id === null)).toBe(true);
});

test("it expires no later than the period it was asked for in, which renews on the old plan", async () => {
  const { clock, invoice, waiting, card, subscription } = await declinedUpgrade(30.5);
  const end = waiting.items.data[0]?.current_period_end ?? 0;
  expect(waiting.pending_update?.expires_at).toBe(end);
  await setCardOutcome(stripe, card, "succeed");
  await harness.advance(clock, end + 2 * hour);
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({ status: "void" });
  const renewed = await stripe.subscriptions.retrieve(subscription.id);
  expect(renewed.status).toBe("active");
  expect(renewed.items.data[0]?.price.unit_amount).toBe(2000);
  expect(await latestInvoice(stripe, renewed)).toMatchObject({ status: "paid", amount_paid: 2000 });
});

test("a payment in time applies it", async () => {
  const { clock, customer, invoice, subscription } = await declinedUpgrade();
  const better = await stripe.paymentMethods.attach("pm_card_mastercard", { customer: customer.id });
  await stripe.invoices.pay(invoice, { payment_method: better.id });
  const applied = await stripe.subscriptions.retrieve(subscription.id);
  expect(applied).toMatchObject({ status: "active", pending_update: null });
  expect(applied.items.data[0]?.price.unit_amount).toBe(4000);
  expect(typesAbout(harness, subscription.id)).toContain("customer.subscription.pending_update_applied");
  await harness.advance(clock, start + 12 * day);
  expect(typesAbout(harness, subscription.id)).not.toContain("customer.subscription.pending_update_expired");
  expect(await stripe.invoices.retrieve(invoice)).toMatchObject({ status: "paid" });
});

test("an upgrade that is paid at once was never pending", async () => {
  const { clock, subscription } = await subscribe(harness);
  await harness.advance(clock, start + 10 * day);
  const upgraded = await upgrade(subscription);
  expect(upgraded.pending_update).toBeNull();
  expect(upgraded.items.data[0]?.price.unit_amount).toBe(4000);
  expect(typesAbout(harness, subscription.id)).toEqual([
    "customer.subscription.created",
    "customer.subscription.updated",
  ]);
});

test("voiding its invoice, asking for something else, or canceling gives it up", async () => {
  const voided = await declinedUpgrade();
  await stripe.invoices.voidInvoice(voided.invoice);
  expect(await stripe.subscriptions.retrieve(voided.subscription.id)).toMatchObject({
    status: "active",
    pending_update: null,
  });

  const other = await declinedUpgrade();
  const again = await upgrade(other.subscription, 9000);
  expect(again.pending_update?.subscription_items?.[0]?.price.unit_amount).toBe(9000);
  await harness.local.settled();
  expect(await stripe.invoices.retrieve(other.invoice)).toMatchObject({ status: "void" });
  expect(await stripe.invoices.retrieve(String(again.latest_invoice))).toMatchObject({ status: "open" });

  const gone = await declinedUpgrade();
  await stripe.subscriptions.cancel(gone.subscription.id);
  expect(await stripe.invoices.retrieve(gone.invoice)).toMatchObject({ status: "void" });
});

test("what needs no payment cannot wait for one", async () => {
  const { subscription } = await subscribe(harness);
  const refused = await errorOf(
    stripe.subscriptions.update(subscription.id, {
      metadata: { a: "b" },
      payment_behavior: "pending_if_incomplete",
    }),
  );
  expect(refused).toMatchObject({ statusCode: 400, param: "metadata" });
});

test("an update that costs nothing at once leaves a subscription that is past due as it is", async () => {
  const subscriber = await subscribe(harness);
  const card = String((await defaultOf(subscriber.customer.id)) ?? "");
  await setCardOutcome(stripe, card, "insufficient_funds");
  await harness.advance(subscriber.clock, start + 32 * day);
  const changed = await stripe.subscriptions.update(subscriber.subscription.id, {
    items: [{ id: subscriber.subscription.items.data[0]?.id, quantity: 3 }],
    proration_behavior: "create_prorations",
    payment_behavior: "pending_if_incomplete",
  });
  expect(changed).toMatchObject({ status: "past_due", pending_update: null });
  expect(changed.items.data[0]?.quantity).toBe(3);
});
