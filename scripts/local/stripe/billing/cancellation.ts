import { change, emit } from "../core/events.ts";
import type { Subscription } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { refreshEntitlements } from "./entitlements.ts";
import { forgetPendingUpdate } from "./pending.ts";
import { scheduleSubscription } from "./schedule.ts";

export interface CancelOptions {
  comment?: string | null;
  feedback?: NonNullable<Subscription["cancellation_details"]>["feedback"];
}

/** Cancel at once, at somebody's request. */
export function cancelSubscription(world: World, subscription: Subscription, options: CancelOptions): void {
  subscription.cancellation_details = {
    comment: options.comment ?? subscription.cancellation_details?.comment ?? null,
    feedback: options.feedback ?? subscription.cancellation_details?.feedback ?? null,
    feedback_option: null,
    reason: "cancellation_requested",
  };
  endSubscription(world, subscription, "cancellation_requested");
}

/** The subscription is over. Its open invoices stay open, and are no longer collected. */
export function endSubscription(
  world: World,
  subscription: Subscription,
  reason: NonNullable<NonNullable<Subscription["cancellation_details"]>["reason"]>,
): void {
  const now = timeOf(world, subscription);
  subscription.status = "canceled";
  subscription.canceled_at ??= now;
  subscription.ended_at = now;
  subscription.pause_collection = null;
  forgetPendingUpdate(world, subscription);
  delete subscription.status_details;
  world.store.hidden.resumptions.delete(subscription.id);
  world.store.hidden.pausedFor.delete(subscription.id);
  subscription.cancellation_details = {
    comment: subscription.cancellation_details?.comment ?? null,
    feedback: subscription.cancellation_details?.feedback ?? null,
    feedback_option: null,
    reason,
  };
  world.jobs.set("subscription.unpause", subscription.id, subscription.test_clock, null);
  scheduleSubscription(world, subscription);
  recordEffect(world, "subscription.canceled", subscription, null, reason);
  emit(world, "customer.subscription.deleted", subscription);
  endSchedule(world, subscription, now);
  stopInvoices(world, subscription);
  refreshEntitlements(world, subscription.customer);
}

/** A schedule is over with its subscription: completed at its end, canceled before. */
function endSchedule(world: World, subscription: Subscription, now: number): void {
  const schedule = world.store.get("subscription_schedule", subscription.schedule ?? "");
  if (schedule?.status !== "active") return;
  const completed = now >= (schedule.current_phase?.end_date ?? 0);
  schedule.status = completed ? "completed" : "canceled";
  if (completed) schedule.completed_at = now;
  else schedule.canceled_at = now;
  schedule.current_phase = null;
  world.jobs.set("schedule.release", schedule.id, schedule.test_clock, null);
  emit(world, completed ? "subscription_schedule.completed" : "subscription_schedule.canceled", schedule);
}

function stopInvoices(world: World, subscription: Subscription): void {
  const open = world.store
    .related("invoice", "subscription", subscription.id)
    .filter((it) => it.status === "open" || it.status === "draft");
  for (const invoice of open) {
    world.jobs.set("invoice.attempt", invoice.id, invoice.test_clock, null);
    world.jobs.set("invoice.finalize", invoice.id, invoice.test_clock, null);
    change(world, "invoice.updated", invoice, (it) => {
      it.auto_advance = false;
      it.automatically_finalizes_at = null;
      it.next_payment_attempt = null;
    });
  }
}
