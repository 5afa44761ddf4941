import { change } from "../core/events.ts";
import type { Customer, Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { endSubscription } from "./cancellation.ts";
import { finishResume } from "./pausing.ts";
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
  if (subscription.latest_invoice !== invoice.id) return;
  const paid = invoice.status === "paid";
  if (subscription.status === "incomplete" && paid) activate(world, subscription, invoice);
  else if (subscription.status === "past_due") setStatus(world, subscription, "active");
  else if (subscription.status === "unpaid" && paid) setStatus(world, subscription, "active");
  else if (subscription.status === "paused" && paid && invoice.amount_due > 0)
    finishResume(world, subscription);
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
  if (["active", "trialing"].includes(subscription.status) && !first)
    setStatus(world, subscription, "past_due");
  if (!last || subscription.status !== "past_due") return;
  const { afterRetries } = world.settings;
  if (afterRetries === "cancel") endSubscription(world, subscription, "payment_failed");
  else if (afterRetries === "unpaid") setStatus(world, subscription, "unpaid");
}
