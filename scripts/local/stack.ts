import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import getPort from "get-port";
import { openApi } from "./api/data-api.ts";
import { type CronScheduler, startCron } from "./cron.ts";
import type { CronRun } from "./cron-run.ts";
import { EdgeFunctions } from "./functions/edge-functions.ts";
import { functionEnvironment } from "./functions/environment.ts";
import { apiGateway, studioGateway } from "./gateway.ts";
import { localKeys } from "./keys.ts";
import { listen } from "./listen.ts";
import { openLogs } from "./log.ts";
import { applyMigrations } from "./migrations.ts";
import { startNet } from "./net.ts";
import { takeOwnership } from "./owner.ts";
import { type LocalPostgres, startPostgres } from "./postgres/server.ts";
import { projectRoot } from "./project.ts";
import { openSql } from "./sql.ts";
import { removeStatus, type StackStatus, writeStatus } from "./status.ts";
import { type LocalStripe, startLocalStripe } from "./stripe/server.ts";
import { readSupabaseConfig } from "./supabase-config.ts";

/** The ports a stack prefers; where one is taken it uses another. */
export const defaultPorts = { api: 54321, db: 54322, studio: 54323, stripe: 12111 };

/** How a stack is started. Everything has a default that suits `npm run dev`. */
export interface StackOptions {
  /** The folder that holds supabase/. */
  projectDirectory?: string;
  /** Keeps database, logs and status.json; `.stack` in the project by default. */
  directory?: string;
  ports?: Partial<typeof defaultPorts>;
  /** False trades safety against a power cut for speed. Default true. */
  fsync?: boolean;
  /** Restart functions when their files change. Default true. */
  watch?: boolean;
  /** Receives each log line for the terminal; none are shown when absent. */
  show?: (line: string) => void;
  /** Told of each step of the start. */
  onStep?: (step: string) => void;
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
  /** The stand-in's scheduler; undefined where the server has the real pg_cron. */
  cron: CronScheduler | undefined;
  /** Runs one cron job now, by name or id, whatever its schedule says. */
  runCronJob(job: string | number): Promise<CronRun>;
  /** Ends every part, the last started first. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a whole local stack: database, Data API, Auth, Studio, functions, local Stripe.
 *
 * @throws StackIsRunning when one runs in that directory already. Whatever had been started by the time of an
 * error is ended before it is thrown.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const projectDirectory = options.projectDirectory ?? projectRoot;
  const directory = options.directory ?? join(projectDirectory, ".stack");
  const ports = { ...defaultPorts, ...options.ports };
  const step = options.onStep ?? (() => {});
  const closers: (() => void | Promise<void>)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const close of closers.reverse()) await close();
    })();
    return stopping;
  };

  closers.push(takeOwnership(directory));
  try {
    const logs = openLogs(join(directory, "logs"), options.show);
    closers.push(() => logs.close());

    step("database");
    const database = await startPostgres({
      directory: join(directory, "postgres"),
      port: ports.db,
      fsync: options.fsync,
    });
    closers.push(() => database.stop());

    // The origins are bound before their parts are there, so that the parts can be told where the others will be.
    let serveApi: RequestListener = starting;
    let serveStudio: RequestListener = starting;
    const api = await listen((request, response) => serveApi(request, response), ports.api);
    closers.push(() => api.close());
    const studio = await listen((request, response) => serveStudio(request, response), ports.studio);
    closers.push(() => studio.close());

    step("Stripe");
    const stripe = await startLocalStripe({
      port: await getPort({ port: ports.stripe, host: "127.0.0.1" }),
      stateFile: join(directory, "stripe.json"),
      log: (line) => logs.of("stripe").write(line),
      webhooks: [{ url: `${api.url}/functions/v1/stripe-webhook`, secret: localKeys.stripeWebhookSecret }],
    });
    closers.push(() => stripe.close());

    const status: StackStatus = {
      API_URL: api.url,
      FUNCTIONS_URL: `${api.url}/functions/v1`,
      DB_URL: database.url,
      STUDIO_URL: studio.url,
      STRIPE_API_URL: stripe.url,
      PUBLISHABLE_KEY: localKeys.publishable,
      SECRET_KEY: localKeys.secret,
      STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret,
      OWNER_PID: process.pid,
    };

    step("functions");
    const functions = new EdgeFunctions(
      {
        projectDirectory,
        denoDirectory: join(directory, "deno"),
        env: { ...functionEnvironment(status, projectDirectory), ...options.functionEnv },
      },
      logs,
    );
    functions.start({ watch: options.watch ?? true });
    closers.push(() => functions.stop());

    step("migrations");
    const isNew = await isEmpty(database);
    const migrations = await applyMigrations(database.url, projectDirectory);
    for (const line of migrations.split("\n")) if (/^Applying/.test(line)) logs.of("migrations").write(line);
    if (isNew) await seed(database.url, projectDirectory);

    step("Data API, Auth and Studio");
    const supabase = await openApi({
      urlFor: database.urlFor,
      ...readSupabaseConfig(projectDirectory),
    });
    closers.push(() => supabase.close());
    serveApi = apiGateway(supabase, functions);
    serveStudio = studioGateway(supabase.studio);

    const cron = database.standIns.includes("pg_cron")
      ? startCron({ urlFor: database.urlFor, log: logs.of("cron"), now: options.now })
      : undefined;
    if (cron) closers.push(() => cron.stop());
    if (database.standIns.includes("pg_net")) {
      const net = startNet(database.adminUrl, logs.of("net"));
      closers.push(() => net.stop());
    }

    const late = await functions.ready(20_000);
    for (const name of late) logs.of(name).write("does not serve yet; see above");

    await writeStatus(directory, status);
    closers.push(() => removeStatus(directory));
    return {
      status,
      postgres: database,
      functions,
      stripe,
      cron,
      async runCronJob(job) {
        if (!cron) throw new Error("this server has the real pg_cron, which runs its jobs itself");
        return cron.run(job);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const starting: RequestListener = (_request, response) => {
  response.writeHead(503, { "content-type": "application/json", "retry-after": "1" });
  response.end(JSON.stringify({ message: "the local stack is starting" }));
};

/** Whether no migration has ever been applied. */
async function isEmpty(database: LocalPostgres): Promise<boolean> {
  const sql = openSql(database.adminUrl);
  const [table] = await sql`select to_regclass('supabase_migrations.schema_migrations') is null as missing`;
  await sql.end();
  return table?.missing === true;
}

/** A new database gets supabase/seed.sql once, after its first migrations, as with `supabase start`. */
async function seed(url: string, projectDirectory: string): Promise<void> {
  const file = join(projectDirectory, "supabase", "seed.sql");
  if (!existsSync(file)) return;
  const sql = openSql(url);
  try {
    await sql.unsafe(await readFile(file, "utf8"));
  } finally {
    await sql.end();
  }
}
