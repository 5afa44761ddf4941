import { change, emit } from "../core/events.ts";
import type { Subscription } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { refreshEntitlements } from "./entitlements.ts";
import { scheduleSubscription } from "./schedule.ts";

/** No more periods, and no access, until it is resumed. */
export function pauseSubscription(
  world: World,
  subscription: Subscription,
  why: "pause_requested" | "trial_end_without_payment_method",
): void {
  const now = timeOf(world, subscription);
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.status = "paused";
    it.status_details = {
      paused: { subscription: { type: why }, transitioned_at: now, type: "subscription" },
    };
  });
  recordEffect(world, "subscription.paused", subscription, null, why);
  emit(world, "customer.subscription.paused", subscription);
  scheduleSubscription(world, subscription);
  refreshEntitlements(world, subscription.customer);
}

export function makeActive(subscription: Subscription): void {
  subscription.status = "active";
  delete subscription.status_details;
}

/** A paused subscription is active again. */
export function finishResume(world: World, subscription: Subscription): void {
  change(world, "customer.subscription.updated", subscription, makeActive);
  recordEffect(world, "subscription.resumed", subscription, null);
  emit(world, "customer.subscription.resumed", subscription);
  scheduleSubscription(world, subscription);
  refreshEntitlements(world, subscription.customer);
}
