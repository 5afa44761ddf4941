import postgres, { type Sql } from "postgres";
import { Refusal } from "../terminal.ts";

/** The database cannot be used: it was not named, does not answer, or is not what it should be. */
export class UnusableDatabase extends Refusal {
  override readonly name = "UnusableDatabase";
}

/** How to open it. */
export interface DatabaseOptions {
  /** Shown in pg_stat_activity, as `duebase <command>`. */
  command: string;
  /** Milliseconds a statement may take. Default 60,000. */
  statementTimeout?: number;
  /** How many at once. Default 1. */
  connections?: number;
}

const FORM = "postgresql://postgres:PASSWORD@HOST:5432/postgres";

/** Where Supabase's connection strings end in a pooler that hands each transaction another connection. */
const TRANSACTION_POOLER_PORT = "6543";

/**
 * The database's address: what `--db-url` says, else DUEBASE_DB_URL.
 *
 * @returns undefined where neither is set
 * @throws UnusableDatabase where it is no address, or that of the transaction pooler; the message holds no password
 */
export function namedDatabaseUrl(option?: string, env = process.env): string | undefined {
  const [name, url] =
    option === undefined
      ? (["DUEBASE_DB_URL", env.DUEBASE_DB_URL] as const)
      : (["--db-url", option] as const);
  if (url === undefined || url === "") return undefined;
  const parsed = parseUrl(url);
  if (parsed === undefined) {
    throw new UnusableDatabase(`${name} is no connection string.`, `Write it as ${FORM}`);
  }
  if (parsed.port === TRANSACTION_POOLER_PORT) {
    throw new UnusableDatabase(
      `${name} is the transaction pooler (port ${TRANSACTION_POOLER_PORT}). It hands each transaction another connection, so locks and settings of a session are lost.`,
      "Use the session pooler or the direct connection, both on port 5432: in the dashboard under Connect.",
    );
  }
  return url;
}

/**
 * The same where a database is needed.
 *
 * @throws UnusableDatabase where none is named either
 */
export function requireDatabaseUrl(option?: string, env = process.env): string {
  const url = namedDatabaseUrl(option, env);
  if (url !== undefined) return url;
  throw new UnusableDatabase(
    "No database was named.",
    `Name it with --db-url or in DUEBASE_DB_URL, as ${FORM} (in the dashboard under Connect: session pooler or direct).`,
  );
}

/**
 * The project that a database belongs to by its address: the direct connection has its ref in the host, the pooler in
 * the user's name.
 *
 * @returns undefined where the address names none, as with a server of one's own
 */
export function projectOfDatabase({
  hostname,
  username,
}: {
  hostname: string;
  username: string;
}): string | undefined {
  return /^db\.([a-z]{20})\.supabase\.[a-z]+$/.exec(hostname)?.[1] ?? /\.([a-z]{20})$/.exec(username)?.[1];
}

/**
 * Opens the database for one piece of work and closes it afterwards.
 *
 * @throws UnusableDatabase where it does not answer, or refuses the role; what `work` throws otherwise
 */
export async function withDatabase<T>(
  url: string,
  { command, statementTimeout = 60_000, connections = 1 }: DatabaseOptions,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  const sql = open(url, command, statementTimeout, connections);
  try {
    return await work(sql);
  } catch (error) {
    throw meaningOf(error);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function open(url: string, command: string, statementTimeout: number, connections: number): Sql {
  try {
    return postgres(url, {
      max: connections,
      connect_timeout: 10,
      onnotice: () => {},
      ...(needsEncryption(url) ? { ssl: "require" as const } : {}),
      connection: { application_name: `duebase ${command}`, statement_timeout: statementTimeout },
    });
  } catch {
    // The driver's own message repeats the address, and with it the password.
    throw new UnusableDatabase("The database's address is no connection string.", `Write it as ${FORM}`);
  }
}

/** What leaves this machine is encrypted, unless the address says how itself. */
function needsEncryption(url: string): boolean {
  const parsed = parseUrl(url);
  if (parsed === undefined || parsed.searchParams.has("sslmode")) return false;
  return !["localhost", "127.0.0.1", "[::1]", ""].includes(parsed.hostname);
}

function parseUrl(url: string): URL | undefined {
  try {
    const parsed = new URL(url);
    return /^postgres(ql)?:$/.test(parsed.protocol) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function meaningOf(error: unknown): unknown {
  const { code = "", message } = error as { code?: string; message: string };
  if (code === "28P01" || code === "28000") {
    return new UnusableDatabase(
      `The database refused the password or the role (${message}).`,
      "Take the connection string from the dashboard under Connect, with the database's password in it.",
      { cause: error },
    );
  }
  if (/^(E[A-Z]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+|3D000)$/.test(code)) {
    return new UnusableDatabase(
      `The database cannot be reached: ${message || code}`,
      "Is the address right, is the project running, and may this network reach it? The direct connection needs IPv6; the session pooler does not.",
      { cause: error },
    );
  }
  return error;
}
