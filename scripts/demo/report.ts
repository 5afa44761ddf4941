import Table from "cli-table3";
import pc from "picocolors";
import { readHealth } from "../duebase/health/health.ts";
import { healthAsText } from "../duebase/health/render.ts";
import { compact } from "../duebase/look.ts";
import type { Cast } from "./cast.ts";
import { type Check, holds } from "./check.ts";
import { dayOf } from "./clock.ts";
import { date, money } from "./format.ts";

/** Who got what, when and why, of everybody in the story: mails, skipped steps, ends and outcomes. */
export async function whoGotWhatTable(cast: Cast): Promise<string> {
  const rows = await cast.world.sql<
    { email: string; at: Date; what: string; is_mail: boolean; why: string }[]
  >`
    with told as (
      select
        e.customer_id as customer, (o.payload ->> 'happened_at')::timestamptz as at, 1 as place, e.id, e.subject as what, true as is_mail,
        coalesce(
          (
            select string_agg(
              format('%s, day %s of %s: unpaid since %s', replace(a.kind, '_', ' '), s.day, p.name, to_char(a.due_at - s.day * interval '24 hours', 'Mon FMDD')),
              '; '
            )
            from billing.dunning_actions as a
            join billing.dunning_cases as c on c.id = a.case_id
            join billing.dunning_steps as s on s.policy_id = c.policy_id and s.position = a.position
            join billing.dunning_policies as p on p.id = c.policy_id
            where a.outbox_id = e.outbox_id
          ),
          case e.template
            when 'trial-ending' then 'Stripe announced the end of the trial'
            when 'payment-receipt' then 'invoice paid'
            when 'payment-recovered' then 'paid after a failure they were told of'
            when 'refund-issued' then 'charge refunded'
            else case o.payload #>> '{props,reason}' when 'requested' then 'the customer wished it' else 'end action of the policy' end
          end
        ) as why
      from billing.emails as e
      join billing.outbox as o on o.id = e.outbox_id
    ),
    done as (
      select c.customer, a.decided_at, 0, a.id, replace(a.kind, '_', ' ') || ' skipped', false, a.note
      from billing.dunning_actions as a join billing.dunning_cases as c on c.id = a.case_id
      where a.status = 'skipped'
      union all
      select c.customer, c.closed_at, 2, c.id, 'case closed: ' || c.outcome, false,
        case c.outcome when 'ended' then 'end action of the policy: ' || p.end_action else 'paid' end
      from billing.dunning_cases as c join billing.dunning_policies as p on p.id = c.policy_id
      where c.status = 'closed'
    )
    select u.email, t.at, t.what, t.is_mail, t.why
    from (select * from told union all select * from done) as t
    join billing.customers as u on u.id = t.customer
    order by u.email, t.at, t.place, t.id`;
  const table = new Table({ head: ["who", "day", "when", "what", "why"], ...compact });
  let last = "";
  for (const { email, at, what, is_mail, why } of rows) {
    const who = email.split("@")[0] ?? email;
    const day = dayOf(cast, at);
    table.push([
      who === last ? "" : pc.bold(who),
      day < 0 ? "" : String(day),
      date(at),
      is_mail ? pc.cyan(`✉ ${what}`) : what,
      why,
    ]);
    last = who;
  }
  return table.toString();
}

/** What the signed-in subscriber reads through the Data API, by her own token. */
export async function invoicesTable({ ada }: Cast): Promise<string> {
  const { data, error } = await ada
    .schema("billing")
    .from("invoices")
    .select("number, status, total, currency, created, paid_at")
    .order("created");
  if (error) return `Ada cannot read her invoices: ${error.message}`;
  const table = new Table({
    head: ["invoice", "of", "total", "status", "paid"],
    ...compact,
  });
  for (const row of data) {
    table.push([
      row.number ?? "–",
      date(row.created),
      money(row.total, row.currency),
      row.status,
      date(row.paid_at),
    ]);
  }
  return table.toString();
}

/** Each check with its mark; those that do not hold say what was expected and what was found. */
export function checksList(checks: Check[]): string {
  return checks
    .map((check) =>
      holds(check)
        ? `${pc.green("✓")} ${check.promise}`
        : `${pc.red("✗")} ${check.promise}: expected ${check.expected}, found ${check.found}`,
    )
    .join("\n");
}

/** What an operator would look at: every check with its target, and what to do, as `duebase health` shows it. */
export async function healthTable(cast: Cast): Promise<string> {
  // The hours are counted by the tick.
  await cast.world.stack.runCronJob("duebase-tick");
  const health = await cast.world.sql.begin("read only", readHealth);
  return healthAsText(health, process.stdout.columns ?? 120);
}
