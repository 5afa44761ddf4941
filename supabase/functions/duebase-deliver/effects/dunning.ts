import { StripeCallError } from "../../_duebase/errors.ts";
import type { DunningCount, Effect } from "../../_duebase/outbox.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";
import { decide } from "./decide.ts";
import { readAndApply } from "./refresh.ts";
import { callStripe, canBePaused } from "./stripe-call.ts";

/** What an outbox row of kind dunning says: evaluate a customer's cases, carry out the end of one, or undo its pause. */
type DunningPayload = {
  customer: string;
  /** Id in billing.dunning_resumptions of what is to be resumed. */
  resume?: number;
  /** Id in billing.dunning_actions of the end that was decided. */
  end?: number;
  /** The clock of this evaluation is no earlier: Stripe's may be ahead of ours. */
  not_before?: string;
};

/**
 * Evaluates a customer's overdue payments. Whatever the database is about to decide on is read from Stripe first, so
 * that no customer is chased for a payment whose webhook is merely late. Rejects when Stripe or the database does not
 * answer: then nothing was decided, and the evaluation is repeated.
 */
export async function dunning(effect: Effect, run: Run, nowMs: number): Promise<Outcome> {
  const { customer, end, resume, not_before } = effect.payload as unknown as DunningPayload;
  const moment = not_before !== undefined && Date.parse(not_before) > nowMs ? not_before : undefined;
  if (resume !== undefined) return resumePaused(effect, resume, run, nowMs, moment);
  return end === undefined
    ? await evaluate(customer, run, moment)
    : await carryOut(effect, end, run, nowMs, moment);
}

function evaluate(customer: string, run: Run, moment: string | undefined): Promise<Outcome> {
  return decide(
    { about: customer, reached: "dunning_evaluated" },
    (checked) => run.outbox.takeDunningSteps(customer, checked, moment),
    run,
    async ({ read, ...counts }) => {
      for (const [name, count] of Object.entries(counts)) run.dunning[name as DunningCount] += count;
      return { is: "delivered" };
    },
  );
}

function carryOut(
  effect: Effect,
  action: number,
  run: Run,
  nowMs: number,
  moment: string | undefined,
): Promise<Outcome> {
  return decide(
    { about: String(action), reached: "end_reviewed" },
    (checked) => run.outbox.reviewDunningEnd(action, checked, moment),
    run,
    async (plan) => {
      if (!plan.go) {
        run.dunning.called_off += 1;
        return { is: "delivered" };
      }
      const made = await makeCalls(effect, plan, run, nowMs);
      if (made.is !== "delivered") return made;
      // Finds a payment that was made between the review and the call.
      for (const id of plan.invoices ?? []) await readAndApply({ kind: "invoice", id }, run);
      const finished = await run.outbox.finishDunningEnd(action, moment);
      await run.reach("end_finished");
      if (finished === "not_ended") {
        return {
          is: "failed",
          retryAfterSeconds: 5,
          error: { code: "not_ended", message: "Stripe's answer does not show the end yet." },
        };
      }
      run.dunning[finished === "ended" ? "ended" : "called_off"] += 1;
      return { is: "delivered" };
    },
  );
}

/** The calls that end a case, each through the rules of a call of its own. */
async function makeCalls(
  effect: Effect,
  plan: { action?: string; case?: number; subscription?: string | null; invoices?: string[] },
  run: Run,
  nowMs: number,
): Promise<Outcome> {
  const mark = { duebase_dunning_case: String(plan.case) };
  if (plan.action === "pause") return pause(effect, String(plan.subscription), mark, run, nowMs);
  const calls =
    plan.action === "mark_uncollectible"
      ? (plan.invoices ?? []).map((id) => ({ call: "mark_uncollectible", id }))
      : [{ call: "cancel_subscription", id: String(plan.subscription), mark }];
  for (const call of calls) {
    const outcome = await makeCall(effect, call, run, nowMs);
    if (outcome.is !== "delivered") return outcome;
  }
  return { is: "delivered" };
}

/** One call of several that an effect makes, each under a key of its own. */
function makeCall(
  effect: Effect,
  call: { call: string; id: string; mark?: Record<string, string>; params?: Record<string, string> },
  run: Run,
  nowMs: number,
): Promise<Outcome> {
  const part = {
    ...effect,
    dedupe_key: `${effect.dedupe_key}:${call.call}:${call.id}`,
    payload: { ...call } as Effect["payload"],
  };
  return callStripe(part, run, nowMs);
}

/** Stripe's own pause where the subscription can be paused, else a pause of its collection. */
async function pause(
  effect: Effect,
  id: string,
  mark: { duebase_dunning_case: string },
  run: Run,
  nowMs: number,
): Promise<Outcome> {
  const { object } = await readAndApply({ kind: "subscription", id }, run);
  const isMarked =
    (object.metadata as Record<string, unknown> | undefined)?.duebase_dunning_case ===
    mark.duebase_dunning_case;
  const isPaused = object.status === "paused";
  // An earlier attempt got this far, and ended before it could report.
  if (isMarked && (isPaused || Boolean(object.pause_collection))) return { is: "delivered" };
  if (isPaused) {
    const message = "The subscription has been paused meanwhile.";
    return { is: "failed", retryAfterSeconds: 5, error: { code: "paused_meanwhile", message } };
  }
  if (canBePaused(object)) {
    try {
      return await makeCall(effect, { call: "pause_subscription", id, mark }, run, nowMs);
    } catch (error) {
      // Stripe knows more reasons not to pause than a subscription shows.
      if (!(error instanceof StripeCallError && (error.status === 400 || error.status === 404))) throw error;
    }
  }
  const params = { "pause_collection[behavior]": "void" };
  return makeCall(effect, { call: "pause_collection", id, mark, params }, run, nowMs);
}

/** Resumes what was paused for non-payment and has been paid since. */
function resumePaused(
  effect: Effect,
  resumption: number,
  run: Run,
  nowMs: number,
  moment: string | undefined,
): Promise<Outcome> {
  return decide(
    { about: String(resumption), reached: "end_reviewed" },
    (checked) => run.outbox.reviewResumption(resumption, checked, moment),
    run,
    async (plan) => {
      if (!plan.go || plan.subscription === undefined) return { is: "delivered" };
      for (const call of plan.calls ?? []) {
        const made = await makeCall(effect, { call, id: plan.subscription }, run, nowMs);
        if (made.is !== "delivered") return made;
      }
      // Where the invoice that resuming makes is declined, Stripe's answer is the error.
      await readAndApply({ kind: "subscription", id: plan.subscription }, run);
      const finished = await run.outbox.finishResumption(resumption, moment);
      await run.reach("end_finished");
      if (finished === "not_resumed") {
        const message = "Stripe's answer does not show the subscription running yet.";
        return { is: "failed", retryAfterSeconds: 5, error: { code: "not_resumed", message } };
      }
      return { is: "delivered" };
    },
  );
}
