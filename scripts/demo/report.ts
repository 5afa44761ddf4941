import Table from "cli-table3";
import pc from "picocolors";
import { type Check, holds } from "./checks.ts";
import { date, money } from "./format.ts";
import { mails } from "./mail.ts";
import type { Cast } from "./story.ts";

/** No line between the rows: what is read downwards is not cut. */
const compact = {
  style: { head: [], border: ["dim"] },
  chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
};

/** What happened and when, as the audit trail tells it, and the mails that told of it. */
export async function timelineTable({ world, customer }: Cast): Promise<string> {
  const rows = await world.sql<{ occurred_at: Date; action: string; detail: Record<string, unknown> }[]>`
    select occurred_at, action, detail from billing.audit_events
    where customer_id = ${customer} and actor = 'stripe'
    order by occurred_at, id`;
  const happened = rows.map(({ occurred_at, action, detail }) => ({
    at: occurred_at,
    cells: [date(occurred_at), action, inShort(detail)],
  }));
  const told = (await mails(world, customer)).map(({ at, subject, status }) => ({
    at,
    cells: [date(at), pc.cyan(`✉ ${subject}`), status],
  }));
  const table = new Table({
    head: ["when", "what Stripe said, and what Ada was told", "in short"],
    ...compact,
  });
  // A mail comes after whatever it tells of.
  const lines = [...happened, ...told].sort((a, b) => a.at.getTime() - b.at.getTime());
  table.push(...lines.map(({ cells }) => cells));
  return table.toString();
}

function inShort(detail: Record<string, unknown>): string {
  const words: string[] = [];
  if (typeof detail.status === "string") words.push(detail.status);
  const amount = detail.amount_paid || detail.amount_due || detail.amount;
  if (typeof amount === "number" && typeof detail.currency === "string")
    words.push(money(amount, detail.currency));
  return words.join(", ");
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
