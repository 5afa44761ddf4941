import type { TransactionSql } from "postgres";
import { readStatus } from "../../local/status.ts";
import { namedDatabaseUrl, UnusableDatabase, withDatabase } from "./database.ts";

export { UnusableDatabase };

/**
 * Reads from the named database, else from the local stack's, in one transaction that can change nothing.
 *
 * @param place connection string, or the directory of the local stack
 * @param command which command reads
 * @throws UnusableDatabase where there is none, or what is read is not in it
 */
export async function reading<T>(
  place: { dbUrl?: string; stackDirectory: string },
  command: string,
  work: (sql: TransactionSql) => Promise<T>,
): Promise<T> {
  const url = namedDatabaseUrl(place.dbUrl) ?? (await readStatus(place.stackDirectory))?.DB_URL;
  if (url === undefined) {
    throw new UnusableDatabase(
      "Which database?",
      "Name one with --db-url postgresql://… or in DUEBASE_DB_URL; in this repository, start the local stack with npm run dev.",
    );
  }
  try {
    return await withDatabase(
      url,
      { command },
      async (sql) =>
        (
          await sql.begin("read only isolation level repeatable read", async (transaction) => ({
            result: await work(transaction),
          }))
        ).result,
    );
  } catch (error) {
    throw meaningOf(error, command);
  }
}

const MISSING = ["3F000", "42P01", "42883"];

function meaningOf(error: unknown, command: string): unknown {
  const { code = "", message } = error as { code?: string; message: string };
  if (MISSING.includes(code)) {
    return new UnusableDatabase(
      `This database has no ${command} (${message}).`,
      "Apply the migrations of this release first.",
    );
  }
  if (code === "42501") {
    return new UnusableDatabase(`This role may not read it (${message}).`, "Connect as postgres.");
  }
  return error;
}
