import { DatabaseRefusal, StripeCallError } from "../_duebase/errors.ts";
import { describeError } from "../_duebase/log.ts";
import type { Effect } from "../_duebase/outbox.ts";
import { type AlertMail, alert } from "./effects/alert.ts";
import { chargeCard, isCardCharge } from "./effects/card-charge.ts";
import { dunning } from "./effects/dunning.ts";
import { deliverEmails } from "./effects/emails.ts";
import { refresh } from "./effects/refresh.ts";
import { changeSeats, isSeatsChange } from "./effects/seats.ts";
import { callStripe } from "./effects/stripe-call.ts";
import type { Outcome } from "./outcome.ts";
import type { Run } from "./run.ts";

export type DrainSettings = {
  alertMail: AlertMail | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Only effects of these kinds; all where it is left out. */
  kinds?: string[];
};

/** What needs Stripe, and what leaves for people: who is slow or away in one holds up nothing of the other. */
const LANES = { stripe: ["stripe", "refresh", "dunning"], people: ["alert", "email"] } as const;

/** What changes something at Stripe; an email is asked about with its batch, when the attempt begins. */
const WRITES: ReadonlySet<string> = new Set(["stripe", "dunning"]);

/** How long effects wait whose dependency is left alone: when it asked for no time itself, and at most; seconds. */
const LEAVE_ALONE_SECONDS = 30;
const LONGEST_PAUSE_SECONDS = 3600;

/**
 * Claims and performs effects until nothing is due or the run's budget is spent, in turns: what needs Stripe, then
 * mails and alerts. An effect that fails is reported and the next one begun; once Stripe, Resend or the operator's
 * webhook does not answer, what needs it is left for a later run and the rest goes on. Only a database that cannot be
 * reached ends the run, and the leases then end by themselves.
 */
export async function drain(run: Run, settings: DrainSettings): Promise<void> {
  let isDone = false;
  while (!isDone && run.mayClaim) {
    isDone = true;
    for (const lane of [LANES.stripe, LANES.people]) {
      const kinds = lane.filter((kind) => mayDeliver(kind, run, settings));
      if (kinds.length === 0 || !run.mayClaim) continue;
      run.leaseBegins();
      run.turnBegins();
      const claimed = await run.outbox.claim(run.budget.claimLimit, run.budget.leaseSeconds, kinds);
      await run.reach("claimed");
      if (claimed.length === 0) continue;
      isDone = false;
      await deliverClaimed(claimed, run, settings);
    }
  }
}

async function deliverClaimed(claimed: readonly Effect[], run: Run, settings: DrainSettings): Promise<void> {
  await deliverOthers(
    claimed.filter(({ kind }) => kind !== "email"),
    run,
    settings,
  );
  await deliverEmails(
    claimed.filter(({ kind }) => kind === "email"),
    run,
  );
}

/** Whether effects of a kind are asked for in this run, and the service that they need is not left alone. */
function mayDeliver(kind: string, run: Run, { kinds, alertMail }: DrainSettings): boolean {
  if (kinds !== undefined && !kinds.includes(kind)) return false;
  if (kind === "email") return run.maySend;
  if (kind !== "alert") return run.stripe.mayCall;
  const mails = alertMail !== undefined;
  const posts = run.postAlert !== undefined;
  return (mails && run.maySend) || (posts && run.mayPost) || !(mails || posts);
}

function pauseOf(kind: string, run: Run): number {
  const asked = kind === "alert" ? undefined : run.stripe.pauseSeconds;
  return Math.min(asked ?? LEAVE_ALONE_SECONDS, LONGEST_PAUSE_SECONDS);
}

async function deliverOthers(effects: readonly Effect[], run: Run, settings: DrainSettings): Promise<void> {
  for (const [index, effect] of effects.entries()) {
    const mayDo = mayDeliver(effect.kind, run, settings);
    if (!run.mayGoOn || !mayDo) {
      const rest = effects.slice(index);
      await run.outbox.release(rest, mayDo ? undefined : pauseOf(effect.kind, run));
      run.counts.handed_back += rest.length;
      return;
    }
    const startedAt = performance.now();
    // The project may have gone back to mirror mode since it was claimed. Reads and alerts go on then.
    if (WRITES.has(effect.kind) && !(await run.outbox.confirm(effect))) {
      run.counts.handed_back += 1;
      continue;
    }
    const outcome = await perform(effect, run, settings);
    const ending = await reportOutcome(effect, outcome, run);
    run.log(outcome.is === "failed" ? "warn" : "info", {
      effect: effect.id,
      kind: effect.kind,
      attempt: effect.attempts,
      outcome: outcome.is === "failed" ? outcome.error.code : ending,
      status: outcome.is === "failed" ? outcome.error.status : undefined,
      duration_ms: Math.round(performance.now() - startedAt),
    });
  }
}

async function perform(effect: Effect, run: Run, { alertMail, now }: DrainSettings): Promise<Outcome> {
  try {
    switch (effect.kind) {
      case "refresh":
        return await refresh(effect, run);
      case "stripe":
        if (isSeatsChange(effect)) return await changeSeats(effect, run);
        return isCardCharge(effect)
          ? await chargeCard(effect, run, now())
          : await callStripe(effect, run, now());
      case "dunning":
        return await dunning(effect, run, now());
      case "alert":
        return await alert(effect, run, alertMail);
      default:
        return {
          is: "failed",
          final: true,
          error: { code: "unknown_kind", message: `No kind ${effect.kind}.` },
        };
    }
  } catch (error) {
    return failureOf(error);
  }
}

function failureOf(error: unknown): Outcome {
  if (error instanceof StripeCallError) {
    const { code, message, status, retryAfterSeconds, isOutage, isPassing } = error;
    return { is: "failed", error: { code, message, status }, retryAfterSeconds, final: !isPassing, isOutage };
  }
  // What is wrong with an object that was read stays wrong until the operator acts.
  if (error instanceof DatabaseRefusal && error.code === "read_is_not_ours") {
    return { is: "failed", error: { code: error.code, message: error.message }, final: true };
  }
  const { exception, sqlstate, reason } = describeError(error);
  const message = reason ?? exception ?? sqlstate ?? "an unexpected failure";
  return { is: "failed", error: { code: "failed", message } };
}

async function reportOutcome(effect: Effect, outcome: Outcome, run: Run): Promise<string> {
  if (outcome.is === "delivered") {
    const completed = await run.outbox.complete(effect);
    await run.reach("effect_completed");
    run.counts[completed ? "delivered" : "lost"] += 1;
    return completed ? "delivered" : "lost";
  }
  if (outcome.is === "handed_back") {
    await run.outbox.release([effect], outcome.afterSeconds);
    run.counts.handed_back += 1;
    return "handed_back";
  }
  const ending = await run.outbox.fail(effect, outcome);
  await run.reach("effect_failed");
  run.counts[ending === "dead" ? "dead" : ending === "lost" ? "lost" : "failed"] += 1;
  return ending;
}
