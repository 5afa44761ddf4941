import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import pc from "picocolors";
import { modeOfKey } from "../../../supabase/functions/_duebase/stripe.ts";
import { lockOutOtherRuns } from "../connect/database.ts";
import { askForSecrets, givenSecrets } from "../connect/given.ts";
import type { Connections, Plan, Wanted } from "../connect/plan.ts";
import { findOut, makePlan } from "../connect/survey.ts";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import type { ApiSettings } from "../connections/http.ts";
import { type ManagementApi, managementApi } from "../connections/management.ts";
import { ResendApi } from "../connections/resend.ts";
import { StripeApi } from "../connections/stripe.ts";
import { options } from "../options.ts";
import { packageRoot } from "../package.ts";
import { findProject } from "../project/project.ts";
import { ExitCode, Refusal, Terminal } from "../terminal.ts";

export interface ConnectOptions {
  dir?: string;
  dbUrl?: string;
  projectRef?: string;
  functionsUrl?: string;
  stripeAccount?: string;
  renew?: "stripe" | "resend";
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** What tests bring along. */
export interface ConnectParts extends Pick<ApiSettings, "timeout" | "wait"> {
  terminal?: Terminal;
}

const HELP = `
Sets up what lies outside the repository, and only what is missing: the exposed schema, the functions' secrets, the two
names in Vault, and the webhooks at Stripe and Resend with their secrets. It shows the plan first and asks. It deploys
nothing; it says which functions are missing.

Read from the environment:
  SUPABASE_ACCESS_TOKEN         of the Management API
  DUEBASE_DB_URL                the database, where --db-url is not given
  DUEBASE_STRIPE_SECRET_KEY, DUEBASE_RESEND_API_KEY, DUEBASE_EMAIL_FROM, DUEBASE_ALERT_EMAIL, DUEBASE_ALERT_WEBHOOK_URL
                                become secrets of the functions; what is missing is asked for
  DUEBASE_CRON_SECRET, DUEBASE_STRIPE_WEBHOOK_SECRET
                                only where you have them already; else they are made
  DUEBASE_CONNECT_STRIPE_KEY, DUEBASE_CONNECT_RESEND_KEY
                                keys for this command alone, where those of the functions may not make webhooks

Example:
  npx duebase connect --dry-run`;

/** Adds `duebase connect`. */
export function addConnect(program: Command): void {
  program
    .command("connect")
    .description("set up what lies outside the repository: secrets, Vault, webhooks at Stripe and Resend")
    .addOption(options.dir())
    .addOption(options.dbUrl())
    .addOption(options.projectRef())
    .option(
      "--functions-url <url>",
      "where the functions are (default: https://<ref>.supabase.co/functions/v1)",
    )
    .option("--stripe-account <id>", "the connected account (acct_…) whose events are to be projected")
    .addOption(
      new Option("--renew <service>", "make its webhook anew, with a new secret").choices([
        "stripe",
        "resend",
      ]),
    )
    .addOption(options.dryRun())
    .addOption(options.yes())
    .addOption(options.json())
    .addHelpText("after", HELP)
    .action(async (given: ConnectOptions) => {
      process.exitCode = await connect(given, process.env);
    });
}

/**
 * Shows what is missing, asks, and sets it up.
 *
 * @returns done, or refused where something is left to a person
 * @throws Refusal, StoppedByPerson
 */
export async function connect(
  given: ConnectOptions,
  env: NodeJS.ProcessEnv,
  { terminal = new Terminal(given), ...calls }: ConnectParts = {},
): Promise<ExitCode> {
  const supabase = managementApi(findProject(given.dir), given.projectRef, env, calls);
  const secrets = givenSecrets(env);
  const url = requireDatabaseUrl(given.dbUrl, env);
  return await withDatabase(url, { command: "connect" }, async (sql) => {
    await lockOutOtherRuns(sql);
    const found = await findOut({ supabase, sql, stripe: undefined, resend: undefined });
    if (terminal.isInteractive && !given.json && !given.yes && !given.dryRun) {
      await askForSecrets(terminal, secrets, (name) => found.digests.has(name));
    }
    const connections = { supabase, sql, ...services(secrets, env, calls) };
    const plan = await makePlan(connections, found, wantedBy(given, supabase, secrets));
    terminal.say(planAsText(plan, supabase.projectRef));
    if (!given.dryRun && plan.steps.length > 0) await carryOut(terminal, plan, connections);
    terminal.answer(planAsJson(plan, supabase.projectRef, given.dryRun === true), lastLine(plan, given));
    return plan.missing.length > 0 ? ExitCode.refused : ExitCode.done;
  });
}

async function carryOut(terminal: Terminal, plan: Plan, connections: Connections): Promise<void> {
  await terminal.confirm(plan.steps.length === 1 ? "Do it?" : `Do these ${plan.steps.length} steps?`);
  const tasks = plan.steps.map(({ what, run }) => ({ title: what, task: () => run(connections) }));
  await terminal.progress(tasks, {});
}

function wantedBy(
  given: ConnectOptions,
  { projectRef }: ManagementApi,
  secrets: Map<string, string>,
): Wanted {
  const { stripeAccount } = given;
  if (stripeAccount !== undefined && !/^acct_\w+$/.test(stripeAccount)) {
    throw new Refusal(`--stripe-account is no id of an account: ${stripeAccount}`, "It begins with acct_.");
  }
  return {
    functionsUrl: functionsUrl(given.functionsUrl, projectRef),
    given: secrets,
    stripeAccount,
    renew: new Set(given.renew === undefined ? [] : [given.renew]),
    slugs: ourSlugs(),
  };
}

function functionsUrl(option: string | undefined, projectRef: string): string {
  if (option === undefined) return `https://${projectRef}.supabase.co/functions/v1`;
  if (URL.canParse(option) && /^https?:\/\//.test(option)) return option.replace(/\/+$/, "");
  throw new Refusal(`--functions-url is no http(s) address: ${option}`, "Write it as https://…/functions/v1");
}

/** The functions of the release this command is of. */
function ourSlugs(): string[] {
  const folder = join(packageRoot(), "supabase", "functions");
  return readdirSync(folder)
    .filter((slug) => slug.startsWith("duebase-") && existsSync(join(folder, slug, "index.ts")))
    .sort();
}

/** Stripe and Resend, by the keys that are for this command alone, else by the functions'. */
function services(
  secrets: ReadonlyMap<string, string>,
  env: NodeJS.ProcessEnv,
  calls: Pick<ApiSettings, "timeout" | "wait">,
): Pick<Connections, "stripe" | "resend"> {
  const ofFunctions = secrets.get("DUEBASE_STRIPE_SECRET_KEY");
  const secretKey = env.DUEBASE_CONNECT_STRIPE_KEY?.trim() || ofFunctions;
  if (secretKey && ofFunctions && modeOfKey(secretKey) !== modeOfKey(ofFunctions)) {
    throw new Refusal(
      "DUEBASE_CONNECT_STRIPE_KEY and DUEBASE_STRIPE_SECRET_KEY are of different modes.",
      "Use two keys of live mode, or two of test mode.",
    );
  }
  const apiKey = env.DUEBASE_CONNECT_RESEND_KEY?.trim() || secrets.get("DUEBASE_RESEND_API_KEY");
  return {
    stripe: secretKey
      ? new StripeApi({ ...calls, secretKey, apiUrl: env.DUEBASE_STRIPE_API_URL })
      : undefined,
    resend: apiKey ? new ResendApi({ ...calls, apiKey, apiUrl: env.DUEBASE_RESEND_BASE_URL }) : undefined,
  };
}

function planAsText({ steps, missing, notes }: Plan, projectRef: string): string {
  const lines = [pc.bold(`Project ${projectRef}`)];
  if (steps.length > 0)
    lines.push("", "To be set up:", ...steps.map(({ what }) => `  ${pc.cyan("+")} ${what}`));
  if (missing.length > 0) {
    lines.push("", "Left to you:");
    for (const { what, cure } of missing) lines.push(`  ${pc.yellow("!")} ${what}`, `    ${pc.dim(cure)}`);
  }
  if (notes.length > 0) lines.push("", ...notes.map((note) => `  ${pc.dim("·")} ${note}`));
  return lines.join("\n");
}

function planAsJson({ steps, missing, notes }: Plan, projectRef: string, isDryRun: boolean): object {
  const shown = steps.map(({ id, what }) => ({ id, what, done: !isDryRun }));
  return { project_ref: projectRef, dry_run: isDryRun, steps: shown, missing, notes };
}

function lastLine({ steps, missing }: Plan, { dryRun }: ConnectOptions): string {
  const left =
    missing.length > 0 ? ` ${missing.length} left to you, as above.` : " Check it with: npx duebase doctor";
  if (steps.length === 0) return `\nNothing to set up.${left}`;
  return dryRun ? "\nNothing was changed." : `\nConnected: ${steps.length} set up.${left}`;
}
