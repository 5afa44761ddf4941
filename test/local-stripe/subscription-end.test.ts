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
