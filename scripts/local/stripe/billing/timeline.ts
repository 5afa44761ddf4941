import { expireSession } from "../checkout/sessions.ts";
import { change } from "../core/events.ts";
import type { Job } from "../core/jobs.ts";
import type { Subscription } from "../core/wire.ts";
import { timeAt, type World } from "../core/world.ts";
import { finishIntent } from "../payments/confirmation.ts";
import { finishRefund } from "../payments/refunds.ts";
import { attemptPayment, collect, collectPaused, markOverdue } from "./collection.ts";
import { subscriptionOf } from "./drafts.ts";
import { finalizeInvoice, voidInvoice } from "./invoices.ts";
import { expirePendingUpdate } from "./pending.ts";
import { announceRenewal, announceTrialEnd, endTerm, expireIncomplete, renew } from "./renewal.ts";
import { resumeSubscription } from "./resumption.ts";
import { scheduleSubscription } from "./schedule.ts";
import { releaseSchedule } from "./terms.ts";

type Act = (world: World, id: string) => void;

function onSubscription(act: (world: World, subscription: Subscription) => void): Act {
  return (world, id) => {
    const subscription = world.store.get("subscription", id);
    if (subscription) act(world, subscription);
  };
}

function finalizeDue(world: World, id: string): void {
  const invoice = world.store.get("invoice", id);
  if (invoice?.status !== "draft") return;
  const subscription = subscriptionOf(world, invoice);
  if (subscription?.pause_collection) {
    collectPaused(world, invoice, subscription);
    return;
  }
  finalizeInvoice(world, invoice);
  collect(world, invoice);
}

/** What Stripe does by itself, by the kind of job. */
const acts: Record<string, Act> = {
  "subscription.period": onSubscription(renew),
  "subscription.upcoming": onSubscription(announceRenewal),
  "subscription.trial_will_end": onSubscription(announceTrialEnd),
  "subscription.cancel_at": onSubscription(endTerm),
  "subscription.incomplete": onSubscription(expireIncomplete),
  "subscription.pending_update": onSubscription(expirePendingUpdate),
  "subscription.resume": onSubscription((world, subscription) => {
    if (subscription.status !== "paused") return;
    const anchorNow = world.settings.resumeWhenPaid === "now";
    resumeSubscription(world, subscription, { anchorNow, prorations: "none", onSuccess: true });
  }),
  "subscription.unpause": onSubscription((world, subscription) => {
    change(world, "customer.subscription.updated", subscription, (it) => {
      it.pause_collection = null;
    });
    scheduleSubscription(world, subscription);
  }),
  "invoice.finalize": finalizeDue,
  "invoice.attempt": (world, id) => {
    const invoice = world.store.get("invoice", id);
    if (invoice?.status === "open") attemptPayment(world, invoice, { automatic: true, offSession: true });
  },
  "invoice.void": (world, id) => {
    const invoice = world.store.get("invoice", id);
    if (invoice?.status === "open") voidInvoice(world, invoice);
  },
  "invoice.void_untried": (world, id) => {
    const invoice = world.store.get("invoice", id);
    if (invoice?.status === "open" && !invoice.attempted) voidInvoice(world, invoice);
  },
  "invoice.overdue": (world, id) => {
    const invoice = world.store.get("invoice", id);
    if (invoice) markOverdue(world, invoice);
  },
  "schedule.release": (world, id) => {
    const schedule = world.store.get("subscription_schedule", id);
    if (schedule?.status === "active") releaseSchedule(world, schedule);
  },
  "payment.finish": (world, id) => {
    const intent = world.store.get("payment_intent", id);
    if (intent) finishIntent(world, intent);
  },
  "refund.finish": (world, id) => {
    const refund = world.store.get("refund", id);
    if (refund) finishRefund(world, refund);
  },
  "session.expire": (world, id) => {
    const session = world.store.get("checkout.session", id);
    if (session?.status === "open") expireSession(world, session);
  },
};

function perform(world: World, clock: string, job: Job): void {
  const before = world.moments.get(clock);
  const request = world.request;
  // Things happen at their own time, and nobody asked for them.
  world.moments.set(clock, Math.max(job.at, before ?? job.at));
  world.request = null;
  try {
    acts[job.kind]?.(world, job.id);
  } finally {
    world.request = request;
    if (before === undefined) world.moments.delete(clock);
    else world.moments.set(clock, before);
  }
}

/**
 * Do, in the order of time, everything that is due on a clock.
 * @param until seconds; the clock's own time where absent
 * @returns how many things were done
 */
export function runDue(world: World, clock: string, until = timeAt(world, clock || null)): number {
  let count = 0;
  for (let job = world.jobs.take(clock, until); job; job = world.jobs.take(clock, until)) {
    perform(world, clock, job);
    count += 1;
  }
  world.store.commit();
  return count;
}
