import { Command, CommanderError } from "commander";
import { addBackfill } from "./commands/backfill.ts";
import { addConnect } from "./commands/connect.ts";
import { addCustomer } from "./commands/customer.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addDunning } from "./commands/dunning.ts";
import { addEmails } from "./commands/emails.ts";
import { addExport } from "./commands/export.ts";
import { addGoLive } from "./commands/go-live.ts";
import { addHealth } from "./commands/health.ts";
import { addInit } from "./commands/init.ts";
import { addOldDebts } from "./commands/old-debts.ts";
import { addReconcile } from "./commands/reconcile.ts";
import { addRestored } from "./commands/restored.ts";
import { addUninstall } from "./commands/uninstall.ts";
import { addUpgrade } from "./commands/upgrade.ts";
import { packageManifest } from "./package.ts";
import { ExitCode, StoppedByPerson, Terminal } from "./terminal.ts";

/** Every command, in the order in which `duebase --help` lists them. */
const commands: ((program: Command) => void)[] = [
  addInit,
  addConnect,
  addDoctor,
  addBackfill,
  addReconcile,
  addGoLive,
  addOldDebts,
  addRestored,
  addUpgrade,
  addUninstall,
  addExport,
  addEmails,
  addDunning,
  addHealth,
  addCustomer,
];

/** The whole program, without having read any arguments. */
export function duebaseProgram(): Command {
  const program = new Command("duebase")
    .description("Stripe billing and payment recovery inside your Supabase project.")
    .version(packageManifest().version, "--version", "print the release and end")
    .helpCommand(false)
    .showHelpAfterError("(--help shows how)")
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 refused or something is not right, 2 wrong usage, 130 stopped by you.",
    );
  for (const add of commands) add(program);
  inheritSettings(program);
  return program;
}

/** So that commander returns to us in place of ending the process, at every depth. */
function inheritSettings(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) inheritSettings(child.copyInheritedSettings(command));
}

/**
 * Runs one command and says, once, what went wrong. A command that did its work and found something red sets
 * `process.exitCode` to `ExitCode.refused` itself.
 *
 * @param args what follows the program's name
 * @returns the exit code of the process
 */
export async function runDuebase(args: readonly string[]): Promise<ExitCode> {
  const program = duebaseProgram();
  if (args.length === 0) {
    program.outputHelp();
    return ExitCode.done;
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? (process.exitCode as ExitCode) : ExitCode.done;
  } catch (error) {
    // Commander has printed it already; help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    const terminal = new Terminal({ json: args.includes("--json") });
    terminal.refuse(error);
    return error instanceof StoppedByPerson ? ExitCode.stopped : ExitCode.refused;
  }
}
