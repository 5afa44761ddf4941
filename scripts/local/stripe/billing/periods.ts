/** How often a price renews. */
export interface Interval {
  interval: string;
  interval_count: number;
}

const daySeconds = 86_400;

/** The same day `months` later, or that month's last day where it is shorter, keeping the time of day. */
function addMonths(from: number, months: number): number {
  const start = new Date(from * 1000);
  const year = start.getUTCFullYear();
  const month = start.getUTCMonth() + months;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const date = new Date(start);
  date.setUTCFullYear(year, month, Math.min(start.getUTCDate(), lastDay));
  return Math.floor(date.getTime() / 1000);
}

/** The start of the nth period counted from an anchor (n may be negative). */
export function periodBoundary(
  anchor: number,
  { interval, interval_count: count }: Interval,
  n: number,
): number {
  if (interval === "day") return anchor + n * count * daySeconds;
  if (interval === "week") return anchor + n * count * 7 * daySeconds;
  return addMonths(anchor, n * count * (interval === "year" ? 12 : 1));
}

/**
 * The first boundary after a moment, counted from the anchor, so that a subscription begun on the 31st
 * returns to the 31st after February.
 */
export function nextBoundary(anchor: number, interval: Interval, after: number): number {
  const approximate = Math.floor((after - anchor) / (periodBoundary(anchor, interval, 1) - anchor)) - 1;
  let n = approximate;
  while (periodBoundary(anchor, interval, n) <= after) n += 1;
  return periodBoundary(anchor, interval, n);
}
