import postgres, { type TransactionSql } from "postgres";
import { readStatus } from "../local/status.ts";

/** No database was named, and no local stack runs that would have one. */
export class NoDatabase extends Error {
  constructor() {
    super("Which database? Start the local stack with npm run dev, or name one with --db-url postgresql://…");
    this.name = "NoDatabase";
  }
}

/** The database answered, but has no dunning in it; or it did not answer. */
export class UnusableDatabase extends Error {
  override readonly name = "UnusableDatabase";
}

/**
 * Reads from the named database, else from the local stack's, in one transaction that can change nothing.
 *
 * @param place connection string, or the directory of the local stack
 * @throws NoDatabase, UnusableDatabase
 */
export async function reading<T>(
  place: { dbUrl?: string; stackDirectory: string },
  work: (sql: TransactionSql) => Promise<T>,
): Promise<T> {
  const url = place.dbUrl ?? (await readStatus(place.stackDirectory))?.DB_URL;
  if (url === undefined) throw new NoDatabase();
  const sql = openReader(url);
  try {
    return (
      await sql.begin("read only isolation level repeatable read", async (transaction) => ({
        result: await work(transaction),
      }))
    ).result;
  } catch (error) {
    throw meaningOf(error);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function openReader(url: string): postgres.Sql {
  try {
    return postgres(url, {
      max: 1,
      connect_timeout: 10,
      onnotice: () => {},
      connection: { application_name: "duebase-dunning", statement_timeout: 60_000 },
    });
  } catch {
    // The driver's own message repeats the address, and with it the password.
    throw new UnusableDatabase(
      "--db-url is no connection string: postgresql://user:password@host:port/database",
    );
  }
}

const MISSING = ["3F000", "42P01", "42883"];

function meaningOf(error: unknown): unknown {
  const { code = "", message } = error as { code?: string; message: string };
  if (MISSING.includes(code)) {
    return new UnusableDatabase(
      `This database has no dunning: apply supabase/migrations first (${message}).`,
    );
  }
  if (code === "42501")
    return new UnusableDatabase(`This role may not read it: connect as postgres (${message}).`);
  if (/^(E[A-Z]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+|28...|3D000)$/.test(code)) {
    return new UnusableDatabase(`The database cannot be reached: ${message || code}`);
  }
  return error;
}
