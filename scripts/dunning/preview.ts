import Table from "cli-table3";
import pc from "picocolors";
import type { TransactionSql } from "postgres";
import { compact } from "../duebase/look.ts";
import { amountIn, moment, plain } from "./format.ts";

/** One step that would be taken. Amounts in minor units. */
export interface Step {
  customer: string;
  email: string | null;
  subject_id: string;
  due_at: Date;
  amount: string;
  currency: string | null;
  held_by: string[];
  /** What would be done, in words. */
  would: string;
}

/**
 * Reads what the daily run would do if it came at `at`.
 *
 * @param at undefined: now, by the database's clock
 */
export async function readPreview(sql: TransactionSql, at: Date | undefined): Promise<Step[]> {
  const rows = await sql<Step[]>`
    select p.customer, p.email, p.subject_id, p.due_at, p.amount, p.currency, p.held_by, p.would
    from billing.dunning_preview(${at ?? sql`now()`}) as p`;
  return [...rows];
}

/** As a table, and a line that counts. */
export function previewAsText(steps: readonly Step[]): string {
  if (steps.length === 0) return "Nothing is due then.";
  const table = new Table({
    head: ["due since", "customer", "email", "about", "owed", "would"],
    colAligns: ["left", "left", "left", "left", "right", "left"],
    ...compact,
  });
  for (const it of steps) {
    table.push([
      moment(it.due_at),
      it.customer,
      plain(it.email ?? "–"),
      it.subject_id,
      amountIn(BigInt(it.amount), it.currency ?? ""),
      it.held_by.length > 0 ? pc.yellow(it.would) : it.would,
    ]);
  }
  const held = steps.filter(({ held_by }) => held_by.length > 0).length;
  return `${table}\n${steps.length - held} due, ${held} held. The run reads Stripe first, and may find some of it paid.`;
}
