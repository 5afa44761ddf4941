import { change } from "../core/events.ts";
import { savepoint } from "../core/transaction.ts";
import type { Invoice, Subscription, SubscriptionItem } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing, type StripeError } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { planOf } from "../objects/catalogue.ts";
import { priceFrom } from "./catalogue.ts";
import { attemptError, finalizeAndCollect } from "./collection.ts";
import { ownMethod } from "./customers.ts";
import { draftFor, subscriber } from "./cycle.ts";
import { discountsFrom } from "./discounts.ts";
import { refreshEntitlements } from "./entitlements.ts";
import { createInvoiceItem } from "./invoiceitems.ts";
import {
  anchorFrom,
  checkItemsAgree,
  followPeriodEnd,
  newItem,
  restartPeriod,
  taxRatesFrom,
} from "./items.ts";
import { dropPendingUpdate, holdUpdate, refuseUnsupported, takeWanted, workedOut } from "./pending.ts";
import { creditUnused, prorate } from "./proration.ts";
import { endTrial } from "./renewal.ts";
import { periodEnd, periodStart, scheduleSubscription } from "./schedule.ts";
import {
  cancelAtFrom,
  leaveAtPeriodEnd,
  type PaymentBehaviour,
  paymentBehaviours,
  setCancelAt,
} from "./subscriptions.ts";

const prorationBehaviours = ["create_prorations", "always_invoice", "none"] as const;

function refuseIfOver(subscription: Subscription, params: Params): void {
  if (!["canceled", "incomplete_expired"].includes(subscription.status)) return;
  const asked = params.unread().filter((name) => !/^(metadata|cancellation_details|expand)\b/.test(name));
  if (asked.length > 0) {
    throw invalidRequest("A canceled subscription can only update its cancellation_details and metadata.", {
      code: "invalid_canceled_subscription_fields",
      param: asked[0],
    });
  }
}

/** The fields that cost nothing to change. */
function applyPlain(world: World, subscription: Subscription, params: Params): void {
  const customer = subscriber(world, subscription);
  subscription.metadata = mergedMetadata(subscription.metadata, params.hash("metadata"));
  const description = params.text("description");
  if (description !== undefined) subscription.description = description;
  const method = params.text("default_payment_method");
  if (method !== undefined) {
    subscription.default_payment_method =
      method && ownMethod(world, customer, method, "default_payment_method");
  }
  subscription.collection_method =
    params.choice("collection_method", ["charge_automatically", "send_invoice"]) ??
    subscription.collection_method;
  const days = params.integer("days_until_due");
  if (days !== undefined) subscription.days_until_due = days;
  if (params.has("default_tax_rates")) {
    subscription.default_tax_rates = taxRatesFrom(
      world,
      params.strings("default_tax_rates"),
      "default_tax_rates",
    );
  }
  const settings = params.child("payment_settings");
  const saves = settings?.choice("save_default_payment_method", ["off", "on_subscription"]);
  if (saves && subscription.payment_settings)
    subscription.payment_settings.save_default_payment_method = saves;
  const missing = params
    .child("trial_settings")
    ?.child("end_behavior")
    ?.choice("missing_payment_method", ["cancel", "create_invoice", "pause"]);
  if (missing && subscription.trial_settings) {
    subscription.trial_settings.end_behavior.missing_payment_method = missing;
  }
  applyLeaving(world, subscription, params);
  const pause = params.child("pause_collection");
  if (pause === null) subscription.pause_collection = null;
  if (pause) {
    subscription.pause_collection = {
      behavior: pause.choice("behavior", ["keep_as_draft", "mark_uncollectible", "void"]) ?? "void",
      resumes_at: pause.integer("resumes_at") ?? null,
    };
  }
  const discounts = discountsFrom(world, params, customer, subscription);
  if (discounts) subscription.discounts = discounts.map((discount) => discount.id);
}

function applyLeaving(world: World, subscription: Subscription, params: Params): void {
  const leave = params.boolean("cancel_at_period_end");
  if (leave !== undefined) leaveAtPeriodEnd(world, subscription, leave);
  const cancelAt = cancelAtFrom(params, subscription);
  if (cancelAt !== undefined) setCancelAt(world, subscription, cancelAt);
  const details = params.child("cancellation_details");
  if (!details) return;
  subscription.cancellation_details = {
    comment: details.text("comment") ?? null,
    feedback: details.text("feedback") ?? null,
    feedback_option: null,
    reason: subscription.cancellation_details?.reason ?? null,
  };
}

/** The items as they will be; those not named stay. */
function changedItems(
  world: World,
  subscription: Subscription,
  entries: Params[],
  now: number,
): SubscriptionItem[] {
  const items = structuredClone(subscription.items.data);
  const period = { start: periodStart(subscription), end: periodEnd(subscription) };
  for (const entry of entries) {
    const id = entry.text("id");
    if (!id) {
      items.push(newItem(world, subscription, entry, () => period, now));
      continue;
    }
    const item = items.find((it) => it.id === id);
    if (!item) throw resourceMissing("subscription_item", id, entry.nameOf("id"));
    if (entry.boolean("deleted")) {
      items.splice(items.indexOf(item), 1);
      continue;
    }
    if (entry.has("price") || entry.has("plan") || entry.has("price_data")) {
      item.price = structuredClone(priceFrom(world, entry));
      item.plan = planOf(item.price);
    }
    item.quantity = entry.integer("quantity") ?? item.quantity;
    item.metadata = mergedMetadata(item.metadata, entry.hash("metadata"));
  }
  checkItemsAgree(items);
  return items;
}

export interface ItemChange {
  entries: Params[];
  anchorNow: boolean;
  prorationBehaviour: (typeof prorationBehaviours)[number];
  paymentBehaviour: PaymentBehaviour;
  prorationDate: number | null;
}

/** Swap items, with credits and charges for the rest of the period. Returns the invoice this made, if any. */
export function changeItems(world: World, subscription: Subscription, request: ItemChange): Invoice | null {
  const now = timeOf(world, subscription);
  const before = structuredClone(subscription.items.data);
  const after = changedItems(world, subscription, request.entries, now);
  const old = before[0]?.price.recurring;
  const { interval } = checkItemsAgree(after);
  const restarts =
    request.anchorNow ||
    old?.interval !== interval.interval ||
    old?.interval_count !== interval.interval_count;
  const trialing = subscription.status === "trialing";
  const charges = request.prorationBehaviour !== "none" && !trialing && subscription.status !== "paused";
  subscription.items.data = after;
  if (restarts && !trialing) {
    if (charges) creditUnused(world, subscription, before, now);
    restartPeriod(subscription, now);
    return draftFor(world, subscription, { billingReason: "subscription_update", finalizesAt: null });
  }
  if (!charges) return null;
  prorate(world, subscription, before, after, request.prorationDate ?? now);
  if (request.prorationBehaviour !== "always_invoice") return null;
  return draftFor(world, subscription, {
    billingReason: "subscription_update",
    finalizesAt: null,
    pendingOnly: true,
    period: { start: periodStart(subscription), end: now },
  });
}

function itemChangeFrom(params: Params): ItemChange | null {
  const entries = params.children("items");
  const anchorNow = anchorFrom(params) === "now";
  const prorationBehaviour = params.choice("proration_behavior", prorationBehaviours) ?? "create_prorations";
  const paymentBehaviour = params.choice("payment_behavior", paymentBehaviours) ?? "allow_incomplete";
  const prorationDate = params.integer("proration_date") ?? null;
  if (!entries && !anchorNow) return null;
  return { entries: entries ?? [], anchorNow, prorationBehaviour, paymentBehaviour, prorationDate };
}

/**
 * Collect what an update costs; a refusal is handled as `payment_behavior` says.
 * @returns the refusal, if the update must not stand
 */
function collectForUpdate(world: World, invoice: Invoice, request: ItemChange): StripeError | null {
  const outcome = finalizeAndCollect(world, invoice);
  const refused = outcome?.kind === "declined" || outcome?.kind === "requires_action";
  return refused && request.paymentBehaviour === "error_if_incomplete"
    ? attemptError(world, invoice, outcome)
    : null;
}

/** `pending_if_incomplete`: the update takes effect with its payment, and not before. */
function updateWhenPaid(
  world: World,
  subscription: Subscription,
  params: Params,
  request: ItemChange | null,
): void {
  refuseUnsupported(subscription, params);
  if (request && subscription.pending_update) dropPendingUpdate(world, subscription);
  const { result: invoice, wanted } = workedOut(subscription, () =>
    applyUpdate(world, subscription, params, request),
  );
  if (invoice) {
    world.store.hidden.pendingUpdates.set(subscription.id, invoice.id);
    const outcome = finalizeAndCollect(world, invoice);
    if (invoice.status === "open" && outcome?.kind !== "processing") {
      holdUpdate(world, subscription, wanted, invoice);
      return;
    }
    world.store.hidden.pendingUpdates.delete(subscription.id);
  }
  takeWanted(world, subscription, wanted, { isPaid: invoice?.status === "paid" });
}

/** Everything the parameters ask for that takes effect before any payment. */
function applyUpdate(
  world: World,
  subscription: Subscription,
  params: Params,
  request: ItemChange | null,
): Invoice | null {
  const over = ["canceled", "incomplete_expired"].includes(subscription.status);
  if (over) {
    subscription.metadata = mergedMetadata(subscription.metadata, params.hash("metadata"));
    applyLeaving(world, subscription, params);
    return null;
  }
  for (const item of params.children("add_invoice_items") ?? []) {
    createInvoiceItem(world, subscriber(world, subscription), item, { subscription: subscription.id });
  }
  applyPlain(world, subscription, params);
  const trialEnd = params.time("trial_end");
  const invoice = request && changeItems(world, subscription, request);
  if (typeof trialEnd === "number") startTrial(world, subscription, trialEnd);
  return invoice;
}

/** `POST /v1/subscriptions/:id`. */
export function updateSubscription(world: World, subscription: Subscription, params: Params): Subscription {
  refuseIfOver(subscription, params);
  const undo = savepoint(world, subscription, subscriber(world, subscription));
  const request = itemChangeFrom(params);
  if (params.text("payment_behavior") === "pending_if_incomplete")
    updateWhenPaid(world, subscription, params, request);
  else {
    let invoice: Invoice | null = null;
    change(world, "customer.subscription.updated", subscription, (it) => {
      invoice = applyUpdate(world, it, params, request);
    });
    const refusal = invoice && request ? collectForUpdate(world, invoice, request) : null;
    if (refusal) {
      undo();
      throw refusal;
    }
    if (request && subscription.pending_update) dropPendingUpdate(world, subscription);
  }
  if (params.time("trial_end") === "now" && subscription.status === "trialing") endTrial(world, subscription);
  recordEffect(world, "subscription.updated", subscription, null);
  scheduleSubscription(world, subscription);
  refreshEntitlements(world, subscription.customer);
  return subscription;
}

function startTrial(world: World, subscription: Subscription, end: number): void {
  const now = timeOf(world, subscription);
  if (end <= now) {
    throw invalidRequest("Invalid timestamp: must be an integer Unix timestamp in the future.", {
      param: "trial_end",
    });
  }
  subscription.trial_start ??= now;
  subscription.trial_end = end;
  subscription.status = "trialing";
  subscription.billing_cycle_anchor = end;
  for (const item of subscription.items.data) item.current_period_end = end;
  followPeriodEnd(subscription);
}
