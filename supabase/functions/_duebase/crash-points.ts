/**
 * Every await of a delivery between claim and completion. Tests stop the function at each of them, for ever, and end
 * it there with SIGKILL: what it had done by then must come out as one effect.
 */
export const CRASH_POINTS = [
  "claimed",
  "emails_prepared",
  "email_rendered",
  "email_begun",
  "email_sent",
  "email_finished",
  "object_read",
  "object_applied",
  "call_checked",
  "call_marked",
  "call_made",
  "answer_applied",
  "charge_reviewed",
  "charge_made",
  "charge_refused",
  "charge_finished",
  "dunning_evaluated",
  "end_reviewed",
  "end_finished",
  "seats_reviewed",
  "seats_made",
  "seats_finished",
  "alert_mailed",
  "alert_posted",
  "effect_completed",
  "effect_failed",
] as const;

/** One of `CRASH_POINTS`. */
export type CrashPoint = (typeof CRASH_POINTS)[number];

/** Resolves at once, except at the point where a test wants the process to be ended: there never. */
export type ReachPoint = (point: CrashPoint) => Promise<void>;

/** What runs outside of tests: no point stops anything. */
export const passThrough: ReachPoint = () => Promise.resolve();

/** Stops at the nth time `point` is reached, having said so. */
export function stopAt(point: string, nth: number, say: (line: string) => void): ReachPoint {
  let reached = 0;
  return (current) => {
    if (current !== point || ++reached !== nth) return Promise.resolve();
    say(`stopped at ${point}`);
    return new Promise(() => {});
  };
}
