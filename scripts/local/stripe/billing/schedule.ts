import type { Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";

const daySeconds = 86_400;
/** Stripe announces a trial's end this many days before. */
export const trialNoticeDays = 3;
/** A first payment has this long. */
export const incompleteSeconds = 23 * 3600;

/** When the current period of a subscription ends; its items renew together here. */
export function periodEnd(subscription: Subscription): number {
  return Math.min(...subscription.items.data.map((item) => item.current_period_end));
}

export function periodStart(subscription: Subscription): number {
  return Math.min(...subscription.items.data.map((item) => item.current_period_start));
}

const running = new Set<string>(["trialing", "active", "past_due", "unpaid"]);

/** Plan, from what a subscription says now, everything that will happen to it by itself. */
export function scheduleSubscription(world: World, subscription: Subscription): void {
  const { id, test_clock: clock, status } = subscription;
  const now = timeOf(world, subscription);
  // What should have been said earlier is said now.
  const set = (kind: string, at: number | null): void =>
    world.jobs.set(kind, id, clock, at === null ? null : Math.max(at, now));
  const lives = running.has(status);
  const end = periodEnd(subscription);
  const noticed = world.store.hidden.notices.get(id);

  set("subscription.period", lives ? end : null);
  const upcoming = end - world.settings.upcomingDays * daySeconds;
  const leaving = subscription.cancel_at !== null && subscription.cancel_at <= end;
  const announced = noticed?.upcoming === end;
  set(
    "subscription.upcoming",
    lives && !leaving && !announced && upcoming > subscription.created ? upcoming : null,
  );

  const trialEnd = status === "trialing" ? subscription.trial_end : null;
  const trialDue = trialEnd !== null && noticed?.trial !== trialEnd;
  set("subscription.trial_will_end", trialDue ? trialEnd - trialNoticeDays * daySeconds : null);

  set("subscription.cancel_at", lives || status === "paused" ? subscription.cancel_at : null);
  set("subscription.incomplete", status === "incomplete" ? subscription.created + incompleteSeconds : null);
  set("subscription.pending_update", subscription.pending_update?.expires_at ?? null);
  set("subscription.unpause", lives ? (subscription.pause_collection?.resumes_at ?? null) : null);
}
