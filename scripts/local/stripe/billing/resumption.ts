import { change } from "../core/events.ts";
import type { Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { finalizeAndCollect } from "./collection.ts";
import { draftFor } from "./cycle.ts";
import { restartPeriod } from "./items.ts";
import { finishResume, makeActive } from "./pausing.ts";
import { periodEnd } from "./schedule.ts";

export interface ResumeOptions {
  /** A new period begins now; otherwise the old one goes on, if it is not over. */
  anchorNow: boolean;
  /** Stay paused until the invoice is paid, instead of until its payment is tried. */
  onSuccess: boolean;
}

/** Start a paused subscription again, with an invoice for the period that begins. */
export function resumeSubscription(world: World, subscription: Subscription, options: ResumeOptions): void {
  if (subscription.status !== "paused") {
    throw invalidRequest("Only subscriptions with a status of `paused` can be resumed.");
  }
  const now = timeOf(world, subscription);
  const restarts = options.anchorNow || periodEnd(subscription) <= now;
  let invoice: Invoice | undefined;
  change(world, "customer.subscription.updated", subscription, (it) => {
    if (restarts) {
      restartPeriod(it, now);
      invoice = draftFor(world, it, { billingReason: "subscription_update", finalizesAt: null });
    }
    if (!invoice || !options.onSuccess) makeActive(it);
  });
  if (!invoice || !options.onSuccess) finishResume(world, subscription);
  if (invoice) finalizeAndCollect(world, invoice);
}
