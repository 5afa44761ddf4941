import { cronCall } from "../local/cron-call.ts";
import { advanceClock } from "../local/stripe/buyer.ts";
import type { Cast } from "./cast.ts";
import { day } from "./format.ts";
import { mailsDelivered } from "./mail.ts";

/** Turns the clock, and waits until all events of that time have arrived and all mails are sent. */
export async function advance(cast: Cast, to: number): Promise<void> {
  await advanceClock(cast.world.stripe, cast.clock, to);
  cast.now = to;
  await everythingDelivered(cast);
}

export async function everythingDelivered(cast: Cast): Promise<void> {
  await cast.world.stack.stripe.settled();
  await mailsDelivered(cast.world);
}

/** How often a run that could not do everything is started again, and how much later by the story's clock, in seconds. */
const MOST_REPEATS = 3;
const REPEATED_AFTER = 15 * 60;

/**
 * The daily run, by the story's clock, as cron would call it. One that is incomplete is started again a quarter of an hour
 * later, as the tick does it: Stripe's answer to an end may come in the same second as events about it, and is read again then.
 * Answers the counts, of repetitions too.
 */
export async function runDunning(cast: Cast): Promise<Record<string, number>> {
  const counts = await runOnce(cast, cast.now);
  for (let repeat = 1; Number(counts.failed) > 0 && repeat <= MOST_REPEATS; repeat++) {
    const again = await runOnce(cast, cast.now + repeat * REPEATED_AFTER);
    for (const [name, count] of Object.entries(again)) {
      if (typeof count === "number")
        counts[name] = name === "failed" ? count : Number(counts[name] ?? 0) + count;
    }
  }
  await everythingDelivered(cast);
  return counts;
}

async function runOnce(cast: Cast, now: number): Promise<Record<string, number>> {
  const options = { wait: true, now: new Date(now * 1000).toISOString() };
  const url = `${cast.world.stack.status.FUNCTIONS_URL}/duebase-dunning`;
  const response = await fetch(url, cronCall("duebase-dunning", options));
  if (!response.ok) throw new Error(`dunning answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Record<string, number>;
}

/** Day by day until `days` after day 0, each with its daily run; but on the days on which it is down there is none. */
export async function liveUntilDay(cast: Cast, days: number): Promise<void> {
  const today = dayOf(cast, new Date(cast.now * 1000));
  for (let next = today + 1; next <= days; next++) {
    await advance(cast, cast.dayZero + next * day + cast.runsAt);
    if (!cast.daysDown.includes(next)) await runDunning(cast);
  }
}

/** Days since day 0 of a moment; negative before it. */
export function dayOf(cast: Cast, at: Date): number {
  return Math.floor((at.getTime() / 1000 - cast.dayZero) / day);
}
