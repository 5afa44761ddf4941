import type { Sql } from "postgres";
import { countOutcomes } from "../connections/outcomes.ts";
import { Refusal } from "../terminal.ts";

/** What became of the links that a query of the application's gave. */
export interface LinkReport {
  links: number;
  /** How many came to which outcome: linked, kept, unchanged, taken_back, refused. */
  outcomes: Record<string, number>;
  /** The first of those that were refused or wait, with the reason. */
  reasons: { customer: string; outcome: string; reason: string }[];
}

/** A customer who pays and belongs to nobody here. */
export interface UnlinkedPayer {
  customer: string;
  email: string | null;
  subscriptions: number;
}

/** What is overdue from before, by how long it has been. */
export interface OldDebts {
  invoices: number;
  customers: number;
  /** Minor units, by currency. */
  amounts: Record<string, number>;
  /** Invoices by days overdue. */
  byAge: Record<"up to 7 days" | "8 to 30 days" | "31 to 90 days" | "over 90 days", number>;
}

/** Who would have other access than in the application's own table. */
export interface AccessReport {
  same: number;
  /** Has access there and would not have it here. */
  lost: { owner_id: string; feature: string }[];
  /** Would have access here and has it not there. */
  gained: { owner_id: string; feature: string }[];
}

/**
 * Rows of a query of the application's, in a transaction that can change nothing.
 *
 * @param columns that every row has to have
 * @throws Refusal where the query fails, or lacks a column
 */
export async function theirRows(
  sql: Sql,
  query: string,
  columns: string[],
): Promise<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[];
  try {
    rows = (await sql.begin("read only", (transaction) => transaction.unsafe(query))) as never;
  } catch (error) {
    throw new Refusal(
      `Your query failed: ${(error as Error).message}`,
      `Write a select that gives ${columns.join(" and ")}.`,
      { cause: error },
    );
  }
  const lacking = rows[0] === undefined ? [] : columns.filter((column) => !(column in (rows[0] ?? {})));
  if (lacking.length > 0) {
    throw new Refusal(
      `Your query gives no column ${lacking.join(", ")}.`,
      `Name its columns ${columns.join(" and ")}.`,
    );
  }
  return rows;
}

/** Hands {customer, owner_id} to billing.link_customers, 500 at a time. */
export async function linkCustomers(sql: Sql, rows: Record<string, unknown>[]): Promise<LinkReport> {
  const reasons: LinkReport["reasons"] = [];
  const outcomes = await countOutcomes(
    rows,
    (piece) => {
      const links = piece.map(({ customer, owner_id }) => ({ customer, owner_id: owner_id ?? null }));
      return sql<{ customer: string; outcome: string; reason: string | null }[]>`
        select customer, outcome, reason from billing.link_customers(${sql.json(links as never)})
      `;
    },
    ({ customer, outcome, reason }) => {
      if (reason !== null && reasons.length < 20) reasons.push({ customer, outcome, reason });
    },
  );
  return { links: rows.length, outcomes, reasons };
}

/** The newest effect in the outbox; 0 where there is none. */
export async function newestEffect(sql: Sql): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select coalesce(max(id), 0)::text as id from billing.outbox`;
  return row?.id ?? "0";
}

/** How many mails have been enqueued since, without those that a project in mirror mode withholds. */
export async function mailsSince(sql: Sql, effect: string): Promise<number> {
  const [row] = await sql<{ mails: number }[]>`
    select count(*)::integer as mails from billing.outbox
    where id > ${effect} and kind = 'email' and status <> 'withheld'
  `;
  return row?.mails ?? 0;
}

/** Everybody who pays and belongs to nobody here. */
export async function unlinkedPayers(sql: Sql): Promise<UnlinkedPayer[]> {
  return await sql<UnlinkedPayer[]>`
    select customer, email, subscriptions::integer from billing.unlinked_payers order by paying_since, customer
  `;
}

/** What is overdue from before this project took over, none of which is dunned until a person releases it. */
export async function oldDebts(sql: Sql, now: Date): Promise<OldDebts> {
  const rows = await sql<{ customer: string; currency: string; amount: string; days: number }[]>`
    select d.customer, d.currency, d.amount_remaining as amount, extract(day from ${now} - d.overdue_since)::integer as days
    from billing.old_debts(${now}) as d
  `;
  const debts: OldDebts = {
    invoices: rows.length,
    customers: new Set(rows.map(({ customer }) => customer)).size,
    amounts: {},
    byAge: { "up to 7 days": 0, "8 to 30 days": 0, "31 to 90 days": 0, "over 90 days": 0 },
  };
  for (const { currency, amount, days } of rows) {
    debts.amounts[currency] = (debts.amounts[currency] ?? 0) + Number(amount);
    debts.byAge[ageOf(days)] += 1;
  }
  return debts;
}

export function ageOf(days: number): keyof OldDebts["byAge"] {
  if (days <= 7) return "up to 7 days";
  if (days <= 30) return "8 to 30 days";
  return days <= 90 ? "31 to 90 days" : "over 90 days";
}

/** Compares {owner_id, feature} of the application's with billing.entitlements. */
export async function compareAccess(sql: Sql, rows: Record<string, unknown>[]): Promise<AccessReport> {
  const keyOf = (owner: unknown, feature: unknown) => `${String(owner)}\n${String(feature)}`;
  const ours = await sql<{ owner_id: string; feature: string }[]>`
    select owner_id, feature from billing.entitlements order by 1, 2
  `;
  const here = new Set(ours.map(({ owner_id, feature }) => keyOf(owner_id, feature)));
  const there = new Set(rows.map(({ owner_id, feature }) => keyOf(owner_id, feature)));
  const asRow = (key: string) => {
    const [owner_id = "", feature = ""] = key.split("\n");
    return { owner_id, feature };
  };
  return {
    same: [...there].filter((key) => here.has(key)).length,
    lost: [...there].filter((key) => !here.has(key)).map(asRow),
    gained: [...here].filter((key) => !there.has(key)).map(asRow),
  };
}
