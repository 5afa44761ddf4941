import { resolve } from "node:path";
import type { Command } from "commander";
import type { TransactionSql } from "postgres";
import { plain } from "../../dunning/format.ts";
import { reading } from "../connections/reading.ts";
import { findCustomers } from "../customer/find.ts";
import { matchesAsText, storyAsText } from "../customer/render.ts";
import { readStory } from "../customer/story.ts";
import { options, wholeNumber } from "../options.ts";
import { ExitCode, Refusal, Terminal } from "../terminal.ts";

interface CustomerOptions {
  dbUrl?: string;
  dir: string;
  limit: number;
  json?: boolean;
}

/** Adds `duebase customer <who>`. */
export function addCustomer(program: Command): void {
  program
    .command("customer")
    .description("one customer's story in order: events, mails, dunning, charges, access; reads only")
    .argument(
      "<who>",
      "email address, or the id of a customer, a subscription, an invoice, a payment or an owner",
    )
    .addOption(options.localDbUrl())
    .addOption(options.stackDir())
    .option("--limit <number>", "how much of it, the newest", wholeNumber, 200)
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Exit code 1 where nobody fits, or several do.

Example:
  npx duebase customer ada@example.com
  npx duebase customer cus_1NotesExample --json`,
    )
    .action(async (who: string, given: CustomerOptions) => {
      const terminal = new Terminal({ json: given.json });
      const place = { dbUrl: given.dbUrl, stackDirectory: resolve(given.dir) };
      await reading(place, "customer", (sql) => tellStory(sql, who.trim(), given.limit, terminal));
    });
}

/**
 * What the command does, once the database is open.
 *
 * @throws Refusal where nobody fits
 */
export async function tellStory(
  sql: TransactionSql,
  who: string,
  limit: number,
  terminal: Terminal,
): Promise<void> {
  const found = await findCustomers(sql, who);
  const [customer, another] = found;
  if (customer === undefined) {
    throw new Refusal(
      `No customer fits ${plain(who)}.`,
      "Is it the right database? Customers of before Duebase come with npx duebase backfill. An address is found as Stripe has it, or as mail went to it.",
    );
  }
  if (another !== undefined) {
    process.exitCode = ExitCode.refused;
    terminal.answer({ matches: found }, matchesAsText(who, found));
    return;
  }
  const story = await readStory(sql, customer, limit);
  terminal.answer(story, storyAsText(story, process.stdout.columns ?? 100));
}
