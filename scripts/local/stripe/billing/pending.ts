import { change, emit } from "../core/events.ts";
import type { Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { incompleteSeconds, scheduleSubscription } from "./schedule.ts";

/**
 * An update whose payment did not go through waits for it (`pending_if_incomplete`):
 * the subscription goes back to what it was, and what it would become is kept in `pending_update`.
 */
export function holdUpdate(world: World, subscription: Subscription, before: Subscription): void {
  const wanted = structuredClone(subscription.items.data);
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.items = before.items;
    it.billing_cycle_anchor = before.billing_cycle_anchor;
    it.status = before.status;
    it.pending_update = {
      billing_cycle_anchor: null,
      cancel_at_period_end: null,
      discount: null,
      discounts: null,
      expires_at: timeOf(world, it) + incompleteSeconds,
      metadata: null,
      subscription_items: wanted,
      trial_end: null,
      trial_from_plan: null,
    };
  });
  scheduleSubscription(world, subscription);
}

/** The payment came: the update takes effect. */
export function applyPendingUpdate(world: World, subscription: Subscription, invoice: Invoice): void {
  const update = subscription.pending_update;
  if (!update || subscription.latest_invoice !== invoice.id) return;
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.items.data = update.subscription_items ?? it.items.data;
    it.pending_update = null;
  });
  emit(world, "customer.subscription.pending_update_applied", subscription);
  scheduleSubscription(world, subscription);
}

/** The payment did not come in time: the update is forgotten. */
export function expirePendingUpdate(world: World, subscription: Subscription): void {
  if (!subscription.pending_update) return;
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.pending_update = null;
  });
  emit(world, "customer.subscription.pending_update_expired", subscription);
}
