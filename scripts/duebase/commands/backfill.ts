import { hostname } from "node:os";
import type { Command } from "commander";
import type { Sql } from "postgres";
import type { CallBilling } from "../../../supabase/functions/_duebase/database.ts";
import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import {
  checkKey,
  HistoryRefusal,
  readIdentity,
} from "../../../supabase/functions/_duebase/history/key-check.ts";
import { BACKFILL_STEPS } from "../../../supabase/functions/_duebase/history/lists.ts";
import { StripeReader } from "../../../supabase/functions/_duebase/history/reader.ts";
import {
  lastRun,
  type RunOrder,
  type RunResult,
  runHistory,
} from "../../../supabase/functions/_duebase/history/runner.ts";
import type { RunState } from "../../../supabase/functions/_duebase/history/runs.ts";
import { CALLS_PER_SECOND } from "../../../supabase/functions/_duebase/history/token-bucket.ts";
import { billingOver } from "../connections/billing.ts";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import {
  type AccessReport,
  compareAccess,
  type LinkReport,
  linkCustomers,
  mailsSince,
  newestEffect,
  oldDebts,
  theirRows,
  unlinkedPayers,
} from "../history/moving-in.ts";
import { type NamedStripe, stripeFromEnvironment } from "../history/stripe-key.ts";
import { surveyStripe } from "../history/survey.ts";
import {
  accessAsText,
  debtsAsText,
  linksAsText,
  mailsAsText,
  runAsText,
  surveyAsText,
  unlinkedAsText,
} from "../history/text.ts";
import { isoTime, options } from "../options.ts";
import { ExitCode, Refusal, Terminal } from "../terminal.ts";

interface BackfillOptions {
  dbUrl?: string;
  since?: Date;
  linksQuery?: string;
  accessQuery?: string;
  inProject?: boolean;
  reportOnly?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** Adds `duebase backfill`. */
export function addBackfill(program: Command): void {
  program
    .command("backfill")
    .description(
      "bring in what happened at Stripe before; sends no mail, changes nothing at Stripe, goes on where it was",
    )
    .addOption(options.dbUrl())
    .option(
      "--since <time>",
      "leave out older invoices that are not open, payments, refunds, disputes and checkouts",
      isoTime,
    )
    .option(
      "--links-query <sql>",
      "whose customers are: a select in your database that gives customer and owner_id",
    )
    .option(
      "--access-query <sql>",
      "who has access now: a select in your database that gives owner_id and feature",
    )
    .option(
      "--in-project",
      "only begin it: duebase-reconcile goes on with it in the project, minute by minute",
    )
    .option("--report-only", "read nothing at Stripe: links and reports alone")
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
The key is read from DUEBASE_STRIPE_SECRET_KEY. Run it again, and it goes on, or reads anew once it was complete.

Example:
  npx duebase backfill --dry-run
  npx duebase backfill --links-query "select stripe_id as customer, user_id as owner_id from public.profiles"`,
    )
    .action(async (given: BackfillOptions) => {
      const terminal = new Terminal({ json: given.json });
      await withDatabase(requireDatabaseUrl(given.dbUrl), { command: "backfill" }, (sql) =>
        given.dryRun ? survey(sql, given, terminal) : backfill(sql, given, terminal),
      );
    });
}

async function survey(sql: Sql, { since }: BackfillOptions, terminal: Terminal): Promise<void> {
  const stripe = stripeFromEnvironment();
  const callBilling = billingOver(sql);
  const identity = await readIdentity(callBilling);
  const callsPerSecond = CALLS_PER_SECOND[identity.livemode ? "live" : "test"];
  const reader = new StripeReader({
    call: stripe.call,
    account: identity.account ?? undefined,
    callsPerSecond,
  });
  const { asOf } = await asRefusal(() => checkKey({ reader, identity, secretKey: stripe.secretKey }));
  reader.takeCalls();
  const found = await withProgress(terminal, "Reading at Stripe; nothing is written", (onPage) =>
    surveyStripe(reader, { since: secondsOf(since), now: Math.floor(Date.parse(asOf) / 1000), onPage }),
  );
  const seconds = found.calls / callsPerSecond;
  terminal.answer({ ...found, seconds }, surveyAsText(found, seconds));
}

async function backfill(sql: Sql, given: BackfillOptions, terminal: Terminal): Promise<void> {
  const callBilling = billingOver(sql);
  // Before anything is read: a query that is wrong is told at once.
  const links =
    given.linksQuery === undefined
      ? undefined
      : await theirRows(sql, given.linksQuery, ["customer", "owner_id"]);
  const access =
    given.accessQuery === undefined
      ? undefined
      : await theirRows(sql, given.accessQuery, ["owner_id", "feature"]);
  const lastEffect = await newestEffect(sql);
  const run = given.reportOnly
    ? await lastRun(callBilling, "backfill")
    : await readIn(callBilling, stripeFromEnvironment(), given, terminal);

  const linked: LinkReport | undefined = links === undefined ? undefined : await linkCustomers(sql, links);
  const unlinked = await unlinkedPayers(sql);
  const debts = await oldDebts(sql, new Date());
  const compared: AccessReport | undefined =
    access === undefined ? undefined : await compareAccess(sql, access);
  const mails = await mailsSince(sql, lastEffect);
  terminal.answer(
    { run, links: linked, unlinked, oldDebts: debts, access: compared, mails },
    [
      run === null ? "No backfill was ever made." : runAsText(run),
      mailsAsText(mails),
      ...(linked === undefined ? [] : [linksAsText(linked)]),
      unlinkedAsText(unlinked),
      debtsAsText(debts),
      ...(compared === undefined ? [] : [accessAsText(compared)]),
    ].join("\n\n"),
  );
  if (!given.inProject && run?.status !== "complete") process.exitCode = ExitCode.refused;
}

/** Reads until it is done; with `--in-project` only begins. */
async function readIn(
  callBilling: CallBilling,
  stripe: NamedStripe,
  given: BackfillOptions,
  terminal: Terminal,
): Promise<RunState | null> {
  const order: RunOrder = { kind: "backfill", readsSince: given.since?.toISOString() };
  const result = await withProgress(terminal, "Reading at Stripe", (onPage, onWait) =>
    patiently(onWait, () =>
      runHistory(
        {
          callBilling,
          callStripe: stripe.call,
          secretKey: stripe.secretKey,
          holder: `terminal ${process.pid} on ${hostname()}`,
          // The key is checked, and the run is there: the rest is the project's.
          budgetMs: given.inProject ? 5_000 : undefined,
          onPage,
          onWait,
        },
        order,
      ),
    ),
  );
  if (result.outcome === "busy") {
    throw new Refusal(
      `Somebody is reading already: ${result.holder}, until ${result.lockedUntil} at least.`,
      "Wait until it is done, or for a minute after it was ended, and run this again.",
    );
  }
  return result.run;
}

const secondsOf = (time: Date | undefined): number | undefined =>
  time === undefined ? undefined : Math.floor(time.getTime() / 1000);

/** How long somebody's lease is waited for: one that was killed holds it for a minute. Milliseconds. */
const LEASE_PATIENCE_MS = 75_000;

/** Makes a run; where somebody else has the lease, waits for it once. Rejects as asRefusal does. */
export async function patiently(onWait: OnWait, make: () => Promise<RunResult>): Promise<RunResult> {
  const until = Date.now() + LEASE_PATIENCE_MS;
  for (;;) {
    const result = await asRefusal(make);
    if (result.outcome !== "busy" || Date.now() > until) return result;
    onWait(5, `${result.holder} is reading`);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
}

/** What is wrong with the key, or keeps Stripe from answering, as people are told it. */
export async function asRefusal<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HistoryRefusal) throw new Refusal(error.message, error.cure, { cause: error });
    if (error instanceof StripeCallError) {
      throw new Refusal(
        `Stripe did not answer as it should: ${error.message}`,
        "What was read is kept. Run this again, and it goes on.",
        { cause: error },
      );
    }
    throw error;
  }
}

type OnPage = (step: string, objects: number) => void;
type OnWait = (seconds: number, why: string) => void;

const BAR_WIDTH = 20;

/** Shows how far the reading is: the step, of all steps, and how many objects of it are in. */
export async function withProgress<T>(
  terminal: Terminal,
  title: string,
  work: (onPage: OnPage, onWait: OnWait) => Promise<T>,
): Promise<T> {
  const context: { result?: T } = {};
  const begun = Date.now();
  await terminal.progress<{ result?: T }>(
    [
      {
        title,
        task: async (shared, task) => {
          const read = new Map<string, number>();
          let waiting = "";
          const show = (step: string) => {
            const done = Math.max(0, BACKFILL_STEPS.indexOf(step));
            const filled = Math.round((done / BACKFILL_STEPS.length) * BAR_WIDTH);
            const all = [...read.values()].reduce((sum, objects) => sum + objects, 0);
            const rate = Math.round(all / Math.max(1, (Date.now() - begun) / 1000));
            task.output = `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${step.replaceAll("_", " ")}: ${read.get(step) ?? 0} read, ${rate} a second${waiting}`;
          };
          shared.result = await work(
            (step, objects) => {
              read.set(step, (read.get(step) ?? 0) + objects);
              waiting = "";
              show(step);
            },
            (seconds, why) => {
              waiting = `; waiting ${Math.round(seconds)} s: ${why}`;
              show([...read.keys()].at(-1) ?? BACKFILL_STEPS[0] ?? "");
            },
          );
        },
      },
    ],
    context,
  );
  return context.result as T;
}
