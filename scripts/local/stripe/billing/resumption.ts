import { change } from "../core/events.ts";
import type { Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { collect } from "./collection.ts";
import { draftFor } from "./cycle.ts";
import { finalizeInvoice } from "./invoices.ts";
import { intervalOf, restartPeriod } from "./items.ts";
import { finishResume } from "./pausing.ts";
import { workedOut } from "./pending.ts";
import { nextBoundary, periodBoundary } from "./periods.ts";
import { prorate } from "./proration.ts";
import { incompleteSeconds, periodEnd } from "./schedule.ts";

export interface ResumeOptions {
  /** A new period begins now, and is charged whole; otherwise the anchor stays where it was. */
  anchorNow: boolean;
  /** How the rest of a period that the pause cut short is charged, where the anchor stays. */
  prorations: "always_invoice" | "create_prorations" | "none";
  /** Charge the invoice now and stay paused until it is paid, instead of until its payment is tried by somebody. */
  onSuccess: boolean;
}

/** The period that surrounds a moment, counted from the anchor; one that still runs stays as it is. */
function rejoinPeriod(world: World, subscription: Subscription, options: ResumeOptions, now: number): void {
  if (periodEnd(subscription) > now) return;
  for (const item of subscription.items.data) {
    const interval = intervalOf(item.price);
    item.current_period_start = now;
    item.current_period_end = nextBoundary(subscription.billing_cycle_anchor, interval, now);
  }
  if (options.prorations === "none") return;
  // The rest of the period is charged as a part of the whole one that it ends.
  const whole = subscription.items.data.map((item) => {
    const full = periodBoundary(item.current_period_end, intervalOf(item.price), -1);
    return { ...item, current_period_start: Math.min(full, now) };
  });
  prorate(world, subscription, [], whole, now);
}

/** What resuming is charged with, as a draft; null where nothing is. */
function resumptionDraft(world: World, subscription: Subscription, options: ResumeOptions): Invoice | null {
  const now = timeOf(world, subscription);
  const autoAdvance = options.onSuccess;
  if (options.anchorNow) {
    restartPeriod(subscription, now);
    return draftFor(world, subscription, {
      billingReason: "subscription_update",
      finalizesAt: null,
      autoAdvance,
    });
  }
  rejoinPeriod(world, subscription, options, now);
  if (options.prorations !== "always_invoice") return null;
  return draftFor(world, subscription, {
    billingReason: "subscription_update",
    finalizesAt: null,
    pendingOnly: true,
    autoAdvance,
  });
}

/**
 * Resume a paused subscription: at once where that costs nothing, else with the invoice this makes, which is final at
 * once. Paid or written off it makes the subscription active, voided it leaves it paused; where nobody has tried to pay
 * it within 23 hours, Stripe voids it.
 */
export function resumeSubscription(world: World, subscription: Subscription, options: ResumeOptions): void {
  if (subscription.status !== "paused") {
    throw invalidRequest("Only subscriptions with a status of `paused` can be resumed.");
  }
  if (subscription.collection_method !== "charge_automatically") {
    throw invalidRequest(
      "Only subscriptions with `collection_method` set to `charge_automatically` can be resumed.",
    );
  }
  const now = timeOf(world, subscription);
  const { hidden } = world.store;
  const former = hidden.resumptions.get(subscription.id)?.invoice;
  if (former) world.jobs.set("invoice.void", former, subscription.test_clock, now);
  const { result: invoice, wanted } = workedOut(subscription, () =>
    resumptionDraft(world, subscription, options),
  );
  const { items, billing_cycle_anchor } = wanted;
  if (!invoice) {
    finishResume(world, subscription, (it) => Object.assign(it, { items, billing_cycle_anchor }));
    return;
  }
  hidden.resumptions.set(subscription.id, {
    invoice: invoice.id,
    onSuccess: options.onSuccess,
    wanted: { items, billing_cycle_anchor },
  });
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.latest_invoice = invoice.id;
  });
  finalizeInvoice(world, invoice);
  if (options.onSuccess) collect(world, invoice);
  else world.jobs.set("invoice.void_untried", invoice.id, invoice.test_clock, now + incompleteSeconds);
}
