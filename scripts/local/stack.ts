import { join } from "node:path";
import getPort from "get-port";
import { readSetting } from "../../supabase/functions/_duebase/env.ts";
import { openApi } from "./api/data-api.ts";
import { Closers } from "./closers.ts";
import { type CronScheduler, startCron } from "./cron.ts";
import type { CronRun } from "./cron-run.ts";
import { removeFormerEndpoints } from "./former-endpoints.ts";
import { EdgeFunctions } from "./functions/edge-functions.ts";
import { functionEnvironment } from "./functions/environment.ts";
import { apiGateway, studioGateway } from "./gateway.ts";
import { type Inbox, startInbox } from "./inbox/server.ts";
import { localKeys } from "./keys.ts";
import { listen } from "./listen.ts";
import { adoptSeed, beginDay } from "./living-seed.ts";
import { type Logs, openLogs } from "./log.ts";
import { startNet } from "./net.ts";
import { takeOwnership } from "./owner.ts";
import { type LocalPostgres, startPostgres } from "./postgres/server.ts";
import { projectRoot } from "./project.ts";
import { prepareProjectDatabase } from "./project-database.ts";
import { startRealtime } from "./realtime/server.ts";
import { removeStatus, type StackStatus, writeStatus } from "./status.ts";
import { type LocalStripe, startLocalStripe } from "./stripe/server.ts";
import { readSupabaseConfig } from "./supabase-config.ts";

/** The ports a stack prefers; where one is taken it uses another. */
export const defaultPorts = { api: 54321, db: 54322, studio: 54323, inbox: 54324, stripe: 12111 };

/** How a stack is started. Everything has a default that suits `npm run dev`. */
export interface StackOptions {
  /** The folder that holds supabase/. */
  projectDirectory?: string;
  /** Keeps database, logs and status.json; `.stack` in the project by default. */
  directory?: string;
  ports?: Partial<typeof defaultPorts>;
  /** A folder of an application's migrations, which are applied beside the project's own. */
  migrations?: string;
  /** Whether a new database gets supabase/seed.sql. Default false: a test that counts events wants only its own. */
  seed?: boolean;
  /** What a new database does: all of it, or nothing until it goes live. Default live. */
  mode?: "live" | "mirror";
  /** False trades safety against a power cut for speed. Default true. */
  fsync?: boolean;
  /** Restart functions when their files change. Default true. */
  watch?: boolean;
  /** Receives each log line for the terminal; none are shown when absent. */
  show?: (line: string) => void;
  /** Told of each step of the start. */
  onStep?: (step: string) => void;
  /** Told what happened when a part ends that cannot be replaced. The stack is to be stopped then. */
  onFailure?: (what: string) => void;
  /** The clock that cron jobs go by. */
  now?: () => Date;
  /** Further environment of the functions. */
  functionEnv?: Record<string, string>;
}

/** A running stack, and handles on its parts. */
export interface Stack {
  status: StackStatus;
  postgres: LocalPostgres;
  functions: EdgeFunctions;
  stripe: LocalStripe;
  inbox: Inbox;
  /** The stand-in's scheduler; undefined where the server has the real pg_cron. */
  cron: CronScheduler | undefined;
  /** Runs one cron job now, by name or id, whatever its schedule says. */
  runCronJob(job: string | number): Promise<CronRun>;
  /** Ends every part, the last started first. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a whole local stack: database, Data API, Auth, Studio, functions, local Stripe, inbox.
 *
 * @throws StackIsRunning when one runs in that directory already. Whatever had been started by the time of an
 * error is ended before it is thrown.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const projectDirectory = options.projectDirectory ?? projectRoot;
  const directory = options.directory ?? join(projectDirectory, ".stack");
  const ports = { ...defaultPorts, ...options.ports };
  const step = options.onStep ?? (() => {});
  const closers = new Closers();
  closers.add("ownership", takeOwnership(directory));
  try {
    const logs = openLogs(join(directory, "logs"), options.show);
    closers.add("logs", () => logs.close());

    step("database");
    const database = await startPostgres({
      directory: join(directory, "postgres"),
      port: ports.db,
      fsync: options.fsync,
      onEnd: () =>
        options.onFailure?.("the database server has ended; its log is .stack/postgres/server.log"),
    });
    closers.add("database", () => database.stop());

    // The origins are bound before their parts are there, so that the parts can be told where the others will be.
    const api = await listen(ports.api);
    closers.add("API", () => api.close());
    const studio = await listen(ports.studio);
    closers.add("Studio", () => studio.close());
    const functionsUrl = `${api.url}/functions/v1`;
    const webhookUrl = `${functionsUrl}/duebase-stripe-webhook`;

    step("Stripe and the inbox");
    const stripe = await startLocalStripe({
      port: await getPort({ port: ports.stripe, host: "127.0.0.1" }),
      stateFile: join(directory, "stripe.json"),
      log: (line) => logs.of("stripe").write(line),
      webhooks: [{ url: webhookUrl, secret: localKeys.stripeWebhookSecret }],
    });
    closers.add("Stripe", () => stripe.close());
    await removeFormerEndpoints(stripe.url, webhookUrl);
    const inbox = await startInbox({
      port: await getPort({ port: ports.inbox, host: "127.0.0.1" }),
      stateFile: join(directory, "inbox.json"),
      apiKey: localKeys.resendApiKey,
      now: options.now,
      log: (line) => logs.of("inbox").write(line),
      webhooks: [{ url: `${functionsUrl}/duebase-resend-webhook` }],
      webhookSecret: localKeys.resendWebhookSecret,
      domains: [{ name: "example.com", status: "verified" }],
    });
    closers.add("inbox", () => inbox.close());

    const status: StackStatus = {
      API_URL: api.url,
      FUNCTIONS_URL: functionsUrl,
      DB_URL: database.url,
      STUDIO_URL: studio.url,
      INBOX_URL: inbox.url,
      STRIPE_API_URL: stripe.url,
      PUBLISHABLE_KEY: localKeys.publishable,
      SECRET_KEY: localKeys.secret,
      STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret,
      OWNER_PID: process.pid,
    };

    step("functions");
    const env = { ...functionEnvironment(status, inbox.apiUrl, projectDirectory), ...options.functionEnv };
    const functions = new EdgeFunctions(
      { projectDirectory, denoDirectory: join(directory, "deno"), env },
      logs,
    );
    functions.start({ watch: options.watch ?? true });
    closers.add("functions", () => functions.stop());

    step("migrations");
    const { isSeeded } = await prepareProjectDatabase(database, projectDirectory, {
      functionsUrl,
      alertUrl: readSetting((name) => env[name], "DUEBASE_ALERT_WEBHOOK_URL"),
      migrations: options.migrations,
      seed: options.seed ?? false,
      mode: options.mode ?? "live",
      log: logs.of("migrations"),
    });

    step("Data API, Auth, Realtime and Studio");
    const supabase = await openApi({ urlFor: database.urlFor, ...readSupabaseConfig(projectDirectory) });
    closers.add("Data API", () => supabase.close());
    api.serve(apiGateway(supabase, functions));
    studio.serve(studioGateway(supabase.studio));
    const realtime = startRealtime(database.urlFor, logs.of("realtime"));
    closers.add("Realtime", () => realtime.close());
    api.serveSockets(realtime.upgrade);

    if (database.standIns.includes("pg_net")) {
      const net = startNet(database.adminUrl, logs.of("net"));
      closers.add("net", () => net.stop());
    }
    for (const name of await functions.ready(20_000)) logs.of(name).write("does not serve yet; see above");

    if (isSeeded && (await adoptSeed(database.url, stripe)) > 0) {
      step("a day of the seed's business");
      await beginDay(functionsUrl);
    }
    // Cron comes last: to its watchdog a seed whose day has not begun is a business whose run of dunning is missing.
    const jobs = startJobs(database, logs, closers, options.now);

    await writeStatus(directory, status);
    closers.add("status.json", () => removeStatus(directory));
    return { status, postgres: database, functions, stripe, inbox, ...jobs, stop: () => closers.close() };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** Starts the scheduler that stands in for pg_cron, where the server has none. */
function startJobs(
  database: LocalPostgres,
  logs: Logs,
  closers: Closers,
  now?: () => Date,
): Pick<Stack, "cron" | "runCronJob"> {
  const cron = database.standIns.includes("pg_cron")
    ? startCron({ urlFor: database.urlFor, log: logs.of("cron"), now })
    : undefined;
  closers.add("cron", () => cron?.stop());
  return {
    cron,
    async runCronJob(job) {
      if (!cron) throw new Error("this server has the real pg_cron, which runs its jobs itself");
      return cron.run(job);
    },
  };
}
