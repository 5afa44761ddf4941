import { resolve } from "node:path";
import { Command } from "commander";
import { resetStack, stopStack } from "./local/lifecycle.ts";
import { ownerOf } from "./local/owner.ts";
import { defaultStackDirectory } from "./local/project.ts";
import { readStatus } from "./local/status.ts";
import { printStatus } from "./local/status-table.ts";

const program = new Command("npm run stack --")
  .description("Looks after the local stack that `npm run dev` starts.")
  .option("--dir <path>", "where the stack is kept", defaultStackDirectory);

const directory = (): string => resolve(program.opts<{ dir: string }>().dir);

program
  .command("status")
  .description("prints where everything is; exit code 1 when the stack is not running")
  .option("--json", "as JSON, with the names of .stack/status.json")
  .action(async ({ json }: { json?: boolean }) => {
    const status = ownerOf(directory()) === undefined ? undefined : await readStatus(directory());
    if (!status) {
      console.error("The local stack is not running. npm run dev starts it.");
      process.exitCode = 1;
    } else if (json) console.log(JSON.stringify(status, null, 2));
    else printStatus(status);
  });

program
  .command("stop")
  .description("ends a running stack, and whatever a killed one left behind")
  .action(async () => {
    console.log((await stopStack(directory())) ? "Stopped." : "No stack was running.");
  });

program
  .command("reset")
  .description("removes the stack's data: the next start begins with an empty database")
  .option("--stop", "stop it first if it is running")
  .action(async ({ stop }: { stop?: boolean }) => {
    const owner = ownerOf(directory());
    if (owner !== undefined && !stop) {
      console.error(
        `The stack is running (process ${owner}). Stop it first, or say: npm run stack -- reset --stop`,
      );
      process.exitCode = 1;
      return;
    }
    await stopStack(directory());
    await resetStack(directory());
    console.log("Removed. npm run dev starts afresh.");
  });

await program.parseAsync();
