import type { TestDatabase } from "../../support/database.ts";

/** A case as a test wants it on the books; what is left out is unremarkable. Amounts in minor units. */
export interface BookedCase {
  customer?: string;
  /** Null: a currency nobody told. */
  currency?: string | null;
  openedAt?: string;
  /** When the first attempt failed; when it opened where absent. */
  overdueSince?: string;
  amountDue?: number;
  /** Null: it is open. */
  outcome?: string | null;
  closedAt?: string;
  amountRecovered?: number;
  holds?: string[];
  /** Steps in the order in which they were taken; a mail each, a day apart. */
  steps?: { kind: string; status?: string }[];
  /** What is still to pay of its invoice; all while it is open. */
  remaining?: number;
}

const positions = ["notice", "urgent_reminder", "final_warning", "end"];

/** Writes a case, its invoice and its steps as dunning would have left them. Returns the case's id. */
export async function book({ sql }: TestDatabase, booked: BookedCase): Promise<number> {
  const {
    openedAt = "2026-05-10T12:00:00Z",
    currency = "usd",
    amountDue = 1000,
    outcome = null,
    holds = [],
    steps = [],
  } = booked;
  const [made] = await sql<{ id: number; customer: string }[]>`
    insert into billing.dunning_cases (
      subject_id, customer, subscription, currency, policy_id, status, outcome, anchor_at, ladder_from, amount_due, amount_recovered,
      holds, opened_at, closed_at
    )
    select
      'sub_' || n, coalesce(${booked.customer ?? null}, 'cus_' || n), 'sub_' || n, ${currency},
      (select p.id from billing.dunning_policies as p where p.name = 'default'), ${outcome ? "closed" : "open"}, ${outcome},
      ${booked.overdueSince ?? openedAt}, ${booked.overdueSince ?? openedAt}, ${amountDue},
      ${booked.amountRecovered ?? (outcome === "recovered" ? amountDue : 0)}, ${holds}, ${openedAt},
      ${outcome ? (booked.closedAt ?? "2026-05-14T12:00:00Z") : null}
    from (select count(*) as n from billing.dunning_cases) as counted
    returning id::int, customer`;
  if (!made) throw new Error("the case was not written");
  const invoice = `in_case_${made.id}`;
  await sql`
    insert into billing.invoices (id, customer, subscription, status, currency, amount_due, amount_remaining, created)
    values (
      ${invoice}, ${made.customer}, ${`sub_${made.id}`}, ${outcome === "recovered" ? "paid" : "open"}, ${currency}, ${amountDue},
      ${booked.remaining ?? (outcome === "recovered" ? 0 : amountDue)}, ${openedAt}
    )`;
  await sql`
    insert into billing.dunning_case_invoices (invoice, case_id, overdue_since, known_at)
    values (${invoice}, ${made.id}, ${booked.overdueSince ?? openedAt}, ${booked.overdueSince ?? openedAt})`;
  for (const [index, { kind, status = "sent" }] of steps.entries()) {
    const at = new Date(Date.parse(openedAt) + index * 86_400_000);
    await sql`
      insert into billing.dunning_actions
        (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at)
      values (
        ${made.id}, ${positions.indexOf(kind) + 1}, ${kind}, ${invoice}, ${[invoice]}, ${status}, ${at}, ${at},
        ${status === "planned" ? null : at}
      )`;
  }
  return made.id;
}
