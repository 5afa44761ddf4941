import Table from "cli-table3";
import pc from "picocolors";
import type { TransactionSql } from "postgres";
import { compact } from "../duebase/look.ts";
import { stageNames } from "./figures.ts";
import { amountIn, moment, plain } from "./format.ts";

/** An open case, and where it stands. Amounts in minor units. */
export interface OpenCase {
  id: string;
  customer: string;
  subject_id: string;
  policy: string;
  overdue_since: Date;
  amount: string;
  currency: string | null;
  /** The step taken last; null: none yet. */
  last_step: string | null;
  last_step_status: string | null;
  holds: string[];
}

/** What people keep dunning away from. */
export interface Hold {
  customer: string;
  /** Null: the customer with all cases. */
  case_id: string | null;
  reason: string;
  held_at: Date;
  held_until: Date | null;
}

/** The daily run that began last. */
export interface LastRun {
  as_of: Date;
  finished_at: Date | null;
  counts: Record<string, number> | null;
  problem: string | null;
}

export interface Status {
  cases: OpenCase[];
  /** How many are open, shown or not. */
  open: number;
  holds: Hold[];
  /** Null: there has been none. */
  lastRun: LastRun | null;
  /** What keeps a run from being started at all; null when nothing does. */
  jobProblem: string | null;
}

/** Reads the open cases, the longest overdue first, and the holds in force. */
export async function readStatus(sql: TransactionSql, limit: number): Promise<Status> {
  const [count] = await sql<{ open: string }[]>`
    select count(*) as open from billing.dunning_cases as c where c.status = 'open'`;
  const cases = await sql<OpenCase[]>`
    select
      c.id, c.customer, c.subject_id, p.name || ' v' || p.version as policy, c.anchor_at as overdue_since, c.currency,
      (
        select coalesce(sum(i.amount_remaining), 0)
        from billing.dunning_case_invoices as k
        join billing.invoices as i on i.id = k.invoice
        where k.case_id = c.id and i.status = 'open'
      ) as amount,
      a.kind as last_step, a.status as last_step_status, c.holds
    from billing.dunning_cases as c
    join billing.dunning_policies as p on p.id = c.policy_id
    left join lateral (
      select d.kind, d.status
      from billing.dunning_actions as d
      where d.case_id = c.id and d.status <> 'skipped'
      order by d.decided_at desc, d.position desc
      limit 1
    ) as a on true
    where c.status = 'open'
    order by c.anchor_at, c.id
    limit ${limit}`;
  const holds = await sql<Hold[]>`
    select h.customer, h.case_id, h.reason, h.held_at, h.held_until
    from billing.dunning_holds as h
    where h.released_at is null and (h.held_until is null or h.held_until > now())
    order by h.held_at`;
  const [lastRun = null] = await sql<LastRun[]>`
    select r.as_of, r.finished_at, r.counts, r.problem
    from billing.dunning_runs as r
    order by r.started_at desc, r.id desc
    limit 1`;
  const [job] = await sql<{ problem: string }[]>`
    select j.problem from billing.job_problems as j where j.job = 'dunning'`;
  const jobProblem = job?.problem ?? null;
  return { lastRun, jobProblem, cases: [...cases], open: Number(count?.open ?? 0), holds: [...holds] };
}

/** As two tables, and a line about the runs. */
export function statusAsText(status: Status): string {
  const { cases, open, holds } = status;
  const caseTable = new Table({
    head: [
      "case",
      "customer",
      "about",
      "policy",
      "overdue since",
      "owed",
      "last step",
      "kept from the next by",
    ],
    colAligns: ["right", "left", "left", "left", "left", "right", "left", "left"],
    ...compact,
  });
  for (const it of cases) {
    caseTable.push([
      it.id,
      it.customer,
      it.subject_id,
      it.policy,
      moment(it.overdue_since),
      amountIn(BigInt(it.amount), it.currency ?? ""),
      it.last_step === null ? "–" : `${stageNames[it.last_step] ?? it.last_step}, ${it.last_step_status}`,
      it.holds.length > 0 ? pc.yellow(it.holds.join(", ")) : "",
    ]);
  }
  const holdTable = new Table({ head: ["held", "case", "since", "until", "why"], ...compact });
  for (const it of holds) {
    holdTable.push([
      it.customer,
      it.case_id ?? "all",
      moment(it.held_at),
      it.held_until === null ? "you release it" : moment(it.held_until),
      plain(it.reason),
    ]);
  }
  const left = open - cases.length;
  return [
    runsAsText(status),
    open > 0 ? caseTable.toString() : "No case is open.",
    ...(left > 0 ? [pc.dim(`and ${left} more; --limit shows more of them`)] : []),
    ...(holds.length > 0 ? [holdTable.toString()] : []),
  ].join("\n");
}

function runsAsText({ lastRun, jobProblem }: Status): string {
  const problem = jobProblem === null ? [] : [pc.red(`The daily run cannot be started: ${jobProblem}.`)];
  if (lastRun === null) return ["There has been no run yet.", ...problem].join("\n");
  const counts = Object.entries(lastRun.counts ?? {}).filter(([, count]) => Number(count) > 0);
  const said = counts.map(([name, count]) => `${count} ${name}`).join(", ") || "nothing to do";
  const end = lastRun.finished_at === null ? "has not finished" : said;
  return [
    `The last run, as of ${moment(lastRun.as_of)} UTC: ${end}.`,
    ...(lastRun.problem === null ? [] : [pc.red(lastRun.problem)]),
    ...problem,
  ].join("\n");
}
