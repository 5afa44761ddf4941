import { change, emit } from "../core/events.ts";
import type { Subscription } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { refreshEntitlements } from "./entitlements.ts";
import { scheduleSubscription } from "./schedule.ts";

/** Why Stripe says that a subscription is paused (`status_details.paused.subscription.type`). */
export const pauseCauses = [
  "final_payment_failure",
  "first_payment_failure",
  "pause_requested",
  "system",
  "trial_end_without_payment_method",
] as const;
export type PauseCause = (typeof pauseCauses)[number];

/** Whether it can be paused at all (https://docs.stripe.com/billing/subscriptions/pause#limitations); a trial's end always can. */
export function canPause(subscription: Subscription): boolean {
  return (
    subscription.billing_mode.type === "flexible" &&
    subscription.collection_method === "charge_automatically" &&
    subscription.schedule === null
  );
}

/** No more periods, and no access, until it is resumed. A pause that was asked for ends the period now. */
export function pauseSubscription(world: World, subscription: Subscription, why: PauseCause): void {
  const now = timeOf(world, subscription);
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.status = "paused";
    it.status_details = {
      paused: { subscription: { type: why }, transitioned_at: now, type: "subscription" },
    };
    if (why === "pause_requested") for (const item of it.items.data) item.current_period_end = now;
  });
  recordEffect(world, "subscription.paused", subscription, null, why);
  emit(world, "customer.subscription.paused", subscription);
  scheduleSubscription(world, subscription);
  refreshEntitlements(world, subscription.customer);
}

/**
 * A paused subscription runs again.
 * @param apply what else changes with it
 * @param status `past_due` where it resumes with an attempt that failed
 */
export function finishResume(
  world: World,
  subscription: Subscription,
  apply: (subscription: Subscription) => void,
  status: "active" | "past_due" = "active",
): void {
  world.store.hidden.resumptions.delete(subscription.id);
  world.store.hidden.pausedFor.delete(subscription.id);
  change(world, "customer.subscription.updated", subscription, (it) => {
    apply(it);
    it.status = status;
    delete it.status_details;
  });
  recordEffect(world, "subscription.resumed", subscription, null);
  emit(world, "customer.subscription.resumed", subscription);
  scheduleSubscription(world, subscription);
  refreshEntitlements(world, subscription.customer);
}

/** The resumption that an invoice decides, if it does. */
export function finishResumption(
  world: World,
  subscription: Subscription,
  invoice: { id: string },
  status: "active" | "past_due",
): void {
  const waiting = world.store.hidden.resumptions.get(subscription.id);
  if (waiting?.invoice !== invoice.id) return;
  finishResume(world, subscription, (it) => Object.assign(it, structuredClone(waiting.wanted)), status);
}
