import { HistoryRefusal } from "../_duebase/history/key-check.ts";
import { dueHistory, type RunnerParts, type RunOrder, runHistory } from "../_duebase/history/runner.ts";

/** What a call did: how many events or objects of each run it saw, and how many runs it finished, or left to the next call. */
export type Reconciled = Record<string, number>;

/** A call works for so long; the next minute goes on. Milliseconds. */
export const BUDGET_MS = 45_000;

type ReconcileParts = Omit<RunnerParts, "onPage">;

/**
 * Does what is due, as far as the time goes: events that Stripe lists and that did not arrive; the comparison of what runs and
 * what is owed, once the history is in; and a backfill that was begun, here or at a terminal. What it fails with is kept for
 * the health view, as its caller was answered before.
 *
 * @throws whatever Stripe or the database rejects with; the run keeps it, and goes on the next time
 */
export async function reconcile(parts: ReconcileParts): Promise<Reconciled> {
  try {
    const done = await doWhatIsDue(parts);
    await noteProblem(parts);
    return done;
  } catch (error) {
    await noteProblem(parts, reasonOf(error)).catch(() => {
      // The database is gone: the first error says why, and the health view that no run has ended.
    });
    throw error;
  }
}

/** As job_problems has it: what is wrong, and after a colon what to do. */
function reasonOf(error: unknown): string {
  if (error instanceof HistoryRefusal) return `${error.message.replace(/\.$/, "")}: ${error.cure}`;
  return error instanceof Error ? error.message : String(error);
}

/** Without a problem: nothing stood in the way. */
async function noteProblem({ callBilling, now }: ReconcileParts, problem?: string): Promise<void> {
  await callBilling("note_reconcile_problem", JSON.stringify({ p_problem: problem, p_now: now }));
}

async function doWhatIsDue(parts: ReconcileParts): Promise<Reconciled> {
  const { callBilling, now, budgetMs = BUDGET_MS } = parts;
  const until = performance.now() + budgetMs;
  const due = await dueHistory(callBilling, now);
  const done: Reconciled = { finished: 0, incomplete: 0, paused: 0, busy: 0 };

  const run = async (order: RunOrder): Promise<boolean> => {
    const left = until - performance.now();
    if (left <= 0) return false;
    let seen = 0;
    const result = await runHistory(
      {
        ...parts,
        budgetMs: left,
        onPage: (_step, objects) => {
          seen += objects;
        },
      },
      order,
    );
    done[order.kind] = seen;
    const ending =
      result.outcome === "finished" && result.run.status === "incomplete" ? "incomplete" : result.outcome;
    done[ending] = (done[ending] ?? 0) + 1;
    return result.outcome === "finished";
  };

  // The objects of the time that Stripe lists no events of: begun before the events, whose end makes the gap be forgotten.
  const fillsGap = due.gap_from !== null && !due.backfill;
  const isGapFilled = fillsGap && (await run({ kind: "backfill", readsSince: due.gap_from ?? undefined }));
  if (due.events) await run({ kind: "events", eventsFrom: due.events_from });
  const isHistoryIn = fillsGap ? isGapFilled : !due.backfill || (await run({ kind: "backfill" }));
  if (due.comparison && isHistoryIn) await run({ kind: "comparison" });
  return done;
}
