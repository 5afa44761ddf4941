import { join } from "node:path";
import { installPlatform } from "../platform/install.ts";
import { serverAccount } from "./account.ts";
import { embeddedBuild, type PostgresBuild } from "./binaries.ts";
import { Cluster } from "./cluster.ts";
import { placeFor } from "./place.ts";
import { prepareRuntime } from "./runtime.ts";

export { removePostgresData } from "./place.ts";

/** How a database server is started. */
export interface PostgresOptions {
  /** Keeps data and log; made if missing. */
  directory: string;
  /** Preferred port; another is chosen when it is taken, or when this is absent. */
  port?: number;
  /** False trades safety against a power cut for speed: for tests that do not crash the machine. Default true. */
  fsync?: boolean;
  /** Further server settings, as in postgresql.conf. */
  settings?: Record<string, string>;
  /** Which PostgreSQL; the embedded one by default. */
  build?: PostgresBuild;
  /** initdb's locale arguments, where the build needs others. */
  locale?: string[];
  /** Called when the server ends without having been asked to. */
  onEnd?: () => void;
}

/** A running database server that looks like a Supabase project's. */
export interface LocalPostgres {
  /** As `postgres`, who owns what migrations create and is no superuser. */
  url: string;
  /** As `supabase_admin`, the superuser. */
  adminUrl: string;
  port: number;
  /** The postmaster's process id, while it runs. */
  pid: number | undefined;
  /** Extensions that are stand-ins, because this PostgreSQL has no real ones. */
  standIns: string[];
  logFile: string;
  dataDirectory: string;
  /** A connection string for any role that may log in, and any database. */
  urlFor(role: string, database?: string): string;
  /** Starts again after a stop, on the same port. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** As a crash would: no checkpoint, sessions cut. */
  stopImmediate(): Promise<void>;
}

/** Any build of PostgreSQL 17 and later carries this locale itself, so sort order is the same everywhere. */
const builtinLocale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];

/** A commit still reaches the kernel before it is answered: the server may crash, the machine may not. */
const careless = { fsync: "off", full_page_writes: "off" };

/** Starts a PostgreSQL server with Supabase's platform around it and no migrations applied. */
export async function startPostgres(options: PostgresOptions): Promise<LocalPostgres> {
  const account = serverAccount();
  const directory = await placeFor(options.directory, account);
  const logFile = join(directory, "server.log");
  const runtime = await prepareRuntime(options.build ?? embeddedBuild(), join(directory, "runtime"), account);
  const cluster = new Cluster({
    runtime,
    account,
    directory,
    logFile,
    port: options.port,
    locale: options.locale ?? builtinLocale,
    onEnd: options.onEnd,
    settings: { ...(options.fsync === false ? careless : {}), ...options.settings },
  });
  await cluster.start();
  try {
    await installPlatform(cluster.urlFor("supabase_admin"));
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return {
    url: cluster.urlFor("postgres"),
    adminUrl: cluster.urlFor("supabase_admin"),
    port: cluster.port,
    get pid() {
      return cluster.pid;
    },
    standIns: runtime.standIns,
    logFile,
    dataDirectory: cluster.dataDirectory,
    urlFor: (role, database) => cluster.urlFor(role, database),
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    stopImmediate: () => cluster.stopImmediate(),
  };
}
