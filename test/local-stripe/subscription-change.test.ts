import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { day, type Harness, start, startHarness } from "./support/harness.ts";
import { latestInvoice, subscribe } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

test("a dearer price mid-period credits the rest of the old one on the next invoice", async () => {
  const { subscription, clock } = await subscribe(harness);
  const dearer = await harness.monthlyPrice(4000);
  await harness.advance(clock, start + Math.round(15.5 * day));
  const item = subscription.items.data[0];
  const updated = await stripe.subscriptions.update(subscription.id, {
    items: [{ id: item?.id, price: dearer.id }],
  });
  expect(updated.items.data[0]?.price.id).toBe(dearer.id);
  const pending = await stripe.invoiceItems.list({
    customer: String(subscription.customer),
    pending: true,
  });
  expect(pending.data.map((it) => it.amount).sort((left, right) => left - right)).toEqual([-1000, 2000]);
  expect(pending.data.every((it) => it.proration)).toBe(true);
  await harness.advance(clock, start + 32 * day);
  const renewed = await stripe.subscriptions.retrieve(subscription.id);
  expect((await latestInvoice(stripe, renewed)).total).toBe(5000);
  const event = harness.local.events
    .all()
    .find((it) => it.type === "customer.subscription.updated" && it.data.object.id === subscription.id);
  expect(event?.data.previous_attributes).toMatchObject({
    items: { data: [{ price: { unit_amount: 2000 } }] },
  });
});

test("always_invoice charges the difference now; none charges nothing", async () => {
  const { subscription, clock } = await subscribe(harness);
  const dearer = await harness.monthlyPrice(4000);
  await harness.advance(clock, start + Math.round(15.5 * day));
  const items = [{ id: subscription.items.data[0]?.id, price: dearer.id }];
  const updated = await stripe.subscriptions.update(subscription.id, {
    items,
    proration_behavior: "always_invoice",
  });
  expect(await latestInvoice(stripe, updated)).toMatchObject({
    billing_reason: "subscription_update",
    status: "paid",
    total: 1000,
  });
  const quantity = [{ id: subscription.items.data[0]?.id, quantity: 3 }];
  await stripe.subscriptions.update(subscription.id, { items: quantity, proration_behavior: "none" });
  const pending = await stripe.invoiceItems.list({
    customer: String(subscription.customer),
    pending: true,
  });
  expect(pending.data).toEqual([]);
});

test("metadata alone is an update with exactly that in previous_attributes", async () => {
  const { subscription } = await subscribe(harness, { metadata: { plan: "a" } });
  await stripe.subscriptions.update(subscription.id, { metadata: { plan: "b", seat: "1" } });
  const event = harness.local.events.all().at(-1);
  expect(event?.type).toBe("customer.subscription.updated");
  expect(event?.data.previous_attributes).toEqual({ metadata: { plan: "a", seat: null } });
});

test("pausing collection voids, keeps or writes off what comes, and the subscription stays active", async () => {
  for (const [behavior, status] of [
    ["void", "void"],
    ["keep_as_draft", "draft"],
    ["mark_uncollectible", "uncollectible"],
  ] as const) {
    const { subscription, clock } = await subscribe(harness);
    await stripe.subscriptions.update(subscription.id, { pause_collection: { behavior } });
    await harness.advance(clock, start + 32 * day);
    const paused = await stripe.subscriptions.retrieve(subscription.id);
    expect(paused.status).toBe("active");
    expect((await latestInvoice(stripe, paused)).status).toBe(status);
  }
});

test("subscription items can be added, changed, listed and removed by themselves", async () => {
  const { subscription } = await subscribe(harness);
  const extra = await harness.monthlyPrice(500);
  const item = await stripe.subscriptionItems.create({
    subscription: subscription.id,
    price: extra.id,
    quantity: 2,
  });
  expect((await stripe.subscriptionItems.list({ subscription: subscription.id })).data).toHaveLength(2);
  expect(await stripe.subscriptionItems.update(item.id, { quantity: 5 })).toMatchObject({ quantity: 5 });
  expect(await stripe.subscriptionItems.del(item.id)).toMatchObject({ deleted: true });
  expect((await stripe.subscriptions.retrieve(subscription.id)).items.data).toHaveLength(1);
});
