import Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { completeCheckout, leaveInPortal } from "../../scripts/local/stripe/buyer.ts";
import { clientOf, day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { latestInvoice, subscribe, typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

const classic = { billing_mode: { type: "classic" } } as const;

function endOf(subscription: Stripe.Subscription): number {
  return subscription.items.data[0]?.current_period_end ?? 0;
}

function lastUpdateOf(id: string) {
  return harness.local.events
    .all()
    .filter((event) => event.type === "customer.subscription.updated" && event.data.object.id === id)
    .at(-1);
}

test("a request's version decides how a new subscription is billed, unless it says so itself", async () => {
  const price = await harness.monthlyPrice();
  const { customer } = await harness.customerOnClock();
  const params = { customer: customer.id, items: [{ price: price.id }] };
  const under = async (apiVersion: string): Promise<Stripe.Subscription> =>
    clientOf(harness.local).subscriptions.create(params, { apiVersion });
  const modes = await Promise.all(
    ["2024-06-20", "2025-08-27.basil", "2025-09-30.clover", Stripe.API_VERSION].map(
      async (version) => (await under(version)).billing_mode.type,
    ),
  );
  expect(modes).toEqual(["classic", "classic", "flexible", "flexible"]);
  const { billing_mode } = await stripe.subscriptions.create(params);
  expect(billing_mode).toEqual({
    type: "flexible",
    flexible: { proration_discounts: "included" },
    updated_at: start,
  });
  expect((await stripe.subscriptions.create({ ...params, ...classic })).billing_mode).toEqual({
    type: "classic",
    flexible: null,
  });
});

test("a checkout session's version decides for the subscription it makes", async () => {
  const price = await harness.monthlyPrice();
  for (const [apiVersion, type] of [
    ["2024-06-20", "classic"],
    [Stripe.API_VERSION, "flexible"],
  ] as const) {
    const session = await stripe.checkout.sessions.create(
      {
        mode: "subscription",
        line_items: [{ price: price.id, quantity: 1 }],
        success_url: "https://app.example/done",
      },
      { apiVersion },
    );
    const { subscription } = await completeCheckout(stripe, session.id);
    expect((await stripe.subscriptions.retrieve(String(subscription))).billing_mode.type).toBe(type);
  }
});

test("a classic subscription can become flexible, and never the other way", async () => {
  const { subscription } = await subscribe(harness, classic);
  const moved = await stripe.subscriptions.migrate(subscription.id, { billing_mode: { type: "flexible" } });
  expect(moved.billing_mode.type).toBe("flexible");
  const back = stripe.rawRequest("POST", `/v1/subscriptions/${subscription.id}/migrate`, {
    billing_mode: { type: "classic" },
  });
  expect(await errorOf(back)).toMatchObject({ statusCode: 400 });
});

test("who cancels in the portal leaves on a date, and cancel_at_period_end stays false", async () => {
  const { subscription, customer, clock } = await subscribe(harness);
  await harness.advance(clock, start + 5 * day);
  await leaveInPortal(stripe, customer.id, subscription.id);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    status: "active",
    cancel_at: endOf(subscription),
    cancel_at_period_end: false,
    canceled_at: start + 5 * day,
    cancellation_details: { reason: "cancellation_requested" },
  });
  expect(lastUpdateOf(subscription.id)?.data.previous_attributes).toEqual({
    cancel_at: null,
    canceled_at: null,
    cancellation_details: { reason: null },
  });
  await harness.advance(clock, start + 40 * day);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    status: "canceled",
    ended_at: endOf(subscription),
    canceled_at: start + 5 * day,
    cancellation_details: { reason: "cancellation_requested" },
  });
  expect((await stripe.invoices.list({ subscription: subscription.id })).data).toHaveLength(1);
  const { type } =
    harness.local.events.all().filter((it) => it.data.object.subscription === subscription.id)[0] ?? {};
  expect(type).not.toBe("invoice.upcoming");
});

test("taking it back in the portal leaves no trace of a date", async () => {
  const { subscription, customer, clock } = await subscribe(harness);
  await leaveInPortal(stripe, customer.id, subscription.id);
  await leaveInPortal(stripe, customer.id, subscription.id, "stay");
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    cancel_at: null,
    canceled_at: null,
    cancel_at_period_end: false,
    cancellation_details: { reason: null },
  });
  await harness.advance(clock, start + 40 * day);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "active" });
});

test("a classic subscription in the portal has the flag, as it always had", async () => {
  const { subscription, customer } = await subscribe(harness, classic);
  await leaveInPortal(stripe, customer.id, subscription.id);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    cancel_at: endOf(subscription),
    cancel_at_period_end: true,
  });
});

test("min_period_end sets a date alone, an empty cancel_at takes it back, and classic billing refuses it", async () => {
  const { subscription } = await subscribe(harness);
  const leaving = await stripe.subscriptions.update(subscription.id, { cancel_at: "min_period_end" });
  expect(leaving).toMatchObject({
    cancel_at: endOf(subscription),
    cancel_at_period_end: false,
    canceled_at: start,
    cancellation_details: { reason: "cancellation_requested" },
  });
  expect(await stripe.subscriptions.update(subscription.id, { cancel_at: "" })).toMatchObject({
    cancel_at: null,
    canceled_at: null,
    cancellation_details: { reason: null },
  });
  const { subscription: old } = await subscribe(harness, classic);
  const refused = await errorOf(stripe.subscriptions.update(old.id, { cancel_at: "min_period_end" }));
  expect(refused).toMatchObject({ statusCode: 400, param: "cancel_at" });
});

test("a term set at the start runs to its end, which cuts the last period and its price short", async () => {
  const term = start + Math.round(46.5 * day);
  const { subscription, clock } = await subscribe(harness, { cancel_at: term });
  expect(subscription).toMatchObject({
    status: "active",
    cancel_at: term,
    cancel_at_period_end: false,
    canceled_at: start,
  });
  await harness.advance(clock, start + 40 * day);
  const last = await stripe.subscriptions.retrieve(subscription.id);
  expect(last.status).toBe("active");
  expect(endOf(last)).toBe(term);
  // 15.5 of 28 days from 15 February on.
  expect(await latestInvoice(stripe, last)).toMatchObject({ status: "paid", total: 1107 });
  await harness.advance(clock, start + 60 * day);
  expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    status: "canceled",
    ended_at: term,
  });
  expect(
    typesAbout(harness, subscription.id).filter((it) => it === "customer.subscription.deleted"),
  ).toHaveLength(1);
});

test("cancel_at_period_end through the API is the flag in either mode, and follows a period that moves", async () => {
  const { subscription, clock } = await subscribe(harness);
  const leaving = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  expect(leaving).toMatchObject({ cancel_at_period_end: true, cancel_at: endOf(subscription) });
  await harness.advance(clock, start + 10 * day);
  const moved = await stripe.subscriptions.update(subscription.id, { billing_cycle_anchor: { type: "now" } });
  expect(endOf(moved)).toBeGreaterThan(endOf(subscription));
  expect(moved.cancel_at).toBe(endOf(moved));
});

test("a schedule that ends with a cancellation is a fixed term from its start", async () => {
  const price = await harness.monthlyPrice();
  const { customer, clock } = await harness.customerOnClock();
  const schedule = await stripe.subscriptionSchedules.create({
    customer: customer.id,
    start_date: "now",
    end_behavior: "cancel",
    phases: [{ items: [{ price: price.id }], duration: { interval: "month", interval_count: 3 } }],
  });
  const id = String(schedule.subscription);
  const end = Date.UTC(2026, 3, 15, 9) / 1000;
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({
    status: "active",
    schedule: schedule.id,
    cancel_at: end,
    cancel_at_period_end: false,
    canceled_at: start,
  });
  expect(await errorOf(stripe.subscriptions.pause(id))).toMatchObject({ statusCode: 400 });
  await harness.advance(clock, start + 100 * day);
  expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "canceled", ended_at: end });
  expect(await stripe.subscriptionSchedules.retrieve(schedule.id)).toMatchObject({
    status: "completed",
    completed_at: end,
  });
  expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(3);
});

test("released, by itself at its end or before, the subscription goes on", async () => {
  const price = await harness.monthlyPrice();
  const { customer, clock } = await harness.customerOnClock();
  const params = { customer: customer.id, start_date: "now" } as const;
  const phases = [{ items: [{ price: price.id }], end_date: start + 20 * day }];
  const kept = await stripe.subscriptionSchedules.create({ ...params, phases });
  const freed = await stripe.subscriptionSchedules.create({ ...params, phases, end_behavior: "cancel" });
  await stripe.subscriptionSchedules.release(freed.id);
  await harness.advance(clock, start + 40 * day);
  for (const schedule of [kept, freed]) {
    const { subscription } = schedule;
    expect(await stripe.subscriptions.retrieve(String(subscription))).toMatchObject({
      status: "active",
      schedule: null,
      cancel_at: null,
      canceled_at: null,
    });
    expect(await stripe.subscriptionSchedules.retrieve(schedule.id)).toMatchObject({
      status: "released",
      released_subscription: subscription,
    });
  }
});
