import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Stripe from "stripe";
import { type Api, openApi } from "../../scripts/local/api/data-api.ts";
import { Closers } from "../../scripts/local/closers.ts";
import { EdgeFunctions } from "../../scripts/local/functions/edge-functions.ts";
import { findFunctions } from "../../scripts/local/functions/project.ts";
import { apiGateway } from "../../scripts/local/gateway.ts";
import { type Inbox, startInbox } from "../../scripts/local/inbox/server.ts";
import { localKeys } from "../../scripts/local/keys.ts";
import { listen } from "../../scripts/local/listen.ts";
import { openLogs } from "../../scripts/local/log.ts";
import { type LocalManagement, startLocalManagement } from "../../scripts/local/management/server.ts";
import { startNet } from "../../scripts/local/net.ts";
import type { LocalPostgres } from "../../scripts/local/postgres/server.ts";
import { type LocalStripe, startLocalStripe } from "../../scripts/local/stripe/server.ts";
import { withClient } from "./existing-project.ts";
import { runTick } from "./tick.ts";

/** Whose project it is. */
export const HOSTED_REF = "abcdefghijklmnopqrst";

/**
 * What stands around the database of a hosted project: the Data API and the functions at one address, the Management API,
 * and Stripe and Resend, each a server of this machine. It is what its owner makes it: nothing of ours is set up.
 */
export interface HostedProject {
  /** Where the functions answer; a domain of their own, as seen by who asks the Management API. */
  functionsUrl: string;
  supabase: LocalManagement;
  local: LocalStripe;
  stripe: Stripe;
  inbox: Inbox;
  /** What the owner has in the environment of their machine. */
  env: Record<string, string>;
  /** As `supabase functions deploy`: every function of the folder, with verify_jwt as config.toml has it. */
  deploy(): Promise<void>;
  /** Waits until the functions run with the secrets that were set last. */
  restarted(): Promise<void>;
  /** Runs what the minute's cron job runs, as its owner does. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** Where the project's files and its database are. */
export interface HostedParts {
  root: string;
  database: Pick<LocalPostgres, "url" | "adminUrl" | "urlFor" | "standIns">;
  /** What the Data API exposes at first. */
  exposedSchemas: string[];
}

/** Starts it, with the functions that are in the folder by then. */
export async function startHostedProject({
  root,
  database,
  exposedSchemas,
}: HostedParts): Promise<HostedProject> {
  const closers = new Closers();
  const directory = await mkdtemp(join(tmpdir(), "duebase-hosted-"));
  closers.add("directory", () => rm(directory, { recursive: true, force: true }));
  try {
    const logs = openLogs(join(directory, "logs"));
    closers.add("logs", () => logs.close());
    const api = await listen(0);
    closers.add("API", () => api.close());
    const local = await startLocalStripe({ port: 0 });
    closers.add("Stripe", () => local.close());
    const inbox = await startInbox({
      port: 0,
      mailbox: false,
      domains: [{ name: "shop.example.com", status: "pending" }],
    });
    closers.add("inbox", () => inbox.close());
    const functions = new EdgeFunctions(
      {
        projectDirectory: root,
        denoDirectory: join(directory, "deno"),
        env: platformEnvironment(api.url, database.url, {
          DUEBASE_STRIPE_API_URL: local.url,
          DUEBASE_RESEND_BASE_URL: inbox.apiUrl,
        }),
      },
      logs,
    );
    functions.start({ watch: false });
    closers.add("functions", () => functions.stop());
    const dataApi = await serveSchemas(database, (one) => api.serve(apiGateway(one, functions)));
    await dataApi.expose(exposedSchemas);
    closers.add("Data API", () => dataApi.close());
    const secrets = new ChangedSecrets(functions);
    const supabase = await startLocalManagement({
      port: 0,
      ref: HOSTED_REF,
      exposedSchemas,
      onSecrets: (all) => secrets.note(all),
      onExposedSchemas: (schemas) => dataApi.expose(schemas),
      onRemoved: (slug) => functions.undeploy(slug),
    });
    closers.add("Management API", () => supabase.close());
    for (const { name, verifyJwt } of findFunctions(root)) supabase.project.deploy(name, { verifyJwt });
    if (database.standIns.includes("pg_net")) {
      const net = startNet(database.adminUrl, logs.of("net"));
      closers.add("net", () => net.stop());
    }
    return {
      functionsUrl: `${api.url}/functions/v1`,
      supabase,
      local,
      stripe: new Stripe("sk_test_duebase_owner_example", {
        host: "127.0.0.1",
        port: local.port,
        protocol: "http",
        telemetry: false,
      }),
      inbox,
      env: {
        DUEBASE_DB_URL: database.url,
        SUPABASE_API_URL: supabase.url,
        SUPABASE_ACCESS_TOKEN: supabase.accessToken,
        SUPABASE_PROJECT_ID: HOSTED_REF,
        DUEBASE_STRIPE_API_URL: local.url,
        DUEBASE_RESEND_BASE_URL: inbox.apiUrl,
        DUEBASE_STRIPE_SECRET_KEY: "sk_test_duebase_hosted_example",
        DUEBASE_RESEND_API_KEY: "re_duebase_hosted_example",
        DUEBASE_EMAIL_FROM: "Shop <billing@shop.example.com>",
      },
      async deploy() {
        for (const { name, verifyJwt } of findFunctions(root)) {
          supabase.project.deploy(name, { verifyJwt });
          await functions.deploy(name);
        }
        await functions.ready(3_000);
      },
      restarted: () => secrets.restarted(),
      tick: () => withClient(database.url, runTick),
      close: () => closers.close(),
    };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** What the platform sets for each function by itself, and where Stripe and Resend are on this machine. */
function platformEnvironment(
  apiUrl: string,
  databaseUrl: string,
  services: Record<string, string>,
): Record<string, string> {
  return {
    SUPABASE_URL: apiUrl,
    SUPABASE_DB_URL: databaseUrl,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: localKeys.publishable }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: localKeys.secret }),
    // The platform names the project here, whatever its address is.
    DENO_DEPLOYMENT_ID: `${HOSTED_REF}_functions_1`,
    // Lets them talk to services of this machine.
    DUEBASE_LOCAL_STACK: "1",
    ...services,
  };
}

/** The Data API, opened anew for each list of schemas. */
async function serveSchemas(
  { urlFor }: Pick<LocalPostgres, "urlFor">,
  serve: (api: Api) => void,
): Promise<{ expose(schemas: readonly string[]): Promise<void>; close(): Promise<void> }> {
  let current: Api | undefined;
  return {
    async expose(schemas) {
      const former = current;
      current = await openApi({
        urlFor,
        // GraphQL needs an extension that is not here.
        schemas: schemas.filter((schema) => schema !== "graphql_public"),
        maxRows: 1000,
        siteUrl: "https://shop.example.com",
      });
      serve(current);
      await former?.close();
    },
    async close() {
      await current?.close();
    },
  };
}

/** Secrets are set one by one; the functions start anew once, with all of them. */
class ChangedSecrets {
  readonly #functions: EdgeFunctions;
  /** Those that they run with. */
  #running = new Map<string, string>();
  #wanted = new Map<string, string>();

  constructor(functions: EdgeFunctions) {
    this.#functions = functions;
  }

  note(all: ReadonlyMap<string, string>): void {
    this.#wanted = new Map(all);
  }

  async restarted(): Promise<void> {
    const names = new Set([...this.#running.keys(), ...this.#wanted.keys()]);
    const changed = [...names].filter((name) => this.#running.get(name) !== this.#wanted.get(name));
    this.#running = this.#wanted;
    if (changed.length > 0) {
      await this.#functions.setSecrets(
        Object.fromEntries(changed.map((name) => [name, this.#wanted.get(name)])),
      );
    }
    const late = await this.#functions.ready(30_000);
    if (late.length > 0) throw new Error(`these functions do not serve: ${late.join(", ")}`);
  }
}
