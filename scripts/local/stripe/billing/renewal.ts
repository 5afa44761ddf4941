import { change, emit } from "../core/events.ts";
import type { Invoice, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { endSubscription } from "./cancellation.ts";
import { finalizeAndCollect } from "./collection.ts";
import { cycleRequest, draftFor, subscriber } from "./cycle.ts";
import { blankInvoice, pendingItems } from "./drafts.ts";
import { voidInvoice } from "./invoices.ts";
import { intervalOf, periodFrom, restartPeriod } from "./items.ts";
import { pauseSubscription } from "./pausing.ts";
import { expirePendingUpdate } from "./pending.ts";
import { nextBoundary } from "./periods.ts";
import { periodEnd, periodStart, scheduleSubscription } from "./schedule.ts";

function hasMethod(world: World, subscription: Subscription): boolean {
  const customer = subscriber(world, subscription);
  return Boolean(
    subscription.default_payment_method ??
      subscription.default_source ??
      customer.invoice_settings.default_payment_method ??
      customer.default_source,
  );
}

/**
 * Move every item to the period that begins at a moment; a term that ends in it cuts it short.
 * @returns the share of a full period that it is
 */
function rollPeriod(subscription: Subscription, start: number): number {
  let share = 1;
  for (const item of subscription.items.data) {
    const period = periodFrom(start, subscription.billing_cycle_anchor, null)(item.price);
    const end = Math.min(period.end, subscription.cancel_at ?? period.end);
    share = (end - start) / (period.end - start);
    item.current_period_start = start;
    item.current_period_end = end;
  }
  return share;
}

/**
 * A trial that ends without a card ends as the subscription says.
 * @returns whether that was the end of it
 */
function stopsWithoutCard(world: World, subscription: Subscription): boolean {
  const behaviour = subscription.trial_settings?.end_behavior.missing_payment_method;
  if (subscription.collection_method !== "charge_automatically" || hasMethod(world, subscription))
    return false;
  if (behaviour === "cancel") {
    endSubscription(world, subscription, "payment_failed");
    return true;
  }
  if (behaviour !== "pause") return false;
  pauseSubscription(world, subscription, "trial_end_without_payment_method");
  return true;
}

/**
 * The day has come that a subscription was to end on. What has piled up on it until then (usage, say) is billed with a
 * last invoice, collected like any other; if that fails, there is no subscription left to be past due.
 */
export function endTerm(world: World, subscription: Subscription): void {
  const now = timeOf(world, subscription);
  const period = { start: periodStart(subscription), end: now };
  endSubscription(world, subscription, "cancellation_requested");
  const owed = pendingItems(world, subscription.customer, subscription.id).some(
    (it) => it.parent?.subscription_details?.subscription === subscription.id,
  );
  if (!owed) return;
  draftFor(world, subscription, {
    billingReason: "subscription_cycle",
    finalizesAt: now + world.settings.draftSeconds,
    pendingOnly: true,
    period,
  });
}

/** A period is over: the subscription ends, or renews with a draft that becomes final about an hour later. */
export function renew(world: World, subscription: Subscription): void {
  const now = timeOf(world, subscription);
  if (subscription.cancel_at !== null && subscription.cancel_at <= now) {
    endTerm(world, subscription);
    return;
  }
  expirePendingUpdate(world, subscription);
  const trialOver = subscription.status === "trialing";
  if (trialOver && stopsWithoutCard(world, subscription)) return;
  const boundary = periodEnd(subscription);
  const covered = { start: periodStart(subscription), end: boundary };
  change(world, "customer.subscription.updated", subscription, (it) => {
    if (trialOver) it.status = "active";
    const share = rollPeriod(it, boundary);
    draftFor(world, it, {
      share,
      billingReason: "subscription_cycle",
      finalizesAt: now + world.settings.draftSeconds,
      autoAdvance: it.status !== "unpaid",
      period: covered,
    });
  });
  scheduleSubscription(world, subscription);
}

/** `trial_end=now`: the first paid period begins, and is paid, at once. */
export function endTrial(world: World, subscription: Subscription): void {
  const now = timeOf(world, subscription);
  const covered = { start: periodStart(subscription), end: now };
  if (stopsWithoutCard(world, subscription)) return;
  let invoice: Invoice | undefined;
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.status = "active";
    it.trial_end = now;
    restartPeriod(it, now);
    invoice = draftFor(world, it, {
      billingReason: "subscription_update",
      finalizesAt: null,
      period: covered,
    });
  });
  scheduleSubscription(world, subscription);
  if (invoice) finalizeAndCollect(world, invoice);
}

/** The first payment did not come within a day. */
export function expireIncomplete(world: World, subscription: Subscription): void {
  if (subscription.status !== "incomplete") return;
  const now = timeOf(world, subscription);
  change(world, "customer.subscription.updated", subscription, (it) => {
    it.status = "incomplete_expired";
    it.ended_at = now;
  });
  const invoice = world.store.get("invoice", subscription.latest_invoice ?? "");
  if (invoice?.status === "open") voidInvoice(world, invoice);
  scheduleSubscription(world, subscription);
}

/** The trial ends in three days. */
export function announceTrialEnd(world: World, subscription: Subscription): void {
  const notices = world.store.hidden.notices.get(subscription.id) ?? {};
  world.store.hidden.notices.set(subscription.id, { ...notices, trial: subscription.trial_end ?? 0 });
  emit(world, "customer.subscription.trial_will_end", subscription);
}

/** What the next renewal would charge; an invoice that is not stored. */
export function previewRenewal(world: World, subscription: Subscription): Invoice {
  const boundary = periodEnd(subscription);
  const next = structuredClone(subscription);
  if (next.status === "trialing") next.status = "active";
  for (const item of next.items.data) {
    item.current_period_start = boundary;
    item.current_period_end = nextBoundary(next.billing_cycle_anchor, intervalOf(item.price), boundary);
  }
  const request = cycleRequest(world, next, {
    billingReason: "upcoming",
    finalizesAt: boundary + world.settings.draftSeconds,
    period: { start: periodStart(subscription), end: boundary },
  });
  const invoice = blankInvoice(world, request);
  invoice.next_payment_attempt = boundary + world.settings.draftSeconds;
  return invoice;
}

/** Say that a renewal is near. The invoice in the event has no id, for there is none yet. */
export function announceRenewal(world: World, subscription: Subscription): void {
  const notices = world.store.hidden.notices.get(subscription.id) ?? {};
  world.store.hidden.notices.set(subscription.id, { ...notices, upcoming: periodEnd(subscription) });
  const { id: _, ...invoice } = previewRenewal(world, subscription);
  emit(world, "invoice.upcoming", invoice, subscription);
}
