import { describe, expect, it } from "vitest";
import { finnFollowsAfter, openingAfter, trialDays } from "../../scripts/demo/calendar.ts";
import { day, hour } from "../../scripts/demo/format.ts";
import { periodBoundary } from "../../scripts/local/stripe/billing/periods.ts";

/** The first and the last second of every day of four years, a leap year among them; Unix seconds. */
const moments = Array.from({ length: 4 * 365 + 1 }, (_, n) => Date.UTC(2027, 0, 1 + n) / 1000).flatMap(
  (midnight) => [midnight, midnight + day - 1],
);
/** When who subscribed then pays again, and again. */
const renewalOf = (start: number, n = 1): number =>
  periodBoundary(start, { interval: "month", interval_count: 1 }, n);
const iso = (at: number): string => new Date(at * 1000).toISOString();

describe("the demo's story, begun on any day", () => {
  const story = moments.map((now) => {
    const opening = openingAfter(now);
    const others = opening + trialDays * day;
    return { now, opening, others, finn: others + finnFollowsAfter * day };
  });

  it("Finn's renewal falls as many days after the others' as he subscribed after them", () => {
    const wrong = story
      .map(({ now, others, finn }) => ({
        on: iso(now),
        gap: (renewalOf(finn) - renewalOf(others)) / day,
      }))
      .filter(({ gap }) => gap !== finnFollowsAfter);
    expect(wrong).toEqual([]);
  });

  it("it is over before anybody's second renewal", () => {
    // It ends on the eleventh day after Finn's renewal.
    const wrong = story.filter(({ others, finn }) => renewalOf(finn) + 12 * day > renewalOf(others, 2));
    expect(wrong.map(({ now }) => iso(now))).toEqual([]);
  });

  it("it begins at nine, between one day and nineteen ahead of the real clock", () => {
    const wrong = story.filter(
      ({ now, opening }) =>
        opening % day !== 9 * hour || opening - now < day || opening - now > 19 * day + 9 * hour,
    );
    expect(wrong.map(({ now }) => iso(now))).toEqual([]);
  });
});
