import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

async function subscribed(params: Partial<Stripe.SubscriptionCreateParams> = {}, card?: string | null) {
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock(card);
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    ...params,
  });
  return { clock, customer, price, subscription };
}

function latestInvoice(subscription: Stripe.Subscription): Promise<Stripe.Invoice> {
  return stripe.invoices.retrieve(String(subscription.latest_invoice), { expand: ["payments"] });
}

/** The event's types about one subscription, in order. */
function about(id: string): string[] {
  return harness.local.events
    .all()
    .filter((event) => event.data.object.id === id)
    .map((event) => event.type);
}

describe("starting", () => {
  test("the first invoice is paid at once, and the period is on the item", async () => {
    const { subscription, customer } = await subscribed();
    expect(subscription.status).toBe("active");
    expect(subscription.items.data[0]).toMatchObject({
      current_period_start: start,
      current_period_end: Date.UTC(2026, 1, 15, 9) / 1000,
      quantity: 1,
    });
    expect("current_period_end" in subscription).toBe(false);
    const invoice = await latestInvoice(subscription);
    expect(invoice).toMatchObject({
      status: "paid",
      billing_reason: "subscription_create",
      amount_paid: 2000,
      customer: customer.id,
      parent: { type: "subscription_details", subscription_details: { subscription: subscription.id } },
    });
    expect(invoice.payments?.data[0]).toMatchObject({ status: "paid", amount_paid: 2000, is_default: true });
    expect(about(subscription.id)).toEqual(["customer.subscription.created"]);
  });

  test("a declined first payment leaves it incomplete, and paying the invoice makes it active", async () => {
    const { subscription, customer } = await subscribed({}, "pm_card_chargeCustomerFail");
    expect(subscription.status).toBe("incomplete");
    const visa = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.invoices.pay(String(subscription.latest_invoice), { payment_method: visa.id });
    expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "active" });
    expect(about(subscription.id)).toEqual([
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
    const invoice = await latestInvoice(trial);
    expect(invoice).toMatchObject({ status: "paid", amount_due: 0, total: 0 });
    expect(invoice.payments?.data).toEqual([]);
  });

  test("default_incomplete waits for the PaymentIntent to be confirmed", async () => {
    const { subscription } = await subscribed({ payment_behavior: "default_incomplete" }, null);
    expect(subscription.status).toBe("incomplete");
    const invoice = await latestInvoice(subscription);
    const intent = String(invoice.payments?.data[0]?.payment.payment_intent);
    await stripe.paymentIntents.confirm(intent, { payment_method: "pm_card_visa" });
    expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "active" });
  });

  test("a trial of three days or less is announced at once", async () => {
    const { subscription } = await subscribed({ trial_period_days: 2 });
    expect(about(subscription.id)).toContain("customer.subscription.trial_will_end");
  });

  test("a coupon and a tax rate show in the totals", async () => {
    const coupon = await stripe.coupons.create({ percent_off: 25, duration: "once" });
    const rate = await stripe.taxRates.create({ display_name: "VAT", percentage: 20, inclusive: false });
    const { subscription, clock } = await subscribed({
      discounts: [{ coupon: coupon.id }],
      default_tax_rates: [rate.id],
    });
    expect(await latestInvoice(subscription)).toMatchObject({
      subtotal: 2000,
      total_discount_amounts: [{ amount: 500 }],
      total_taxes: [{ amount: 300 }],
      total: 1800,
      amount_paid: 1800,
    });
    await harness.advance(clock, start + 32 * day);
    const renewed = await stripe.subscriptions.retrieve(subscription.id);
    expect(await latestInvoice(renewed)).toMatchObject({ total: 2400 });
  });
});

describe("changing", () => {
  test("a dearer price mid-period credits the rest of the old one on the next invoice", async () => {
    const { subscription, clock } = await subscribed();
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
    expect((await latestInvoice(renewed)).total).toBe(5000);
    const event = harness.local.events
      .all()
      .find((it) => it.type === "customer.subscription.updated" && it.data.object.id === subscription.id);
    expect(event?.data.previous_attributes).toMatchObject({
      items: { data: [{ price: { unit_amount: 2000 } }] },
    });
  });

  test("always_invoice charges the difference now; none charges nothing", async () => {
    const { subscription, clock } = await subscribed();
    const dearer = await harness.monthlyPrice(4000);
    await harness.advance(clock, start + Math.round(15.5 * day));
    const items = [{ id: subscription.items.data[0]?.id, price: dearer.id }];
    const updated = await stripe.subscriptions.update(subscription.id, {
      items,
      proration_behavior: "always_invoice",
    });
    expect(await latestInvoice(updated)).toMatchObject({
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

  test("an update that cannot be paid waits in pending_update until it is", async () => {
    const { subscription, customer, clock } = await subscribed();
    const failing = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
      customer: customer.id,
    });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: failing.id } });
    const dearer = await harness.monthlyPrice(4000);
    await harness.advance(clock, start + 10 * day);
    const params: Stripe.SubscriptionUpdateParams = {
      items: [{ id: subscription.items.data[0]?.id, price: dearer.id }],
      proration_behavior: "always_invoice",
      payment_behavior: "pending_if_incomplete",
    };
    const waiting = await stripe.subscriptions.update(subscription.id, params);
    expect(waiting.pending_update?.subscription_items?.[0]?.price.id).toBe(dearer.id);
    expect(waiting.items.data[0]?.price.unit_amount).toBe(2000);
    const visa = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.invoices.pay(String(waiting.latest_invoice), { payment_method: visa.id });
    const applied = await stripe.subscriptions.retrieve(subscription.id);
    expect(applied.pending_update).toBeNull();
    expect(applied.items.data[0]?.price.id).toBe(dearer.id);
    expect(about(subscription.id)).toContain("customer.subscription.pending_update_applied");

    const third = await harness.monthlyPrice(9000);
    await stripe.subscriptions.update(subscription.id, {
      ...params,
      items: [{ id: subscription.items.data[0]?.id, price: third.id }],
    });
    await harness.advance(clock, start + 12 * day);
    expect(about(subscription.id)).toContain("customer.subscription.pending_update_expired");
    expect((await stripe.subscriptions.retrieve(subscription.id)).pending_update).toBeNull();
  });

  test("metadata alone is an update with exactly that in previous_attributes", async () => {
    const { subscription } = await subscribed({ metadata: { plan: "a" } });
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
      const { subscription, clock } = await subscribed();
      await stripe.subscriptions.update(subscription.id, { pause_collection: { behavior } });
      await harness.advance(clock, start + 32 * day);
      const paused = await stripe.subscriptions.retrieve(subscription.id);
      expect(paused.status).toBe("active");
      expect((await latestInvoice(paused)).status).toBe(status);
    }
  });

  test("subscription items can be added, changed, listed and removed by themselves", async () => {
    const { subscription } = await subscribed();
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
});

describe("ending", () => {
  test("cancel_at_period_end ends it with its period and without another invoice", async () => {
    const { subscription, clock } = await subscribed();
    const leaving = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
    expect(leaving).toMatchObject({ status: "active", cancel_at: leaving.items.data[0]?.current_period_end });
    await harness.advance(clock, start + 40 * day);
    expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
      status: "canceled",
      ended_at: leaving.cancel_at,
      cancellation_details: { reason: "cancellation_requested" },
    });
    expect((await stripe.invoices.list({ subscription: subscription.id })).data).toHaveLength(1);
    expect(about(subscription.id).filter((type) => type === "customer.subscription.deleted")).toHaveLength(1);
  });

  test("changing one's mind takes it back", async () => {
    const { subscription } = await subscribed();
    await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
    const staying = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
    expect(staying).toMatchObject({ cancel_at_period_end: false, cancel_at: null, canceled_at: null });
  });

  test("cancel ends it now; a second cancel is resource_missing; only metadata can still change", async () => {
    const { subscription } = await subscribed();
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
    const { subscription, customer, clock } = await subscribed();
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
    const { subscription, customer, clock } = await subscribed();
    await harness.advance(clock, start + Math.round(15.5 * day));
    await stripe.subscriptions.cancel(subscription.id, { prorate: true, invoice_now: true });
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ balance: -1000 });
  });
});

describe("pausing and resuming", () => {
  test("a paused subscription resumes with a paid period of its own", async () => {
    const { subscription, customer, clock } = await subscribed(
      { trial_period_days: 7, trial_settings: { end_behavior: { missing_payment_method: "pause" } } },
      null,
    );
    await harness.advance(clock, start + 8 * day);
    expect(await stripe.subscriptions.retrieve(subscription.id)).toMatchObject({ status: "paused" });
    const visa = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: visa.id } });
    const resumed = await stripe.subscriptions.resume(subscription.id, {
      billing_cycle_anchor: { type: "now" },
    });
    expect(resumed.status).toBe("active");
    expect(resumed.items.data[0]?.current_period_start).toBe(start + 8 * day);
    expect(about(subscription.id)).toEqual(
      expect.arrayContaining(["customer.subscription.paused", "customer.subscription.resumed"]),
    );
    expect(await errorOf(stripe.subscriptions.resume(subscription.id))).toMatchObject({ statusCode: 400 });
  });

  test("trial_end=now ends the trial and takes the first payment", async () => {
    const { subscription } = await subscribed({ trial_period_days: 14 });
    const active = await stripe.subscriptions.update(subscription.id, { trial_end: "now" });
    expect(active.status).toBe("active");
    expect(await latestInvoice(active)).toMatchObject({ status: "paid", amount_paid: 2000 });
  });
});

describe("entitlements", () => {
  test("a product's features are granted with the subscription and withdrawn with it", async () => {
    const feature = await stripe.entitlements.features.create({ name: "Exports", lookup_key: "exports" });
    const { subscription, customer, price } = await subscribed();
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
});
