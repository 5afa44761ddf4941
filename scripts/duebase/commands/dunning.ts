import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import type { TransactionSql } from "postgres";
import { readFigures } from "../../dunning/figures.ts";
import { reportAsPage } from "../../dunning/page.ts";
import { previewAsText, readPreview } from "../../dunning/preview.ts";
import { readStatus, statusAsText } from "../../dunning/status.ts";
import { reportAsText } from "../../dunning/terminal.ts";
import { reading } from "../connections/reading.ts";
import { isoTime, options, wholeNumber } from "../options.ts";
import { localStackDirectory } from "../package.ts";
import { Terminal } from "../terminal.ts";

/** Adds `duebase dunning preview|status|report`. */
export function addDunning(program: Command): void {
  const stackDirectory = localStackDirectory();
  const dunning = program
    .command("dunning")
    .description("what dunning does and what it has brought back; reads only")
    .addOption(options.localDbUrl())
    .addOption(options.stackDir())
    .addHelpText("after", "\nExample:\n  npx duebase dunning preview --at 2026-12-01T09:00Z");
  const read = <T>(work: (sql: TransactionSql) => Promise<T>): Promise<T> => {
    const { dbUrl, dir } = dunning.opts<{ dbUrl?: string; dir: string }>();
    return reading({ dbUrl, stackDirectory: resolve(dir) }, "dunning", work);
  };

  dunning
    .command("preview")
    .description("who would get what if the daily run came now")
    .option("--at <time>", "or at that time, such as 2026-12-01T09:00Z", isoTime)
    .addOption(options.json())
    .action(async ({ at, json }: { at?: Date; json?: boolean }) => {
      const steps = await read((sql) => readPreview(sql, at));
      new Terminal({ json }).answer(steps, previewAsText(steps));
    });

  dunning
    .command("status")
    .description("the open cases, what holds them, and the last run")
    .option("--limit <number>", "cases to show", wholeNumber, 50)
    .addOption(options.json())
    .action(async ({ limit, json }: { limit: number; json?: boolean }) => {
      const status = await read((sql) => readStatus(sql, limit));
      new Terminal({ json }).answer(status, statusAsText(status));
    });

  dunning
    .command("report")
    .description("what was recovered and lost, and what is at risk: here, and as a page with charts")
    .option("--months <number>", "how far back, this month included", wholeNumber, 12)
    .option("--out <file>", "where the page goes", join(stackDirectory, "dunning-report.html"))
    .option("--json", "as JSON; writes no page")
    .action(async ({ months, out, json }: { months: number; out: string; json?: boolean }) => {
      const terminal = new Terminal({ json });
      const figures = await read((sql) => readFigures(sql, months));
      terminal.answer(figures, reportAsText(figures, process.stdout.columns ?? 100));
      if (json) return;
      const file = resolve(out);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, reportAsPage(figures));
      terminal.say(`\n${pc.dim("The same with charts:")} ${relative(process.cwd(), file)}`);
    });
}
