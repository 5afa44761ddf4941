import type { Command } from "commander";
import type { Sql } from "postgres";
import { readSetting } from "../../../supabase/functions/_duebase/env.ts";
import { readIdentity } from "../../../supabase/functions/_duebase/history/key-check.ts";
import { billingOver } from "../connections/billing.ts";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import { ResendApi } from "../connections/resend.ts";
import { stripeFromEnvironment } from "../history/stripe-key.ts";
import { isoTime, options } from "../options.ts";
import { countRestored, listRestored, type RestoredEffect, restoredAsText } from "../restored/list.ts";
import { type CallMatch, type EmailMatch, matchCalls, matchEmails } from "../restored/match.ts";
import { backupUnderWay, beginRestore, goLiveAgain, type Restore, toldSince } from "../restored/steps.ts";
import { Refusal, Terminal } from "../terminal.ts";
import { reconcile } from "./reconcile.ts";

interface RestoredOptions {
  dbUrl?: string;
  backupAt?: Date;
  keepWithheld?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** What was matched. */
interface Matched {
  emails: EmailMatch;
  calls: CallMatch;
  told: number;
  effects: RestoredEffect[];
}

/** Adds `duebase restored`. */
export function addRestored(program: Command): void {
  program
    .command("restored")
    .description("after a backup of this project was restored: finds what left since, and goes live again")
    .addOption(options.dbUrl())
    .option("--backup-at <time>", "when the backup was made, such as 2026-12-01T03:12Z", isoTime)
    .option("--keep-withheld", "send and call nothing of what did not leave; a person releases it later")
    .addOption(options.yes())
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Stops everything first. Then it receives the events since the backup, looks up at Resend which emails left and at
Stripe which calls were made, shows the list, and asks before it goes live. Run again, it goes on.

Reads DUEBASE_STRIPE_SECRET_KEY, and a Resend key with full access from DUEBASE_CONNECT_RESEND_KEY, else from
DUEBASE_RESEND_API_KEY.

Example:
  npx duebase restored --backup-at 2026-12-01T03:12Z`,
    )
    .action(async (given: RestoredOptions) => {
      const terminal = new Terminal({ json: given.json, yes: given.yes });
      await withDatabase(requireDatabaseUrl(given.dbUrl), { command: "restored" }, (sql) =>
        restored(sql, given, terminal, process.env),
      );
    });
}

/**
 * What the command does, once the database is open.
 *
 * @throws Refusal where something is in the way, or nobody says yes: the project is in mirror mode then, or as it was
 */
export async function restored(
  sql: Sql,
  given: Pick<RestoredOptions, "backupAt" | "keepWithheld" | "dryRun">,
  terminal: Terminal,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const backupAt = await backupTime(sql, given, terminal);
  if (given.dryRun) return await showPlan(sql, backupAt, terminal);
  // Before anything is changed: without a key nothing could be matched.
  const services = { resend: resendFromEnvironment(env), stripe: stripeFromEnvironment(env) };
  const restore = await beginRestore(sql, backupAt);
  terminal.say(`In mirror mode: nothing is sent or called. Backup of ${restore.backup_at}.`);
  const matched = await match(sql, restore, services, terminal);
  await goLive(sql, restore, matched, given.keepWithheld === true, terminal);
}

async function backupTime(sql: Sql, { backupAt }: RestoredOptions, terminal: Terminal): Promise<Date> {
  const known = await backupUnderWay(sql);
  const time =
    known ??
    backupAt ??
    answeredTime(
      await terminal.ask(
        "When was the backup made (with a zone, such as 2026-12-01T03:12Z)?",
        "Say when the backup was made with --backup-at; the database cannot know, as it may have worked since.",
      ),
    );
  if (time.getTime() <= Date.now()) return time;
  throw new Refusal(
    `The backup cannot be of ${time.toISOString()}: that is still to come.`,
    "Say when it was made, in your time zone or in UTC (Z).",
  );
}

function answeredTime(text: string): Date {
  try {
    return isoTime(text);
  } catch (error) {
    throw new Refusal(`${text} is no time with a zone.`, "Write it as 2026-12-01T03:12Z.", { cause: error });
  }
}

async function showPlan(sql: Sql, backupAt: Date, terminal: Terminal): Promise<void> {
  const [row] = await sql<{ mode: string; pending: number; newest: Date | null }[]>`
    select
      s.mode,
      (
        select count(*)::integer
        from billing.outbox as o
        where o.status in ('pending', 'claimed') and billing_private.is_write(o.kind)
      ) as pending,
      billing_private.newest_knowledge(now()) as newest
    from billing.settings as s`;
  terminal.answer(
    { dry_run: true, backup_at: backupAt, ...row },
    [
      `The project would go to mirror mode (it is in ${row?.mode} mode), and ${row?.pending ?? 0} writes that wait would be withheld.`,
      `Emails and calls since ${backupAt.toISOString()} would be matched; the newest that is known here is of ${row?.newest?.toISOString() ?? "never"}.`,
      "Nothing was changed (--dry-run).",
    ].join("\n"),
  );
}

function resendFromEnvironment(env: NodeJS.ProcessEnv): ResendApi {
  const apiKey =
    env.DUEBASE_CONNECT_RESEND_KEY?.trim() ||
    readSetting((variable) => env[variable], "DUEBASE_RESEND_API_KEY");
  if (apiKey) return new ResendApi({ apiKey, apiUrl: env.DUEBASE_RESEND_BASE_URL });
  throw new Refusal(
    "There is no Resend key: which emails left cannot be looked up.",
    "Set DUEBASE_CONNECT_RESEND_KEY to a key with full access: https://resend.com/api-keys",
  );
}

type Services = { resend: ResendApi; stripe: ReturnType<typeof stripeFromEnvironment> };

async function match(
  sql: Sql,
  restore: Restore,
  { resend, stripe }: Services,
  terminal: Terminal,
): Promise<Matched> {
  const { account } = await readIdentity(billingOver(sql));
  const found: Partial<Pick<Matched, "emails" | "calls">> = {};
  await terminal.progress<typeof found>(
    [
      {
        title: "Emails at Resend",
        task: async (shared, task) => {
          shared.emails = await matchEmails(sql, resend, {
            since: new Date(restore.emails_since),
            onProgress: ({ listed, ours }) => {
              task.title = `Emails at Resend: ${listed} listed, ${ours} of ours that the backup does not know`;
            },
          });
        },
      },
    ],
    found,
  );
  const runs = await reconcile(sql, terminal, stripe);
  const broken = runs.find(({ status }) => status !== "complete");
  if (broken) {
    throw new Refusal(
      `What happened since the backup is not all in: ${broken.problem ?? `the ${broken.kind} is ${broken.status}`}.`,
      "The project stays in mirror mode. Put it right and run this again: it goes on.",
    );
  }
  await terminal.progress<typeof found>(
    [
      {
        title: "Calls at Stripe",
        task: async (shared) => {
          shared.calls = await matchCalls(sql, stripe.call, { account: account ?? undefined });
        },
      },
    ],
    found,
  );
  if (!found.emails || !found.calls) throw new Error("the matching ended without a result");
  return {
    emails: found.emails,
    calls: found.calls,
    told: await toldSince(sql),
    effects: await listRestored(sql),
  };
}

async function goLive(
  sql: Sql,
  restore: Restore,
  matched: Matched,
  keepsWithheld: boolean,
  terminal: Terminal,
): Promise<void> {
  const { effects, emails, told } = matched;
  terminal.say(`\n${restoredAsText(effects, told)}\n`);
  if (!emails.reachesBack) {
    terminal.warn(
      "Resend lists no email from before the backup, so it may have forgotten some that left since. The emails above stay withheld; release by hand what is known not to have left (billing.release_withheld).",
    );
  }
  const open = effects.filter(
    ({ outcome, kind }) => outcome === "open" && !keepsWithheld && (kind !== "email" || emails.reachesBack),
  );
  if (restore.project_ref === null) {
    await sql`select billing.restore_is_matched()`;
    terminal.answer(
      { ...answer(restore, matched), live: false },
      "The project was not live when the backup was made, and stays in mirror mode: npx duebase go-live",
    );
    return;
  }
  await terminal.confirm(
    open.length === 0
      ? `Go live again as ${restore.project_ref}?`
      : `Go live again as ${restore.project_ref}, and perform the ${open.length} that did not leave?`,
  );
  const released = await goLiveAgain(
    sql,
    restore.project_ref,
    open.map(({ id }) => id),
  );
  const waiting = released.may_have_left ?? 0;
  terminal.answer(
    { ...answer(restore, matched), live: true, released },
    [
      `Live as ${restore.project_ref}. ${released.released ?? 0} were released.`,
      ...(waiting > 0
        ? [
            `${waiting} wait, as an attempt at them is less than 23 hours old: billing.release_withheld later.`,
          ]
        : []),
      "Secrets, Vault and cron jobs are those of the backup: npx duebase doctor",
    ].join("\n"),
  );
}

function answer(restore: Restore, { emails, calls, told, effects }: Matched) {
  return { backup_at: restore.backup_at, emails, calls, told, counts: countRestored(effects), effects };
}
