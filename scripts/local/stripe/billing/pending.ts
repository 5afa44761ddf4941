import { change, emit, jsonCopy, restore } from "../core/events.ts";
import type { Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import type { Params } from "../http/params.ts";
import { incompleteSeconds, periodEnd, scheduleSubscription } from "./schedule.ts";

/** All that an update with `pending_if_incomplete` may ask for (https://docs.stripe.com/billing/subscriptions/pending-updates-reference). */
const supported =
  /^(expand|payment_behavior|proration_behavior|proration_date|billing_cycle_anchor|items|trial_end|trial_from_plan|add_invoice_items)\b/;

/** @throws 400 for what cannot wait for a payment */
export function refuseUnsupported(subscription: Subscription, params: Params): void {
  const name = params.names().find((it) => !supported.test(it));
  if (name !== undefined) {
    throw invalidRequest(
      `When \`payment_behavior\` is \`pending_if_incomplete\`, \`${name}\` can't be updated.`,
      {
        param: name,
      },
    );
  }
  if (subscription.collection_method === "send_invoice") {
    throw invalidRequest(
      "`payment_behavior=pending_if_incomplete` can't be used when `collection_method` is `send_invoice`.",
      { param: "payment_behavior" },
    );
  }
}

/** What a subscription would become. */
export type Wanted = Pick<
  Subscription,
  "items" | "billing_cycle_anchor" | "trial_start" | "trial_end" | "status" | "latest_invoice"
>;

/** Work out an update and put the subscription back to what it is: nothing is changed before the payment. */
export function workedOut<T>(subscription: Subscription, apply: () => T): { result: T; wanted: Wanted } {
  const before = jsonCopy(subscription);
  try {
    const result = apply();
    const { items, billing_cycle_anchor, trial_start, trial_end, status, latest_invoice } = subscription;
    return {
      result,
      wanted: { items, billing_cycle_anchor, trial_start, trial_end, status, latest_invoice },
    };
  } finally {
    restore(subscription, before);
  }
}

/** The payment came, or none was needed: the update takes effect. */
export function takeWanted(
  world: World,
  subscription: Subscription,
  wanted: Wanted,
  { isPaid }: { isPaid: boolean },
): void {
  change(world, "customer.subscription.updated", subscription, (it) => {
    Object.assign(it, wanted);
    // An upgrade that is paid is also what a subscription that was past due waited for. One that cost nothing is not.
    if (isPaid && it.status === "past_due") it.status = "active";
  });
}

/**
 * An update whose payment did not go through waits for it: the subscription stays what it was, and what it would
 * become is kept in `pending_update`. It waits until the period or the trial ends, and 23 hours at most.
 */
export function holdUpdate(world: World, subscription: Subscription, wanted: Wanted, invoice: Invoice): void {
  const ends = [timeOf(world, subscription) + incompleteSeconds, periodEnd(subscription)];
  if (subscription.status === "trialing" && subscription.trial_end !== null)
    ends.push(subscription.trial_end);
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.latest_invoice = invoice.id;
    it.pending_update = {
      billing_cycle_anchor:
        wanted.billing_cycle_anchor === it.billing_cycle_anchor ? null : wanted.billing_cycle_anchor,
      cancel_at_period_end: null,
      discount: null,
      discounts: null,
      expires_at: Math.min(...ends),
      metadata: null,
      subscription_items: wanted.items.data,
      trial_end: wanted.trial_end === it.trial_end ? null : wanted.trial_end,
      trial_from_plan: null,
    };
  });
  scheduleSubscription(world, subscription);
}

/** Whether an invoice is what a pending update waits for: no debt of the subscription as it is. */
export function isForPendingUpdate(world: World, subscription: Subscription, invoice: Invoice): boolean {
  return world.store.hidden.pendingUpdates.get(subscription.id) === invoice.id;
}

/** The payment came: the update takes effect. */
export function applyPendingUpdate(world: World, subscription: Subscription): void {
  const update = subscription.pending_update;
  world.store.hidden.pendingUpdates.delete(subscription.id);
  if (!update) return;
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.items.data = update.subscription_items ?? it.items.data;
    it.billing_cycle_anchor = update.billing_cycle_anchor ?? it.billing_cycle_anchor;
    if (update.trial_end !== null) {
      it.trial_start ??= timeOf(world, it);
      it.trial_end = update.trial_end;
      it.status = "trialing";
    }
    it.pending_update = null;
  });
  emit(world, "customer.subscription.pending_update_applied", subscription);
  scheduleSubscription(world, subscription);
}

/** No update waits any more; Stripe voids the invoice that it waited for by itself. */
export function forgetPendingUpdate(world: World, subscription: Subscription): void {
  const invoice = world.store.hidden.pendingUpdates.get(subscription.id);
  world.store.hidden.pendingUpdates.delete(subscription.id);
  subscription.pending_update = null;
  const { id, test_clock: clock } = subscription;
  world.jobs.set("subscription.pending_update", id, clock, null);
  if (invoice) world.jobs.set("invoice.void", invoice, clock, timeOf(world, subscription));
}

/** The update is given up: its invoice was voided, or another update came. */
export function dropPendingUpdate(world: World, subscription: Subscription): void {
  change(world, "customer.subscription.updated", subscription, (it) => forgetPendingUpdate(world, it));
}

/** The payment did not come in time: the update is forgotten, and its invoice voided. */
export function expirePendingUpdate(world: World, subscription: Subscription): void {
  if (!subscription.pending_update) return;
  dropPendingUpdate(world, subscription);
  emit(world, "customer.subscription.pending_update_expired", subscription);
}
