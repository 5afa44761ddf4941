import { day, hour } from "./format.ts";

/** Ada's trial. On its last day Bo, Cleo and Dan subscribe. */
export const trialDays = 7;
/** Eve and Finn subscribe that many days after the others; so Finn's renewal fails that many days after theirs. */
export const finnFollowsAfter = 14;

/** Every month has that many days. */
const shortestMonth = 28;

/**
 * At nine, UTC, two days later or up to 17 more. The story lies ahead of the real clock, so that what goes by the real one,
 * such as the minute ticks, finds nothing due yet and leaves the telling to the story. And all subscribe in one month, before
 * its 29th: Stripe renews on the same day of the next month, or on its last where it is shorter, so people who subscribe in
 * two months, or at a month's end, do not renew as many days apart as they subscribed.
 *
 * @param now Unix seconds
 * @returns when the story begins; Unix seconds
 */
export function openingAfter(now: number): number {
  let opening = Math.floor(now / day + 2) * day + 9 * hour;
  while (dayOfMonth(opening + trialDays * day) + finnFollowsAfter > shortestMonth) opening += day;
  return opening;
}

function dayOfMonth(at: number): number {
  return new Date(at * 1000).getUTCDate();
}
