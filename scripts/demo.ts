/** `npm run demo`: the product doing its job, on a local stack of its own, with the clock turned. */
import { join, relative } from "node:path";
import { Command } from "commander";
import { Listr } from "listr2";
import pc from "picocolors";
import { answersLine, duplicateStorm, forgedWebhook } from "./demo/abuse.ts";
import { type Cast, newCast, person } from "./demo/cast.ts";
import { holds } from "./demo/check.ts";
import { type Abuse, checkEverything } from "./demo/checks.ts";
import { checksList, healthTable, invoicesTable, whoGotWhatTable } from "./demo/report.ts";
import { acts } from "./demo/story.ts";
import { enter } from "./demo/world.ts";
import { resetStack, stopStack } from "./local/lifecycle.ts";
import { defaultStackDirectory } from "./local/project.ts";
import { type Stack, startStack } from "./local/stack.ts";
import { printStatus } from "./local/status-table.ts";

const { keep } = new Command("npm run demo --")
  .description(
    "Plays six subscribers through trial, payments, failures, recovery and cancellation on a local stack, and checks what the database says of it.",
  )
  .option("--keep", "leave the stack up at the end, to look around in Studio, until Ctrl-C")
  .parse()
  .opts<{ keep?: boolean }>();

// Apart from `npm run dev`, whose data it must not touch.
const directory = join(defaultStackDirectory, "demo");
let stack: Stack | undefined;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await stack?.stop();
    process.exit(process.exitCode ?? (keep ? 0 : 130));
  });
}

try {
  await run();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  if (!keep || process.exitCode) await stack?.stop();
}
if (!keep) process.exit();

async function run(): Promise<void> {
  const startedAt = performance.now();
  let cast: Cast | undefined;
  const abuse: Partial<Abuse> = {};
  const playing = (): Cast => {
    if (!cast) throw new Error("the stack is not up");
    return cast;
  };

  await new Listr(
    [
      {
        title:
          "Start the local stack: PostgreSQL, Data API, Auth, Studio, Edge Functions, a local Stripe, an inbox",
        task: async (_context, task) => {
          await stopStack(directory);
          await resetStack(directory);
          stack = await startStack({
            directory,
            watch: false,
            onStep: (step) => {
              task.output = step;
            },
          });
          cast = newCast(enter(stack));
          await cast.world.sql`update billing.settings set app_name = 'Example Notes' where id`;
        },
      },
      ...acts.map((act) => ({
        title: act.title,
        task: async (_context: unknown, task: { title: string }) => {
          task.title = `${act.title} ${pc.dim(`→ ${await act.play(playing())}`)}`;
        },
      })),
      {
        title: "The event of Bo's cancellation is delivered 500 times more",
        task: async (_context, task) => {
          abuse.stormedEvent = await lastCancellation(playing());
          abuse.storm = await duplicateStorm(playing(), abuse.stormedEvent);
          task.title = `${task.title} ${pc.dim(`→ answered ${answersLine(abuse.storm)}`)}`;
        },
      },
      {
        title: "Somebody forges an event that makes Bo's subscription active again",
        task: async (_context, task) => {
          abuse.forgedEvent = "evt_forged_example";
          abuse.forged = await forgedWebhook(playing(), abuse.forgedEvent);
          task.title = `${task.title} ${pc.dim(`→ answered ${answersLine(abuse.forged)}`)}`;
        },
      },
    ],
    { renderer: process.stdout.isTTY ? "default" : "simple", rendererOptions: { collapseSubtasks: false } },
  ).run();

  console.log(
    `\n${pc.bold("Who got what, when and why")}, as the database tells it; days are counted from the first failure`,
  );
  console.log(await whoGotWhatTable(playing()));
  console.log(`\n${pc.bold("What Ada sees")}, signed in, through the Data API`);
  console.log(await invoicesTable(playing()));

  console.log(
    `\n${pc.bold("Health")}, as ${pc.bold("duebase health")} shows it: what it is now, and what it is to be. Red is what the story did:\n` +
      "it turns the clock itself, so the daily job is not scheduled, and it sent one event 500 times",
  );
  console.log(await healthTable(playing()));

  const checks = await checkEverything(playing(), abuse as Abuse);
  console.log(`\n${pc.bold("Checked")} against the books of the local Stripe and of the inbox`);
  console.log(checksList(checks));
  await playing().world.close();

  const broken = checks.filter((check) => !holds(check)).length;
  const time = `${((performance.now() - startedAt) / 1000).toFixed(0)} s`;
  if (broken > 0) {
    console.log(pc.red(`\n${broken} of ${checks.length} checks failed.`));
    process.exitCode = 1;
  } else {
    console.log(pc.green(`\nAll ${checks.length} checks hold.`), pc.dim(time));
  }
  if (keep && stack && !process.exitCode) {
    console.log(`\n${pc.bold("Look around")}: open Studio, choose the schema ${pc.bold("billing")}, and start with
  stripe_events    every event, as Stripe sent it
  subscriptions    what they made of it; invoices and payments likewise
  dunning_cases    what was overdue and how it ended; dunning_actions what was done about it
  emails           what was written to whom; outbox is what was waiting
  audit_events     who did what, when
Ctrl-C stops the stack.`);
    printStatus(stack.status);
    console.log(`Every mail, as it arrived: ${pc.bold(stack.status.INBOX_URL)}`);
  } else if (stack && !process.exitCode) {
    console.log(`
To look at the tables in Studio: ${pc.bold("npm run demo -- --keep")}
To have a stack of your own:     ${pc.bold("npm run dev")}
To read the mails afterwards:    ${pc.bold(`npm run dev -- --dir ${relative(process.cwd(), directory)}`)}, then ${pc.bold(stack.status.INBOX_URL)}`);
  }
}

async function lastCancellation(cast: Cast): Promise<string> {
  const [event] = await cast.world.sql<{ id: string }[]>`
    select id from billing.webhook_events
    where type = 'customer.subscription.deleted' and object_id = ${person(cast, "Bo").subscription}`;
  if (!event) throw new Error("the cancellation did not arrive");
  return event.id;
}
