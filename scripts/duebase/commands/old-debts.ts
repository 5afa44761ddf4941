import Table from "cli-table3";
import type { Command } from "commander";
import type { Sql } from "postgres";
import { amountIn } from "../../dunning/format.ts";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import { countOutcomes } from "../connections/outcomes.ts";
import { options } from "../options.ts";
import { Refusal, Terminal } from "../terminal.ts";

interface OldDebtsOptions {
  dbUrl?: string;
  release?: string[];
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** One of `billing.old_debts`. */
interface OldDebt {
  invoice: string;
  customer: string;
  email: string | null;
  subscription: string | null;
  /** Minor units of currency. */
  amount_remaining: number;
  currency: string;
  overdue_since: Date;
}

/** So many are shown to people; `--json` has them all. */
const SHOWN = 50;

/** Adds `duebase old-debts`. */
export function addOldDebts(program: Command): void {
  program
    .command("old-debts")
    .description("what was overdue before the project went live; releases it, all or one by one")
    .addOption(options.dbUrl())
    .option("--release <invoices...>", "have these dunned, or all; each begins with a notice")
    .addOption(options.yes())
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Nobody is mailed about these until you release them. The days of the policy count from the release.

Example:
  npx duebase old-debts
  npx duebase old-debts --release in_1NotesExample in_2NotesExample
  npx duebase old-debts --release all --dry-run`,
    )
    .action(async (given: OldDebtsOptions) => {
      const terminal = new Terminal({ json: given.json, yes: given.yes });
      await withDatabase(requireDatabaseUrl(given.dbUrl), { command: "old-debts" }, (sql) =>
        oldDebts(sql, given, terminal),
      );
    });
}

/**
 * What the command does, once the database is open.
 *
 * @throws Refusal where something that was named is no old debt, the project is in mirror mode, or nobody says yes
 */
export async function oldDebts(
  sql: Sql,
  given: Pick<OldDebtsOptions, "release" | "dryRun">,
  terminal: Terminal,
): Promise<void> {
  const debts = await readDebts(sql);
  if (given.release === undefined) terminal.answer({ debts }, debtsAsText(debts));
  else await release(sql, debts, given.release, given.dryRun === true, terminal);
}

async function readDebts(sql: Sql): Promise<OldDebt[]> {
  const rows = await sql<(Omit<OldDebt, "amount_remaining"> & { amount_remaining: string })[]>`
    select * from billing.old_debts()`;
  return rows.map((row) => ({ ...row, amount_remaining: Number(row.amount_remaining) }));
}

/** Releases what was named; refuses where something of it is no old debt, and releases nothing then. */
async function release(
  sql: Sql,
  debts: readonly OldDebt[],
  named: readonly string[],
  isDryRun: boolean,
  terminal: Terminal,
): Promise<void> {
  const wanted = chosen(debts, named);
  const customers = new Set(wanted.map(({ customer }) => customer)).size;
  terminal.say(debtsAsText(wanted));
  if (isDryRun || wanted.length === 0) {
    const text = wanted.length === 0 ? "Nothing to release." : "Nothing was released (--dry-run).";
    terminal.answer({ dry_run: isDryRun, would_release: wanted, customers, released: 0, outcomes: {} }, text);
    return;
  }
  await requireLive(sql);
  await terminal.confirm(
    `Release ${wanted.length} debts? ${customers} customers are mailed a notice, and the policy's end comes at its day if they do not pay.`,
  );
  const outcomes = await countOutcomes(wanted, (piece) => {
    const ids = piece.map(({ invoice }) => invoice);
    return sql<{ outcome: string }[]>`select outcome from billing.release_debts(${ids})`;
  });
  const { released = 0, below_minimum = 0, no_old_debt = 0 } = outcomes;
  terminal.answer(
    { customers, released, outcomes },
    [
      `${released} released: the notices leave with the next minutes.`,
      ...(below_minimum > 0 ? [`${below_minimum} are too little by their policy to be dunned.`] : []),
      ...(no_old_debt > 0 ? [`${no_old_debt} were paid or released meanwhile.`] : []),
    ].join("\n"),
  );
}

function chosen(debts: readonly OldDebt[], named: readonly string[]): OldDebt[] {
  if (named.includes("all")) {
    if (named.length === 1) return [...debts];
    throw new Refusal("Both all and single invoices are to be released.", "Write all, or name the invoices.");
  }
  const known = new Map(debts.map((debt) => [debt.invoice, debt]));
  const unknown = named.filter((invoice) => !known.has(invoice));
  if (unknown.length > 0) {
    throw new Refusal(
      `No old debts: ${unknown.join(", ")}. Nothing was released.`,
      "See which there are: npx duebase old-debts",
    );
  }
  return [...new Set(named)].flatMap((invoice) => known.get(invoice) ?? []);
}

async function requireLive(sql: Sql): Promise<void> {
  const [row] = await sql<{ mode: string }[]>`select mode from billing.settings`;
  if (row?.mode === "live") return;
  throw new Refusal(
    "The project is in mirror mode: nobody is dunned.",
    "Go live first: npx duebase go-live. Old debts stay unreleased by that.",
  );
}

function debtsAsText(debts: readonly OldDebt[]): string {
  if (debts.length === 0) return "No old debts: nothing was overdue before the project went live.";
  const table = new Table({
    head: ["invoice", "customer", "email", "owed", "overdue since"],
    style: { head: [] },
  });
  for (const { invoice, customer, email, amount_remaining, currency, overdue_since } of debts.slice(
    0,
    SHOWN,
  )) {
    table.push([
      invoice,
      customer,
      email ?? "",
      amountIn(amount_remaining, currency),
      overdue_since.toISOString().slice(0, 10),
    ]);
  }
  const sums = new Map<string, number>();
  for (const { currency, amount_remaining } of debts) {
    sums.set(currency, (sums.get(currency) ?? 0) + amount_remaining);
  }
  const owed = [...sums].map(([currency, amount]) => amountIn(amount, currency)).join(", ");
  return [
    table.toString(),
    ...(debts.length > SHOWN ? [`and ${debts.length - SHOWN} more: --json shows all`] : []),
    `${debts.length} debts, ${owed}. Nobody is mailed about them until you release them.`,
  ].join("\n");
}
