import type { CallBilling } from "../_duebase/database.ts";
import { drain } from "../duebase-deliver/drain.ts";
import type { Run } from "../duebase-deliver/run.ts";

export type DailyRun = {
  callBilling: CallBilling;
  /** What the evaluations are made with. */
  run: Run;
  /** The clock due-ness goes by, ISO 8601, where it is not the database's: only the local stack has one. */
  now: string | undefined;
};

/** What `advance_dunning` answers for a page of customers. */
type Page = { customers: number; due: number; next: string | null };

/**
 * One run: it enqueues an evaluation for every customer with something due, page by page, and then makes as many as
 * the run's budget allows; `duebase-deliver` makes the rest. Returns counts, which `billing.dunning_runs` keeps too.
 * Rejects when the database does not answer: the run then stays unfinished, and the watchdog starts another.
 */
export async function runDaily({ callBilling, run, now }: DailyRun): Promise<Record<string, number>> {
  const at = (args: Record<string, unknown>) => JSON.stringify({ ...args, p_now: now });
  const id = await callBilling("begin_dunning_run", at({}));
  let customers = 0;
  let due = 0;
  let after: string | null = "";
  while (after !== null) {
    const page = (await callBilling("advance_dunning", at({ p_after: after }))) as Page;
    customers += page.customers;
    due += page.due;
    after = page.next;
  }
  await drain(run, {
    kinds: ["dunning"],
    alertMail: undefined,
    now: () => (now === undefined ? Date.now() : Date.parse(now)),
  });
  const failed = run.counts.failed + run.counts.dead;
  const counts = { customers, due, evaluated: run.counts.delivered, ...run.dunning, failed };
  const problem =
    failed === 0
      ? null
      : `${failed} could not be evaluated, and nothing was done about them: see billing.outbox where kind = 'dunning'`;
  await callBilling("finish_dunning_run", at({ p_id: id, p_counts: counts, p_problem: problem }));
  return counts;
}
