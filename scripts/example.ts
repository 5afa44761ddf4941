/** `npm run example`: the example application on a local stack of its own, until Ctrl-C. */
import { join } from "node:path";
import { Command } from "commander";
import pc from "picocolors";
import { type Example, startExample } from "../examples/saas/local/start.ts";
import { keeper } from "./local/keeper.ts";
import { resetStack } from "./local/lifecycle.ts";
import { StackIsRunning } from "./local/owner.ts";
import { defaultStackDirectory } from "./local/project.ts";
import { printStatus } from "./local/status-table.ts";

const { reset, dir } = new Command("npm run example --")
  .description("Starts the example application on a local stack of its own and keeps both up until Ctrl-C.")
  .option("--dir <path>", "where its database and Stripe are kept", join(defaultStackDirectory, "example"))
  .option("--reset", "begin anew: no users, no teams, no subscriptions")
  .parse()
  .opts<{ reset?: boolean; dir: string }>();

let example: Example | undefined;
let isEnding = false;

async function end(code: number): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  try {
    await example?.stop();
  } finally {
    // Ends whatever a failed stop may have left.
    await keeper().close();
    process.exit(code);
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(0));

try {
  if (reset) await resetStack(dir);
  example = await startExample({
    serve: "dev",
    directory: dir,
    // Beside `npm run dev`, whose ports it leaves alone.
    ports: { api: 54421, db: 54422, studio: 54423, inbox: 54424, stripe: 12211 },
    onStep: (step) => console.log(pc.dim(`starting ${step}`)),
    onFailure(what) {
      console.error(what);
      void end(1);
    },
  });
  printStatus(example.stack.status);
  console.log(
    `\nThe application: ${pc.bold(example.url)}   Its mails: ${pc.bold(example.stack.status.INBOX_URL)}`,
  );
  console.log(pc.dim("Sign up with any address. Ctrl-C stops it."));
} catch (error) {
  console.error(error instanceof StackIsRunning ? error.message : error);
  await end(1);
}
