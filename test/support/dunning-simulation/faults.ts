import {
  CRASH_POINTS,
  type CrashPoint,
  passThrough,
  type ReachPoint,
} from "../../../supabase/functions/_duebase/crash-points.ts";
import { DAY, HOUR } from "../dunning-world.ts";
import { Random } from "../simulation/random.ts";

/** Kinds of faults. A simulation has some of them, all or none. */
export const FAULT_KINDS = [
  // of webhooks
  "late",
  "lost",
  "repeated",
  "shuffled",
  "quarantined",
  // of runs
  "missed runs",
  "repeated runs",
  "crashes",
  "failed answers",
  "Stripe away",
  "Resend away",
  "wrong key",
  "paid meanwhile",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What goes wrong in one run of a function. */
export interface RunFault {
  /** How many runs start at the same moment; 0: none does. */
  runs: number;
  /** The point at which one of them is killed, or fails. */
  crash: { point: CrashPoint; nth: number; fails: boolean } | null;
  stripeIsAway: boolean;
  resendIsAway: boolean;
  /** The functions have the key of another account. */
  hasWrongKey: boolean;
  /** One answer of Stripe's or Resend's is late, is an error, or is lost; some only after the effect. */
  answerFault: {
    of: "stripe" | "resend";
    skip: number;
    kind: "slow" | "error" | "error-after-effect" | "reset" | "reset-after-effect";
  } | null;
}

/** Points at which runs are killed. Alerts are not sent in a simulation. */
export const POINTS: readonly CrashPoint[] = CRASH_POINTS.filter((point) => !point.startsWith("alert_"));

/** Outages, missed and repeated runs, and crashes of a world. A seed draws the same, whatever kinds are left out. */
export class Faults {
  readonly #random: Random;
  readonly #kinds: ReadonlySet<FaultKind>;
  readonly #stripeAway: [from: number, until: number][];
  readonly #resendAway: [from: number, until: number][];
  readonly #jobDown: [from: number, until: number][];
  readonly #wrongKey: [from: number, until: number][];

  constructor(seed: number, kinds: ReadonlySet<FaultKind>, days: number) {
    this.#random = new Random(seed + 17);
    this.#kinds = kinds;
    const outages = (each: number, longest: number): [number, number][] =>
      Array.from({ length: Math.ceil(days / each) }, () => {
        const from = this.#random.next() * days * DAY;
        return [from, from + this.#random.next() * longest * HOUR];
      });
    this.#stripeAway = outages(6, 14);
    this.#resendAway = outages(6, 14);
    this.#jobDown = outages(10, 100);
    this.#wrongKey = outages(14, 60);
    // In some worlds one outage lasts for weeks: longer than mails are retried, and longer than a warning is valid.
    const away = this.#random.pick([this.#stripeAway, this.#resendAway, this.#resendAway, this.#jobDown, []]);
    const from = (4 + this.#random.next() * 8) * DAY;
    away.push([from, from + (9 + this.#random.next() * 5) * DAY]);
  }

  /** The fault of the delivery run at a time; `since` in milliseconds after the beginning. */
  delivery(since: number): RunFault {
    const { chance, runs } = this.#draw();
    return this.#fault(since, chance < 0.1 ? 0 : chance > 0.85 ? runs : 1);
  }

  /** The same for the daily job, which may also be down for days. */
  dailyRun(since: number): RunFault {
    const { chance, runs } = this.#draw();
    const isDown = isWithin(this.#jobDown, since) || chance < 0.05;
    return this.#fault(since, isDown ? 0 : chance > 0.6 ? runs : 1);
  }

  #draw(): { chance: number; runs: number } {
    return { chance: this.#random.next(), runs: this.#random.pick([2, 2, 5]) };
  }

  #fault(since: number, runs: number): RunFault {
    const random = this.#random;
    const stripeIsAway = isWithin(this.#stripeAway, since);
    const resendIsAway = isWithin(this.#resendAway, since);
    // Most failures are reported during an outage.
    const drawn = random.pick(POINTS);
    const point = (stripeIsAway || resendIsAway) && random.chance(0.5) ? "effect_failed" : drawn;
    const nth = random.pick([1, 1, 2, 4]);
    // Most runs have little to do and never reach the point.
    const crashes = random.chance(0.6);
    const fails = random.chance(0.3);
    const answerFails = random.chance(0.25);
    const answerFault = {
      of: random.pick(["stripe", "resend"] as const),
      skip: random.int(0, 6),
      kind: random.pick([
        "slow",
        "slow",
        "error",
        "error-after-effect",
        "reset",
        "reset-after-effect",
      ] as const),
    };
    const kinds = this.#kinds;
    const isLeftOut = (runs === 0 && !kinds.has("missed runs")) || (runs > 1 && !kinds.has("repeated runs"));
    return {
      runs: isLeftOut ? 1 : runs,
      crash: crashes && kinds.has("crashes") ? { point, nth, fails } : null,
      stripeIsAway: stripeIsAway && kinds.has("Stripe away"),
      resendIsAway: resendIsAway && kinds.has("Resend away"),
      hasWrongKey: isWithin(this.#wrongKey, since) && kinds.has("wrong key"),
      answerFault: answerFails && kinds.has("failed answers") ? answerFault : null,
    };
  }
}

function isWithin(spans: readonly (readonly [number, number])[], since: number): boolean {
  return spans.some(([from, until]) => since >= from && since < until);
}

/** The process was killed, or something in it failed unexpectedly. */
export class Crashed extends Error {}

/**
 * A reach that ends the run at a point, and a promise that rejects when it has. Wait for the run or for the promise.
 * Where `fails`, the point throws instead, and the run handles that like any failure.
 */
export function crashAt(crash: RunFault["crash"]): {
  reach: ReachPoint;
  killed: Promise<never>;
  hasCrashed: () => boolean;
} {
  let reached = 0;
  let kill: (error: Error) => void = () => {};
  const killed = new Promise<never>((_, reject) => {
    kill = reject;
  });
  killed.catch(() => {});
  if (crash === null) return { reach: passThrough, killed, hasCrashed: () => false };
  const reach: ReachPoint = (point) => {
    if (point !== crash.point || ++reached !== crash.nth) return Promise.resolve();
    const error = new Crashed(`ended at ${point}`);
    if (crash.fails) return Promise.reject(error);
    kill(error);
    return new Promise(() => {});
  };
  return { reach, killed, hasCrashed: () => reached >= crash.nth };
}
