import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import pc from "picocolors";
import type { TransactionSql } from "postgres";
import { NoDatabase, reading, UnusableDatabase } from "./dunning/database.ts";
import { readFigures } from "./dunning/figures.ts";
import { reportAsPage } from "./dunning/page.ts";
import { previewAsText, readPreview } from "./dunning/preview.ts";
import { readStatus, statusAsText } from "./dunning/status.ts";
import { reportAsText } from "./dunning/terminal.ts";
import { defaultStackDirectory } from "./local/project.ts";

const program = new Command("npm run dunning --")
  .description("Shows what dunning does and what it has brought back. Reads only, and changes nothing.")
  .option("--db-url <url>", "the database; by default that of the running local stack")
  .option("--dir <path>", "where the local stack is kept", defaultStackDirectory)
  .showHelpAfterError();

program
  .command("preview")
  .description("who would get what if the daily run came now")
  .option("--at <time>", "or at that time, such as 2026-12-01T09:00Z", isoTime)
  .option("--json", "as JSON")
  .action(async ({ at, json }: { at?: Date; json?: boolean }) => {
    const steps = await read((sql) => readPreview(sql, at));
    console.log(json ? asJson(steps) : previewAsText(steps));
  });

program
  .command("status")
  .description("the open cases, what holds them, and the last run")
  .option("--limit <number>", "cases to show", wholeNumber, 50)
  .option("--json", "as JSON")
  .action(async ({ limit, json }: { limit: number; json?: boolean }) => {
    const status = await read((sql) => readStatus(sql, limit));
    console.log(json ? asJson(status) : statusAsText(status));
  });

program
  .command("report")
  .description("what was recovered and lost, and what is at risk: here, and as a page with charts")
  .option("--months <number>", "how far back, this month included", wholeNumber, 12)
  .option("--out <file>", "where the page goes", join(defaultStackDirectory, "dunning-report.html"))
  .option("--json", "as JSON; writes no page")
  .action(async ({ months, out, json }: { months: number; out: string; json?: boolean }) => {
    const figures = await read((sql) => readFigures(sql, months));
    if (json) {
      console.log(asJson(figures));
      return;
    }
    console.log(reportAsText(figures, process.stdout.columns ?? 100));
    const file = resolve(out);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, reportAsPage(figures));
    console.log(`\n${pc.dim("The same with charts:")} ${relative(process.cwd(), file)}`);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof NoDatabase || error instanceof UnusableDatabase)) throw error;
  console.error(pc.red(error.message));
  process.exitCode = 1;
}

function read<T>(work: (sql: TransactionSql) => Promise<T>): Promise<T> {
  const { dbUrl, dir } = program.opts<{ dbUrl?: string; dir: string }>();
  return reading({ dbUrl, stackDirectory: resolve(dir) }, work);
}

function isoTime(text: string): Date {
  const time = new Date(text);
  // Without a zone it would mean this machine's, and another time on the next one.
  if (Number.isNaN(time.getTime()) || !/(Z|[+-]\d\d:?\d\d)$|^\d{4}-\d\d-\d\d$/.test(text)) {
    throw new InvalidArgumentError("not a time with a zone, such as 2026-12-01T09:00Z");
  }
  return time;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw new InvalidArgumentError("not a whole number from 1 to 10000");
  }
  return number;
}

/** Amounts as numbers: minor units stay far below what a double holds exactly. */
function asJson(value: unknown): string {
  return JSON.stringify(value, (_key, it) => (typeof it === "bigint" ? Number(it) : it), 2);
}
