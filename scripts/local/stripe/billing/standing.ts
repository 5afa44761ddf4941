import { change } from "../core/events.ts";
import type { Customer, Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { endSubscription } from "./cancellation.ts";
import { canPause, finishResumption, type PauseCause, pauseSubscription } from "./pausing.ts";
import { applyPendingUpdate, dropPendingUpdate, isForPendingUpdate } from "./pending.ts";
import { scheduleSubscription } from "./schedule.ts";

function customerFor(world: World, invoice: Invoice): Customer | undefined {
  return invoice.customer ? world.store.get("customer", invoice.customer) : undefined;
}

function subscriptionFor(world: World, invoice: Invoice): Subscription | undefined {
  const id = invoice.parent?.subscription_details?.subscription;
  return id ? world.store.get("subscription", id) : undefined;
}

function setDelinquent(world: World, customer: Customer | undefined, delinquent: boolean): void {
  if (!customer) return;
  change(world, "customer.updated", customer, (it) => {
    it.delinquent = delinquent;
  });
}

/** What a trial or a first payment leaves a subscription as. */
export function runningStatus(world: World, subscription: Subscription): "trialing" | "active" {
  const now = timeOf(world, subscription);
  return subscription.trial_end !== null && subscription.trial_end > now ? "trialing" : "active";
}

/** An invoice was paid, voided or written off: its subscription may be in good standing again. */
export function afterInvoice(world: World, invoice: Invoice): void {
  const subscription = subscriptionFor(world, invoice);
  if (invoice.status === "paid") setDelinquent(world, customerFor(world, invoice), false);
  if (!subscription) return;
  if (isForPendingUpdate(world, subscription, invoice)) {
    if (invoice.status === "void") dropPendingUpdate(world, subscription);
    if (invoice.status !== "paid") return;
    applyPendingUpdate(world, subscription);
  }
  if (invoice.status === "paid" && !isFirstCharge(invoice))
    change(world, "customer.subscription.updated", subscription, (it) => keepMethod(world, it, invoice));
  if (subscription.status === "paused") decideResumption(world, subscription, invoice);
  if (subscription.latest_invoice !== invoice.id) return;
  const paid = invoice.status === "paid";
  if (subscription.status === "incomplete" && paid) activate(world, subscription, invoice);
  else if (subscription.status === "past_due") setStatus(world, subscription, "active");
  else if (subscription.status === "unpaid" && paid) setStatus(world, subscription, "active");
}

/** A first payment is part of how a subscription starts; see activate and createSubscription. */
function isFirstCharge(invoice: Invoice): boolean {
  return (
    invoice.billing_reason === "subscription_create" && invoice.collection_method === "charge_automatically"
  );
}

/** What an invoice was charged to; undefined where no charge paid it. */
function methodThatPaid(world: World, invoice: Invoice): string | undefined {
  const payments = world.store.related("invoice_payment", "invoice", invoice.id);
  const paid = payments.find((it) => it.status === "paid" && it.payment.payment_intent);
  return world.store.get("payment_intent", paid?.payment.payment_intent ?? "")?.payment_method ?? undefined;
}

/**
 * A subscription keeps the method that paid as its own default: each time with
 * `save_default_payment_method: on_subscription`, once where Checkout made it.
 */
export function keepMethod(world: World, subscription: Subscription, invoice: Invoice): void {
  const first = invoice.billing_reason === "subscription_create";
  const keeps =
    subscription.payment_settings?.save_default_payment_method === "on_subscription" ||
    (first && world.store.hidden.checkoutSubscriptions.has(subscription.id));
  if (keeps)
    subscription.default_payment_method =
      methodThatPaid(world, invoice) ?? subscription.default_payment_method;
}

function activate(world: World, subscription: Subscription, invoice: Invoice): void {
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.status = runningStatus(world, it);
    keepMethod(world, it, invoice);
  });
  scheduleSubscription(world, subscription);
}

function setStatus(world: World, subscription: Subscription, status: Subscription["status"]): void {
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.status = status;
  });
  scheduleSubscription(world, subscription);
}

/**
 * An attempt to collect an invoice failed.
 * @param last Stripe has no attempts left
 */
export function afterFailedAttempt(world: World, invoice: Invoice, last: boolean): void {
  const subscription = subscriptionFor(world, invoice);
  if (subscription && isForPendingUpdate(world, subscription, invoice)) return;
  setDelinquent(world, customerFor(world, invoice), true);
  if (!subscription) return;
  // A first payment that fails makes the subscription incomplete instead; see createSubscription.
  const first =
    invoice.billing_reason === "subscription_create" &&
    subscription.collection_method === "charge_automatically";
  if (world.store.hidden.resumptions.get(subscription.id)?.onSuccess === false)
    finishResumption(world, subscription, invoice, "past_due");
  const running = ["active", "trialing"].includes(subscription.status);
  const renewal = invoice.billing_reason === "subscription_cycle" && invoice.attempt_count === 1;
  const pauses = world.settings.afterFirstFailure === "pause" && renewal && canPause(subscription);
  if (running && pauses) pauseFor(world, subscription, invoice, "first_payment_failure");
  else if (running && !first) setStatus(world, subscription, "past_due");
  if (!last || subscription.status !== "past_due") return;
  const { afterRetries } = world.settings;
  if (afterRetries === "pause" && canPause(subscription))
    pauseFor(world, subscription, invoice, "final_payment_failure");
  else if (afterRetries === "cancel" || afterRetries === "pause")
    endSubscription(world, subscription, "payment_failed");
  else if (afterRetries === "unpaid") setStatus(world, subscription, "unpaid");
}

function pauseFor(world: World, subscription: Subscription, invoice: Invoice, why: PauseCause): void {
  world.store.hidden.pausedFor.set(subscription.id, invoice.id);
  pauseSubscription(world, subscription, why);
}

/** An invoice of a paused subscription is closed: payment alone resumes nothing, unless it was for that. */
function decideResumption(world: World, subscription: Subscription, invoice: Invoice): void {
  const { hidden } = world.store;
  if (hidden.resumptions.get(subscription.id)?.invoice === invoice.id) {
    if (invoice.status === "void") hidden.resumptions.delete(subscription.id);
    else finishResumption(world, subscription, invoice, "active");
    return;
  }
  if (hidden.pausedFor.get(subscription.id) !== invoice.id || invoice.status === "void") return;
  if (world.settings.resumeWhenPaid !== "no")
    world.jobs.set(
      "subscription.resume",
      subscription.id,
      subscription.test_clock,
      timeOf(world, subscription),
    );
}
