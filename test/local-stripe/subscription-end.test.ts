import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { latestInvoice, subscribe, typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

test("cancel_at_period_end ends it with its period and without another invoice", async () => {
  const { subscription, clock } = await subscribe(harness);
  const leaving = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  expect(leaving).toMatchObject({ status: "active", cancel_at: leaving.items.data[0]?.current_period_end });
  await harness.advance(clock, start + 40 * day);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    status: "canceled",
    ended_at: leaving.cancel_at,
    cancellation_details: { reason: "cancellation_requested" },
  });
  expect((await stripe.invoices.list({ subscription: subscription.id })).data).toHaveLength(1);
  expect(
    typesAbout(harness, subscription.id).filter((type) => type === "customer.subscription.deleted"),
  ).toHaveLength(1);
});

test("changing one's mind takes it back", async () => {
  const { subscription } = await subscribe(harness);
  await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  const staying = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
  expect(staying).toMatchObject({ cancel_at_period_end: false, cancel_at: null, canceled_at: null });
});

test("cancel ends it now; a second cancel is resource_missing; only metadata can still change", async () => {
  const { subscription } = await subscribe(harness);
  const canceled = await stripe.subscriptions.cancel(subscription.id, {
    cancellation_details: { comment: "bye", feedback: "unused" },
  });
  expect(canceled).toMatchObject({
    status: "canceled",
    cancellation_details: { comment: "bye", feedback: "unused" },
  });
  const again = await errorOf(stripe.subscriptions.cancel(subscription.id));
  expect(again).toMatchObject({ statusCode: 404, code: "resource_missing" });
  expect(again.message).toBe(`No such subscription: '${subscription.id}'`);
  const tagged = await stripe.subscriptions.update(subscription.id, { metadata: { why: "test" } });
  expect(tagged.metadata).toEqual({ why: "test" });
  const refused = await errorOf(stripe.subscriptions.update(subscription.id, { description: "x" }));
  expect(refused.statusCode).toBe(400);
});

test("canceling stops the collection of what is open", async () => {
  const { subscription, customer, clock } = await subscribe(harness);
  const failing = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
    customer: customer.id,
  });
  await stripe.subscriptions.update(subscription.id, { default_payment_method: failing.id });
  await harness.advance(clock, start + 32 * day);
  const open = (await stripe.invoices.list({ subscription: subscription.id, status: "open" })).data[0];
  const attempts = open?.attempt_count;
  await stripe.subscriptions.cancel(subscription.id);
  await harness.advance(clock, start + 60 * day);
  expect(await stripe.invoices.retrieve(open?.id ?? "")).toMatchObject({
    status: "open",
    attempt_count: attempts,
    auto_advance: false,
    next_payment_attempt: null,
  });
});

/** A subscriber with usage worth 5 dollars that waits for the next invoice, and a card that is declined from now on. */
async function withUsage() {
  const { subscription, customer, clock } = await subscribe(harness);
  await stripe.invoiceItems.create({
    customer: customer.id,
    subscription: subscription.id,
    amount: 500,
    currency: "usd",
    description: "API calls",
  });
  const card = (await stripe.customers.listPaymentMethods(customer.id)).data[0]?.id ?? "";
  await setCardOutcome(stripe, card, "insufficient_funds");
  return { id: subscription.id, clock, card };
}

test("invoice_now bills what has piled up after the end, and a failure of that is tried again", async () => {
  const { id, clock, card } = await withUsage();
  const { status, latest_invoice: last } = await stripe.subscriptions.cancel(id, { invoice_now: true });
  expect(status).toBe("canceled");
  expect(await stripe.invoices.retrieve(String(last))).toMatchObject({
    status: "open",
    total: 500,
    attempt_count: 1,
    auto_advance: true,
    next_payment_attempt: start + day,
  });
  const types = harness.happened();
  expect(types.lastIndexOf("customer.subscription.deleted")).toBeLessThan(
    types.lastIndexOf("invoice.created"),
  );
  await setCardOutcome(stripe, card, "succeed");
  await harness.advance(clock, start + 2 * day);
  expect(await stripe.invoices.retrieve(String(last))).toMatchObject({ status: "paid" });
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "canceled" });
});

test("who leaves at the end of the period is billed then for what has piled up", async () => {
  const { id, clock } = await withUsage();
  await stripe.subscriptions.update(id, { cancel_at: "min_period_end" });
  await harness.advance(clock, start + 31 * day + 2 * 3600);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "canceled" });
  const [last] = (await stripe.invoices.list({ subscription: id })).data;
  expect(last).toMatchObject({ status: "open", total: 500, billing_reason: "subscription_cycle" });
});

test("prorate and invoice_now give the rest of the period back to the balance", async () => {
  const { subscription, customer, clock } = await subscribe(harness);
  await harness.advance(clock, start + Math.round(15.5 * day));
  await stripe.subscriptions.cancel(subscription.id, { prorate: true, invoice_now: true });
  expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ balance: -1000 });
});

test("trial_end=now ends the trial and takes the first payment", async () => {
  const { subscription } = await subscribe(harness, { trial_period_days: 14 });
  const active = await stripe.subscriptions.update(subscription.id, { trial_end: "now" });
  expect(active.status).toBe("active");
  expect(await latestInvoice(stripe, active)).toMatchObject({ status: "paid", amount_paid: 2000 });
});

test("a product's features are granted with the subscription and withdrawn with it", async () => {
  const feature = await stripe.entitlements.features.create({ name: "Exports", lookup_key: "exports" });
  const { subscription, customer, price } = await subscribe(harness);
  await stripe.products.createFeature(String(price.product), { entitlement_feature: feature.id });
  const granted = await stripe.entitlements.activeEntitlements.list({ customer: customer.id });
  expect(granted.data.map((it) => it.lookup_key)).toEqual(["exports"]);
  await stripe.subscriptions.cancel(subscription.id);
  expect((await stripe.entitlements.activeEntitlements.list({ customer: customer.id })).data).toEqual([]);
  const summaries = harness.local.events
    .all()
    .filter((event) => event.type === "entitlements.active_entitlement_summary.updated");
  expect(summaries).toHaveLength(2);
  expect(summaries[1]?.data.object).toMatchObject({ customer: customer.id, entitlements: { data: [] } });
});
