import type Stripe from "stripe";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pauseByStripe, setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";
import { latestInvoice, subscribe, typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;
const hour = 3600;

beforeEach(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterEach(() => harness.close());

/** The same under other account settings. */
async function withSettings(
  settings: NonNullable<Parameters<typeof startHarness>[0]>["settings"],
): Promise<void> {
  await harness.close();
  harness = await startHarness({ settings });
  stripe = harness.stripe;
}

function causeOf({ status_details: details }: Stripe.Subscription): string | undefined {
  return details?.paused.subscription.type;
}

async function cardOf(customer: string): Promise<string> {
  return (await stripe.customers.listPaymentMethods(customer)).data[0]?.id ?? "";
}

/** A subscriber whose renewal has just been declined. */
async function declinedRenewal(params: Partial<Stripe.SubscriptionCreateParams> = {}) {
  const subscriber = await subscribe(harness, params);
  const card = await cardOf(subscriber.customer.id);
  await setCardOutcome(stripe, card, "insufficient_funds");
  await harness.advance(subscriber.clock, start + 31 * day + 2 * hour);
  const { id } = subscriber.subscription;
  const open = (await stripe.invoices.list({ subscription: id, status: "open" })).data[0];
  return { ...subscriber, card, id, invoice: open?.id ?? "" };
}

describe("on request", () => {
  test("it is paused at once, with its cause, the rest of the period credited and nothing renewed", async () => {
    const { subscription, customer, clock } = await subscribe(harness);
    await harness.advance(clock, start + Math.round(15.5 * day));
    const paused = await stripe.subscriptions.pause(subscription.id);
    expect(paused).toMatchObject({
      status: "paused",
      status_details: {
        paused: {
          type: "subscription",
          transitioned_at: start + Math.round(15.5 * day),
          subscription: { type: "pause_requested" },
        },
      },
    });
    expect(paused.items.data[0]?.current_period_end).toBe(start + Math.round(15.5 * day));
    const pending = await stripe.invoiceItems.list({ customer: customer.id, pending: true });
    expect(pending.data.map((it) => it.amount)).toEqual([-1000]);
    await harness.advance(clock, start + 100 * day);
    expect((await stripe.invoices.list({ subscription: subscription.id })).data).toHaveLength(1);
    expect(typesAbout(harness, subscription.id).slice(1)).toEqual([
      "customer.subscription.updated",
      "customer.subscription.paused",
    ]);
  });

  test("what is credited, and when, can be said", async () => {
    const none = await subscribe(harness);
    await stripe.subscriptions.pause(none.subscription.id, {
      bill_for: { unused_time_from: { type: "none" } },
    });
    const pending = await stripe.invoiceItems.list({ customer: none.customer.id, pending: true });
    expect(pending.data).toEqual([]);

    const invoiced = await subscribe(harness);
    await harness.advance(invoiced.clock, start + Math.round(15.5 * day));
    await stripe.subscriptions.pause(invoiced.subscription.id, { invoicing_behavior: "invoice" });
    expect(await stripe.customers.retrieve(invoiced.customer.id)).toMatchObject({ balance: -1000 });
  });

  test("classic billing, and what is over, cannot be paused", async () => {
    const classic = await subscribe(harness, { billing_mode: { type: "classic" } });
    expect(await errorOf(stripe.subscriptions.pause(classic.subscription.id))).toMatchObject({
      statusCode: 400,
    });
    const { subscription } = await subscribe(harness);
    await stripe.subscriptions.cancel(subscription.id);
    expect(await errorOf(stripe.subscriptions.pause(subscription.id))).toMatchObject({ statusCode: 400 });
  });
});

describe("resuming", () => {
  async function paused() {
    const subscriber = await subscribe(harness);
    await harness.advance(subscriber.clock, start + 10 * day);
    await stripe.subscriptions.pause(subscriber.subscription.id, {
      bill_for: { unused_time_from: { type: "none" } },
    });
    await harness.advance(subscriber.clock, start + 20 * day);
    return { ...subscriber, id: subscriber.subscription.id };
  }

  test("makes an invoice for a new period, and waits, paused, until somebody tries to pay it", async () => {
    const { id } = await paused();
    const waiting = await stripe.subscriptions.resume(id);
    expect(waiting.status).toBe("paused");
    const invoice = await latestInvoice(stripe, waiting);
    expect(invoice).toMatchObject({ status: "open", attempted: false, total: 2000 });
    await stripe.invoices.pay(String(invoice.id));
    const resumed = await stripe.subscriptions.retrieve(id);
    expect(resumed.status).toBe("active");
    expect(resumed.status_details).toBeUndefined();
    expect(resumed.items.data[0]?.current_period_start).toBe(start + 20 * day);
    expect(typesAbout(harness, id).slice(-2)).toEqual([
      "customer.subscription.updated",
      "customer.subscription.resumed",
    ]);
    expect(await errorOf(stripe.subscriptions.resume(id))).toMatchObject({ statusCode: 400 });
  });

  test("by an attempt that fails makes it past due, and Stripe does not try again", async () => {
    const { id, customer, clock } = await paused();
    await setCardOutcome(stripe, await cardOf(customer.id), "insufficient_funds");
    const { latest_invoice: invoice } = await stripe.subscriptions.resume(id);
    await errorOf(stripe.invoices.pay(String(invoice)));
    expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "past_due" });
    await harness.advance(clock, start + 40 * day);
    expect(await stripe.invoices.retrieve(String(invoice))).toMatchObject({ attempt_count: 1 });
  });

  test("that nobody pays for within 23 hours is voided and comes to nothing", async () => {
    const { id, clock } = await paused();
    const { latest_invoice: invoice } = await stripe.subscriptions.resume(id);
    await harness.advance(clock, start + 21 * day);
    expect(await stripe.invoices.retrieve(String(invoice))).toMatchObject({ status: "void" });
    const still = await stripe.subscriptions.retrieve(id);
    expect(still.status).toBe("paused");
    expect(causeOf(still)).toBe("pause_requested");
  });

  test("on success charges at once, stays paused while that fails, and is tried again", async () => {
    const { id, customer, clock } = await paused();
    const card = await cardOf(customer.id);
    await setCardOutcome(stripe, card, "insufficient_funds");
    const params = { payment_behavior: "resume_on_payment_success" } as const;
    const waiting = await stripe.subscriptions.resume(id, params);
    expect(waiting.status).toBe("paused");
    expect(await latestInvoice(stripe, waiting)).toMatchObject({ status: "open", attempt_count: 1 });
    await setCardOutcome(stripe, card, "succeed");
    await harness.advance(clock, start + 22 * day);
    expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "active" });
  });

  test("with the anchor unchanged and no proration costs nothing and is immediate", async () => {
    const { id, subscription } = await paused();
    const resumed = await stripe.subscriptions.resume(id, {
      billing_cycle_anchor: { type: "unchanged" },
      proration_behavior: "none",
    });
    expect(resumed).toMatchObject({ status: "active", billing_cycle_anchor: start });
    expect(resumed.items.data[0]?.current_period_end).toBe(subscription.items.data[0]?.current_period_end);
    expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(1);
  });

  test("with the anchor unchanged charges the rest of the period, now or later", async () => {
    const now = await paused();
    const waiting = await stripe.subscriptions.resume(now.id, {
      billing_cycle_anchor: { type: "unchanged" },
      proration_behavior: "always_invoice",
    });
    // 11 of 31 days.
    expect(await latestInvoice(stripe, waiting)).toMatchObject({ status: "open", total: 710 });
    const later = await paused();
    const resumed = await stripe.subscriptions.resume(later.id, {
      billing_cycle_anchor: { type: "unchanged" },
    });
    expect(resumed.status).toBe("active");
    const pending = await stripe.invoiceItems.list({ customer: later.customer.id, pending: true });
    expect(pending.data.map((it) => it.amount)).toEqual([710]);
  });
});

describe("by Stripe itself", () => {
  test("a trial that ends without a card", async () => {
    const { subscription, clock, customer } = await subscribe(
      harness,
      { trial_period_days: 7, trial_settings: { end_behavior: { missing_payment_method: "pause" } } },
      null,
    );
    await harness.advance(clock, start + 8 * day);
    const paused = await stripe.subscriptions.retrieve(subscription.id);
    expect([paused.status, causeOf(paused)]).toEqual(["paused", "trial_end_without_payment_method"]);
    const visa = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: visa.id } });
    const resumed = await stripe.subscriptions.resume(subscription.id, {
      payment_behavior: "resume_on_payment_success",
    });
    expect(resumed.status).toBe("active");
    expect(resumed.items.data[0]?.current_period_start).toBe(start + 8 * day);
  });

  test("the first failure of a renewal, where the account says so; payment alone resumes nothing", async () => {
    await withSettings({ afterFirstFailure: "pause" });
    const { id, invoice, card, clock } = await declinedRenewal();
    const paused = await stripe.subscriptions.retrieve(id);
    expect([paused.status, causeOf(paused)]).toEqual(["paused", "first_payment_failure"]);
    expect(await stripe.invoices.retrieve(invoice)).toMatchObject({ status: "open" });
    await setCardOutcome(stripe, card, "succeed");
    await stripe.invoices.pay(invoice);
    await harness.advance(clock, start + 33 * day);
    expect(await stripe.subscriptions.retrieve(id)).toMatchObject({ status: "paused" });
  });

  test("resumes when that invoice is paid, where the account says so, in the period it paid for", async () => {
    await withSettings({ afterFirstFailure: "pause", resumeWhenPaid: "unchanged" });
    const { id, invoice, card } = await declinedRenewal();
    const { items } = await stripe.subscriptions.retrieve(id);
    await setCardOutcome(stripe, card, "succeed");
    await stripe.invoices.pay(invoice);
    await harness.local.settled();
    const resumed = await stripe.subscriptions.retrieve(id);
    expect(resumed.status).toBe("active");
    expect(resumed.items.data[0]?.current_period_end).toBe(items.data[0]?.current_period_end);
    expect((await stripe.invoices.list({ subscription: id })).data).toHaveLength(2);
    expect(typesAbout(harness, id)).toContain("customer.subscription.resumed");
  });

  test("a first payment that fails is incomplete, never paused", async () => {
    await withSettings({ afterFirstFailure: "pause" });
    const { subscription } = await subscribe(harness, {}, "pm_card_chargeCustomerFail");
    expect(subscription.status).toBe("incomplete");
  });

  test("the last failure, where it can be paused; else it is canceled, and a first failure stays past due", async () => {
    await withSettings({ afterRetries: "pause", afterFirstFailure: "pause", retryDays: [1, 1] });
    const classic = await declinedRenewal({ billing_mode: { type: "classic" } });
    expect(await stripe.subscriptions.retrieve(classic.id)).toMatchObject({ status: "past_due" });
    await harness.advance(classic.clock, start + 40 * day);
    expect(await stripe.subscriptions.retrieve(classic.id)).toMatchObject({
      status: "canceled",
      cancellation_details: { reason: "payment_failed" },
    });
    await withSettings({ afterRetries: "pause", retryDays: [1, 1] });
    const flexible = await declinedRenewal();
    expect(await stripe.subscriptions.retrieve(flexible.id)).toMatchObject({ status: "past_due" });
    await harness.advance(flexible.clock, start + 40 * day);
    const paused = await stripe.subscriptions.retrieve(flexible.id);
    expect([paused.status, causeOf(paused)]).toEqual(["paused", "final_payment_failure"]);
    expect(await stripe.invoices.retrieve(flexible.invoice)).toMatchObject({ status: "open" });
  });

  test("for a reason of its own", async () => {
    const { subscription } = await subscribe(harness);
    await pauseByStripe(stripe, subscription.id);
    const paused = await stripe.subscriptions.retrieve(subscription.id);
    expect([paused.status, causeOf(paused)]).toEqual(["paused", "system"]);
  });
});
