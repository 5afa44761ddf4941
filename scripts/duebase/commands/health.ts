import { mkdir, writeFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import pc from "picocolors";
import { moment } from "../../dunning/format.ts";
import { reading } from "../connections/reading.ts";
import { type Health, readHealth } from "../health/health.ts";
import { healthAsPage } from "../health/page.ts";
import { healthAsText } from "../health/render.ts";
import { options, wholeNumber } from "../options.ts";
import { ExitCode, Refusal, Terminal } from "../terminal.ts";

interface HealthOptions {
  dbUrl?: string;
  dir: string;
  watch?: boolean;
  every: number;
  html?: string;
  json?: boolean;
}

/** Adds `duebase health`. */
export function addHealth(program: Command): void {
  program
    .command("health")
    .description("whether it is healthy, and if not, since when and what to do; reads only")
    .addOption(options.localDbUrl())
    .addOption(options.stackDir())
    .option("--watch", "look again and again, until Ctrl-C")
    .option("--every <seconds>", "how often, with --watch", wholeNumber, 10)
    .option("--html <file>", "write it as a page too, with charts of the last month")
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Exit code 0 while nothing is red, else 1.

Example:
  npx duebase health
  npx duebase health --watch
  npx duebase health --html health.html`,
    )
    .action(async (given: HealthOptions) => {
      const terminal = new Terminal({ json: given.json });
      const place = { dbUrl: given.dbUrl, stackDirectory: resolve(given.dir) };
      const read = () => reading(place, "health", readHealth);
      if (given.watch) await watch(read, given, terminal);
      else await show(await read(), given, terminal);
    });
}

async function show(health: Health, { html }: HealthOptions, terminal: Terminal): Promise<void> {
  terminal.answer(health, healthAsText(health, process.stdout.columns ?? 100));
  if (html !== undefined) {
    const file = resolve(html);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, healthAsPage(health));
    terminal.say(`\n${pc.dim("The same as a page:")} ${relative(process.cwd(), file)}`);
  }
  if (health.status === "red") process.exitCode = ExitCode.refused;
}

/** Shows it in place of what was shown before. A database that does not answer is said, and asked again. */
async function watch(read: () => Promise<Health>, given: HealthOptions, terminal: Terminal): Promise<void> {
  if (given.json || given.html !== undefined) {
    throw new Refusal(
      "--watch shows it in a terminal, and not with --json or --html.",
      "Run duebase health --json as often as you need it.",
    );
  }
  for (;;) {
    let text: string;
    try {
      text = healthAsText(await read(), process.stdout.columns ?? 100);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      text = `${pc.red(error.message)}\n${error.cure}\n${pc.dim(`${moment(new Date())} UTC`)}`;
    }
    terminal.say(`${process.stdout.isTTY ? "\u001b[H\u001b[2J" : ""}${text}`);
    await delay(given.every * 1000);
  }
}
