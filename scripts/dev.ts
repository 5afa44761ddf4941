import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import pc from "picocolors";
import { keeper } from "./local/keeper.ts";
import { StackIsRunning } from "./local/owner.ts";
import { whenNpmEnds } from "./local/parents.ts";
import { defaultStackDirectory, projectRoot } from "./local/project.ts";
import { defaultPorts, type Stack, startStack } from "./local/stack.ts";
import { printStatus } from "./local/status-table.ts";

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new InvalidArgumentError("not a port number");
  return port;
}

const command = new Command("npm run dev --")
  .description("Starts the local stack and keeps it up until Ctrl-C.")
  .option("--dir <path>", "where database, logs and status.json are kept", defaultStackDirectory)
  .option("--project <path>", "the folder that holds supabase/", projectRoot)
  .option("--port <number>", "of the API; another is used when taken", portNumber, defaultPorts.api)
  .option("--db-port <number>", "of PostgreSQL", portNumber, defaultPorts.db)
  .option("--studio-port <number>", "of Studio", portNumber, defaultPorts.studio)
  .option("--inbox-port <number>", "of the inbox", portNumber, defaultPorts.inbox)
  .option("--stripe-port <number>", "of the local Stripe", portNumber, defaultPorts.stripe)
  .parse();
const options = command.opts<{
  dir: string;
  project: string;
  port: number;
  dbPort: number;
  studioPort: number;
  inboxPort: number;
  stripePort: number;
}>();

let stack: Stack | undefined;
let endingSince: number | undefined;

async function end(code: number): Promise<void> {
  if (endingSince !== undefined) {
    // Ctrl-C reaches us from the terminal and once more from npm; only a later one means "now".
    if (Date.now() - endingSince > 1_000) process.exit(1);
    return;
  }
  endingSince = Date.now();
  try {
    await stack?.stop();
  } finally {
    // Ends whatever a failed stop may have left.
    await keeper().close();
    process.exit(code);
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (endingSince === undefined) console.log(pc.dim("\nstopping…"));
    void end(0);
  });
}
// Whoever ends npm means the stack, and npm does not always say so.
whenNpmEnds(() => void end(0));
process.on("uncaughtException", (error) => {
  console.error(error);
  void end(1);
});

const startedAt = performance.now();
try {
  stack = await startStack({
    projectDirectory: resolve(options.project),
    directory: resolve(options.dir),
    seed: true,
    ports: {
      api: options.port,
      db: options.dbPort,
      studio: options.studioPort,
      inbox: options.inboxPort,
      stripe: options.stripePort,
    },
    show: console.log,
    onFailure(what) {
      console.error(what);
      void end(1);
    },
    onStep: (step) => console.log(pc.dim(`starting ${step}`)),
  });
} catch (error) {
  console.error(error instanceof StackIsRunning ? error.message : error);
  await end(1);
}
if (stack && endingSince === undefined) {
  printStatus(stack.status);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(pc.dim(`up in ${seconds} s; Ctrl-C stops it`));
}
