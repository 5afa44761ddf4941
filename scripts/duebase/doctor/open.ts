import type { Sql } from "postgres";
import { readSetting } from "../../../supabase/functions/_duebase/env.ts";
import { LOCAL_PROJECT } from "../../../supabase/functions/_duebase/project-ref.ts";
import { projectOfDatabase } from "../connections/database.ts";
import { packageManifest } from "../package.ts";
import { readLock } from "../project/lock.ts";
import { findProject, linkedProjectRef, type Project } from "../project/project.ts";
import { Refusal } from "../terminal.ts";
import type { DoctorContext, FunctionsAddress, RoundTrip, Settings } from "./context.ts";
import { askThroughDatabase } from "./pg-net.ts";
import { refInUrl } from "./ref-in-url.ts";
import { readResend } from "./resend.ts";
import { readStripe } from "./stripe.ts";

/** What the person says about where to look. */
export interface Whereabouts {
  dir?: string;
  projectRef?: string;
  /** A select of the application's own that gives owner_id and feature: who has access there. */
  accessQuery?: string;
}

/** The environment variables that doctor reads; each may be missing. */
export type Environment = Partial<Record<string, string>>;

/**
 * What checks look with, around an open database.
 *
 * @throws Refusal where the database has no schema billing, or is not that of the project that is named
 */
export async function openContext(
  sql: Sql,
  whereabouts: Whereabouts,
  env: Environment = process.env,
): Promise<Omit<DoctorContext, "signal">> {
  const [schema] = await sql`select to_regclass('billing.settings') is not null as is_there`;
  if (!schema?.is_there) {
    throw new Refusal(
      "This database has no Duebase: there is no table billing.settings.",
      "Is it the right database? If so: npx duebase init, then supabase db push --linked",
    );
  }
  const project = projectOf(whereabouts.dir);
  const functions = once(() => functionsAddress(sql));
  const given = (name: string) => readSetting((variable) => env[variable], name);
  const stripeKey = given("DUEBASE_STRIPE_SECRET_KEY");
  const resendKey = given("DUEBASE_RESEND_API_KEY");
  const named = whereabouts.projectRef ?? (env.SUPABASE_PROJECT_ID?.trim() || undefined);
  return {
    release: packageManifest().version,
    sql,
    settings: once(() => settingsOf(sql)),
    functions,
    // Whoever asks first waits for it, and the others with them; it ends by itself.
    roundTrip: once(
      async (): Promise<RoundTrip> =>
        askThroughDatabase(sql, await functions(), AbortSignal.timeout(ROUND_TRIP_MS)),
    ),
    stripe: stripeKey ? readStripe(stripeKey, env.DUEBASE_STRIPE_API_URL) : undefined,
    resend: resendKey ? readResend(resendKey, env.DUEBASE_RESEND_BASE_URL) : undefined,
    webhookSecret: given("DUEBASE_STRIPE_WEBHOOK_SECRET"),
    resendWebhookSecret: given("DUEBASE_RESEND_WEBHOOK_SECRET"),
    lock: project && readLock(project),
    projectRoot: project?.root,
    now: Date.now,
    projectRef: refOfDatabase(sql, named) ?? (await refOfFunctions(functions)) ?? linkedRef(project),
    accessQuery: whereabouts.accessQuery,
  };
}

const ROUND_TRIP_MS = 18_000;

/** Without `--dir`, a doctor of a database needs no project on this machine. */
function projectOf(dir: string | undefined): Project | undefined {
  if (dir !== undefined) return findProject(dir);
  try {
    return findProject();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/**
 * The project that was named, or else the one that the database's address tells. What is in the database says nothing of
 * that: a copy has the same.
 */
function refOfDatabase(sql: Sql, named: string | undefined): string | undefined {
  const { host, user } = sql.options;
  const ref = projectOfDatabase({ hostname: [host].flat()[0] ?? "", username: String(user ?? "") });
  if (named === undefined || ref === undefined || named === ref) return named ?? ref;
  throw new Refusal(
    `The database is that of project ${ref}, and the project that was named is ${named}.`,
    `Name the same project twice: --project-ref ${ref}, or the other database with --db-url.`,
  );
}

/** The project whose functions the database calls, where their address tells. */
async function refOfFunctions(functions: () => Promise<FunctionsAddress>): Promise<string | undefined> {
  const { url } = await functions();
  if (url === null || !URL.canParse(url)) return undefined;
  return isLoopback(new URL(url).hostname) ? LOCAL_PROJECT : refInUrl(url);
}

const linkedRef = (project: Project | undefined) => project && linkedProjectRef(project);
const isLoopback = (host: string) => ["127.0.0.1", "localhost", "[::1]"].includes(host);

async function settingsOf(sql: Sql): Promise<Settings> {
  const [row] = await sql<Settings[]>`
    select s.mode, s.project_ref, s.livemode, s.stripe_account, s.app_name, s.app_url, s.email_from
    from billing.settings as s`;
  if (row) return row;
  throw new Error("billing.settings has lost its row: insert into billing.settings default values");
}

async function functionsAddress(sql: Sql): Promise<FunctionsAddress> {
  const [row] = await sql<
    FunctionsAddress[]
  >`select a.url, a.secret, a.problem from billing_private.functions_address() as a`;
  return row ?? { url: null, secret: null, problem: "Vault could not be read" };
}

/** Asks once, whoever needs it; a failure is everybody's. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    return answer;
  };
}
