import { emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import { savepoint } from "../core/transaction.ts";
import type { Customer, Invoice, Subscription } from "../core/wire.ts";
import { asksSince, recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { subscription as subscriptionObject } from "../objects/subscriptions.ts";
import { createSetupIntent } from "../payments/setups.ts";
import { attemptError, finalizeAndCollect, paymentMethodOf } from "./collection.ts";
import { ownMethod } from "./customers.ts";
import { draftFor } from "./cycle.ts";
import { discountsFrom } from "./discounts.ts";
import { refreshEntitlements } from "./entitlements.ts";
import { createInvoiceItem } from "./invoiceitems.ts";
import { finalizeInvoice } from "./invoices.ts";
import { checkItemsAgree, newItem, periodFrom, taxRatesFrom } from "./items.ts";
import { nextBoundary, periodBoundary } from "./periods.ts";
import { periodEnd, periodStart, scheduleSubscription } from "./schedule.ts";
import { keepMethod } from "./standing.ts";

export const paymentBehaviours = [
  "allow_incomplete",
  "default_incomplete",
  "error_if_incomplete",
  "pending_if_incomplete",
] as const;
export type PaymentBehaviour = (typeof paymentBehaviours)[number];

/** When a trial that the parameters ask for ends; null for none. */
export function trialEndFrom(params: Params, now: number): number | null {
  const end = params.time("trial_end");
  const days = params.integer("trial_period_days");
  if (end != null && days != null) {
    throw invalidRequest("You cannot specify both `trial_end` and `trial_period_days`.", {
      param: "trial_end",
    });
  }
  if (end === "now") return null;
  if (end != null) {
    if (end <= now) {
      throw invalidRequest("Invalid timestamp: must be an integer Unix timestamp in the future.", {
        param: "trial_end",
      });
    }
    return end;
  }
  return days == null || days === 0 ? null : now + days * 86_400;
}

/**
 * How invoices and prorations are made: flexibly where nothing is said since 2025-09-30, as before until then.
 * @param now when the mode is adopted, in seconds
 */
export function billingModeFrom(world: World, params: Params, now: number): Subscription["billing_mode"] {
  const mode = params.child("billing_mode");
  const type =
    mode?.choice("type", ["classic", "flexible"]) ??
    (asksSince(world, "2025-09-30") ? "flexible" : "classic");
  if (type === "classic") return { flexible: null, type };
  const discounts = mode?.child("flexible")?.choice("proration_discounts", ["included", "itemized"]);
  return { flexible: { proration_discounts: discounts ?? "included" }, type, updated_at: now };
}

/** When to cancel: a time, or (in flexible billing) the end of the earliest or the latest of the items' periods. */
export function cancelAtFrom(
  params: Params,
  { items, billing_mode: mode }: Pick<Subscription, "items" | "billing_mode">,
): number | null | undefined {
  const wanted = params.raw("cancel_at");
  if (wanted !== "min_period_end" && wanted !== "max_period_end") return params.integer("cancel_at");
  if (mode.type !== "flexible") {
    throw invalidRequest(
      `\`cancel_at=${wanted}\` is only supported for subscriptions with \`billing_mode[type]=flexible\`.`,
      { param: "cancel_at" },
    );
  }
  const ends = items.data.map((item) => item.current_period_end);
  return wanted === "min_period_end" ? Math.min(...ends) : Math.max(...ends);
}

/**
 * Let a subscription end at a time, or (with null) not after all. `canceled_at` says when it was asked for, a term that
 * was set when the subscription was made included.
 */
export function setCancelAt(world: World, subscription: Subscription, at: number | null): void {
  const cancels = at !== null;
  subscription.cancel_at_period_end = false;
  subscription.cancel_at = at;
  subscription.canceled_at = cancels ? timeOf(world, subscription) : null;
  subscription.cancellation_details = {
    comment: null,
    feedback: null,
    feedback_option: null,
    reason: cancels ? "cancellation_requested" : null,
  };
}

function trialSettingsFrom(params: Params): Subscription["trial_settings"] {
  const behaviour = params
    .child("trial_settings")
    ?.child("end_behavior")
    ?.choice("missing_payment_method", ["cancel", "create_invoice", "pause"]);
  return {
    end_behavior: { billing_cycle_anchor: null, missing_payment_method: behaviour ?? "create_invoice" },
  };
}

function paymentSettingsFrom(params: Params): Subscription["payment_settings"] {
  const settings = params.child("payment_settings");
  return {
    payment_method_options: null,
    payment_method_types: settings?.strings("payment_method_types") ?? null,
    save_default_payment_method:
      settings?.choice("save_default_payment_method", ["off", "on_subscription"]) ?? "off",
  };
}

function blankSubscription(world: World, customer: Customer, params: Params): Subscription {
  const now = timeOf(world, customer);
  const id = newId("sub");
  const trialEnd = trialEndFrom(params, now);
  const anchor = params.integer("billing_cycle_anchor") ?? trialEnd ?? now;
  if (anchor < now) {
    throw invalidRequest("`billing_cycle_anchor` cannot be in the past.", { param: "billing_cycle_anchor" });
  }
  const period = periodFrom(now, anchor, trialEnd);
  const items = (params.children("items") ?? []).map((item) => newItem(world, { id }, item, period, now));
  const { currency } = checkItemsAgree(items);
  const method = params.text("default_payment_method");
  const collection = params.choice("collection_method", ["charge_automatically", "send_invoice"]);
  if (collection === "send_invoice" && params.integer("days_until_due") == null) {
    throw invalidRequest(
      "You must pass either `days_until_due` or `due_date` when `collection_method` is `send_invoice`.",
      { param: "days_until_due" },
    );
  }
  return subscriptionObject({
    id,
    billing_cycle_anchor: anchor,
    billing_mode: billingModeFrom(world, params, now),
    collection_method: collection ?? "charge_automatically",
    created: now,
    currency,
    customer: customer.id,
    days_until_due: params.integer("days_until_due") ?? null,
    default_payment_method: method ? ownMethod(world, customer, method, "default_payment_method") : null,
    default_source: params.text("default_source") ?? null,
    default_tax_rates: taxRatesFrom(world, params.strings("default_tax_rates"), "default_tax_rates"),
    description: params.text("description") ?? null,
    items,
    metadata: mergedMetadata({}, params.hash("metadata")),
    payment_settings: paymentSettingsFrom(params),
    status: trialEnd === null ? "active" : "trialing",
    test_clock: customer.test_clock ?? null,
    trial_end: trialEnd,
    trial_settings: trialSettingsFrom(params),
    trial_start: trialEnd === null ? null : now,
  });
}

/** The part of a full period that a first, shorter one is charged for. */
function firstShare(subscription: Subscription, prorate: boolean): number {
  const { billing_cycle_anchor: anchor, created } = subscription;
  if (subscription.trial_end !== null || anchor <= created) return 1;
  if (!prorate) return 0;
  const { interval } = checkItemsAgree(subscription.items.data);
  const previous = periodBoundary(anchor, interval, -1);
  if (previous <= created) return (anchor - created) / (anchor - previous);
  return (anchor - created) / (nextBoundary(created, interval, created) - created);
}

function addInvoiceItems(world: World, customer: Customer, subscription: Subscription, params: Params): void {
  for (const item of params.children("add_invoice_items") ?? []) {
    createInvoiceItem(world, customer, item, { subscription: subscription.id });
  }
}

/**
 * Start a subscription: its first invoice is made, and paid as `payment_behavior` says.
 * @param schedule what starts it, where it is a schedule
 */
export function createSubscription(
  world: World,
  customer: Customer,
  params: Params,
  schedule: string | null = null,
): Subscription {
  const behaviour = params.choice("payment_behavior", paymentBehaviours) ?? "allow_incomplete";
  const undo = savepoint(world, customer);
  const subscription = world.store.insert<"subscription">(blankSubscription(world, customer, params));
  const discounts = discountsFrom(world, params, customer, subscription) ?? [];
  subscription.discounts = discounts.map((discount) => discount.id);
  subscription.schedule = schedule;
  const term = cancelAtFrom(params, subscription);
  if (term != null) setCancelAt(world, subscription, term);
  if (params.boolean("cancel_at_period_end")) leaveAtPeriodEnd(world, subscription, true);
  addInvoiceItems(world, customer, subscription, params);
  const share = firstShare(subscription, params.text("proration_behavior") !== "none");
  const manual = subscription.collection_method === "send_invoice";
  const first = draftFor(world, subscription, {
    billingReason: "subscription_create",
    finalizesAt: manual && share > 0 ? timeOf(world, customer) + world.settings.draftSeconds : null,
    autoAdvance: behaviour !== "default_incomplete",
    share,
    period: { start: subscription.created, end: subscription.created },
  });
  const refusal = manual && first.total > 0 ? null : startFirstPayment(world, subscription, first, behaviour);
  if (refusal) {
    undo();
    throw refusal;
  }
  askForCard(world, subscription, first);
  recordEffect(world, "subscription.created", subscription, null, subscription.status);
  emit(world, "customer.subscription.created", subscription);
  scheduleSubscription(world, subscription);
  refreshEntitlements(world, customer.id);
  return subscription;
}

function startFirstPayment(
  world: World,
  subscription: Subscription,
  invoice: Invoice,
  behaviour: PaymentBehaviour,
): Error | null {
  if (invoice.amount_due === 0) {
    finalizeInvoice(world, invoice);
    return null;
  }
  if (behaviour === "default_incomplete") {
    subscription.status = "incomplete";
    finalizeInvoice(world, invoice);
    return null;
  }
  if (paymentMethodOf(world, invoice) === null) {
    return invalidRequest(
      "This customer has no attached payment source or default payment method. Please consider adding a default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
      { code: "resource_missing" },
    );
  }
  const outcome = finalizeAndCollect(world, invoice);
  if (outcome?.kind === "succeeded") {
    keepMethod(world, subscription, invoice);
    return null;
  }
  if (behaviour === "error_if_incomplete") return attemptError(world, invoice, outcome);
  subscription.status = "incomplete";
  return null;
}

/** A trial without a card gets a SetupIntent to collect one with. */
function askForCard(world: World, subscription: Subscription, invoice: Invoice): void {
  const wanted =
    subscription.status === "trialing" && subscription.collection_method === "charge_automatically";
  if (!wanted || paymentMethodOf(world, invoice) !== null) return;
  const setup = createSetupIntent(world, { customer: subscription.customer, usage: "off_session" });
  subscription.pending_setup_intent = setup.id;
}

/** `cancel_at_period_end`, as the API has it in either billing mode. */
export function leaveAtPeriodEnd(world: World, subscription: Subscription, leave: boolean): void {
  if (leave === subscription.cancel_at_period_end) return;
  setCancelAt(world, subscription, leave ? periodEnd(subscription) : null);
  subscription.cancel_at_period_end = leave;
}

/** What the portal does: under flexible billing it sets the date alone, and `cancel_at_period_end` stays false. */
export function leaveInPortal(world: World, subscription: Subscription, leave: boolean): void {
  if (subscription.billing_mode.type === "classic") leaveAtPeriodEnd(world, subscription, leave);
  else {
    const ends = subscription.items.data.map((item) => item.current_period_end);
    setCancelAt(world, subscription, leave ? Math.max(...ends) : null);
  }
}

/** The subscription of a path or a parameter. */
export function findSubscription(world: World, id: string, param = "id"): Subscription {
  const subscription = world.store.get("subscription", id);
  if (!subscription) throw resourceMissing("subscription", id, param);
  return subscription;
}

/** The part of the current period that is still ahead, from 0 to 1. */
export function remainingShare(subscription: Subscription, at: number): number {
  const [start, end] = [periodStart(subscription), periodEnd(subscription)];
  return end <= start ? 0 : Math.max(0, Math.min(1, (end - at) / (end - start)));
}
