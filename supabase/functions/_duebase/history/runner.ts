import type { CallBilling } from "../database.ts";
import type { CallStripe } from "../stripe.ts";
import { type CheckedKey, checkKey, LISTED_PATHS, readIdentity } from "./key-check.ts";
import { BACKFILL_STEPS } from "./lists.ts";
import { OutOfTime, StripeReader } from "./reader.ts";
import { HistoryStore, isLeaseLost, type RunKind, type RunState } from "./runs.ts";
import { COMPARISON_STEPS, runStep } from "./steps.ts";
import { CALLS_PER_SECOND, type Clock, REAL_CLOCK } from "./token-bucket.ts";

/** What a runner works with. */
export type RunnerParts = {
  callBilling: CallBilling;
  callStripe: CallStripe;
  secretKey: string;
  /** Who holds the lease, for operators: `terminal …`, `duebase-reconcile …`. */
  holder: string;
  clock?: Clock;
  /** ISO 8601, where the database is to go by another clock than its own: only the local stack has one. */
  now?: string;
  /** Milliseconds that a piece of work has. Undefined: as long as it takes. */
  budgetMs?: number;
  onPage?: (step: string, objects: number) => void;
  onWait?: (seconds: number, why: string) => void;
};

/** What is to be run. */
export type RunOrder = {
  kind: RunKind;
  /** ISO 8601: what was made before is left out, where that is possible. */
  readsSince?: string;
  /** ISO 8601; by default the moment in which it begins, by Stripe's clock. */
  eventsFrom?: string;
};

/** How a piece of work ended. `busy`: somebody else has the lease. `paused`: the time was over, and it goes on later. */
export type RunResult =
  | { outcome: "finished"; run: RunState }
  | { outcome: "paused"; run: RunState | null }
  | { outcome: "busy"; holder: string; lockedUntil: string };

const STEPS: Record<RunKind, readonly string[]> = {
  backfill: BACKFILL_STEPS,
  events: ["events"],
  comparison: COMPARISON_STEPS,
};

const PATHS: Record<RunKind, readonly string[]> = {
  backfill: LISTED_PATHS,
  events: ["/v1/events"],
  comparison: ["/v1/subscriptions", "/v1/invoices"],
};

/**
 * Begins a run, or goes on with the one that is running, until it is done or the time is over. Nothing is written before
 * the key was checked. A run that meets a problem keeps it in its row, and goes on from there the next time.
 *
 * @throws HistoryRefusal where the key is not good; whatever Stripe or the database rejects with
 */
export async function runHistory(parts: RunnerParts, order: RunOrder): Promise<RunResult> {
  const { callBilling, clock = REAL_CLOCK, budgetMs, now } = parts;
  const identity = await readIdentity(callBilling);
  const reader = new StripeReader({
    call: parts.callStripe,
    account: identity.account ?? undefined,
    callsPerSecond: CALLS_PER_SECOND[identity.livemode ? "live" : "test"],
    clock,
    until: budgetMs === undefined ? undefined : clock.now() + budgetMs,
    onWait: parts.onWait,
  });
  const lease = (await callBilling(
    "claim_history",
    JSON.stringify({ p_holder: parts.holder, p_now: now }),
  )) as unknown as { claim: string | null; holder: string; locked_until: string };
  if (lease.claim === null) {
    return { outcome: "busy", holder: lease.holder, lockedUntil: lease.locked_until };
  }
  try {
    return await workUnderLease({ ...parts, clock }, order, reader, identity, lease.claim);
  } finally {
    await callBilling("release_history", JSON.stringify({ p_claim: lease.claim })).catch(() => {
      // It runs out by itself within a minute.
    });
  }
}

async function workUnderLease(
  parts: RunnerParts & { clock: Clock },
  order: RunOrder,
  reader: StripeReader,
  identity: Awaited<ReturnType<typeof readIdentity>>,
  claim: string,
): Promise<RunResult> {
  const { callBilling, clock, now } = parts;
  const known = await lastRun(callBilling, "backfill");
  const last = order.kind === "backfill" ? known : await lastRun(callBilling, order.kind);
  let checked: CheckedKey;
  try {
    const { secretKey } = parts;
    // Whoever goes on with a run need not try every list again: a piece has little time.
    const paths = last?.status === "running" ? PATHS[order.kind].slice(0, 1) : PATHS[order.kind];
    checked = await checkKey({ reader, identity, secretKey, knownAccount: known?.account, paths });
  } catch (error) {
    if (error instanceof OutOfTime) return { outcome: "paused", run: null };
    throw error;
  }
  const run = (await callBilling(
    "begin_history",
    JSON.stringify({
      p_kind: order.kind,
      p_steps: STEPS[order.kind],
      p_options: {
        reads_since: order.readsSince,
        account: checked.account,
        events_from: order.eventsFrom ?? checked.asOf,
      },
      p_now: now,
    }),
  )) as unknown as RunState;
  const store = new HistoryStore({ callBilling, clock, claim, runId: run.id, now });
  try {
    for (const state of run.steps) {
      if (state.status === "done") continue;
      await runStep({ store, reader, run, onPage: parts.onPage }, state);
    }
    return { outcome: "finished", run: await store.finish() };
  } catch (error) {
    if (error instanceof OutOfTime)
      return { outcome: "paused", run: (await lastRun(callBilling, order.kind)) ?? run };
    if (!isLeaseLost(error)) {
      await store.noteProblem(error instanceof Error ? error.message : String(error)).catch(() => {
        // The lease or the database is gone: the first error says why.
      });
    }
    throw error;
  }
}

/** The newest run of a kind, if there is any. */
export async function lastRun(callBilling: CallBilling, kind: RunKind): Promise<RunState | null> {
  const state = (await callBilling("history_state", JSON.stringify({ p_kind: kind }))) as unknown;
  return "id" in (state as object) ? (state as RunState) : null;
}

/** What `billing.due_history` answers. */
export type DueHistory = {
  backfill: boolean;
  events: boolean;
  events_from: string;
  gap_from: string | null;
  comparison: boolean;
};

/** What is due, at `now` (ISO 8601) where the database is to go by another clock than its own. */
export async function dueHistory(callBilling: CallBilling, now?: string): Promise<DueHistory> {
  return (await callBilling("due_history", JSON.stringify({ p_now: now }))) as unknown as DueHistory;
}
