import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { projectRoot } from "./project.ts";
import { openSql } from "./sql.ts";

/** One file of supabase/schemas. */
export interface SchemaFile {
  /** Its path within supabase/schemas, with forward slashes: `02_receive/010_webhook_events.sql`. */
  path: string;
  sql: string;
}

/**
 * The source of the database: every SQL file of supabase/schemas in the order in which they are applied, which is the
 * order of their paths.
 */
export function readSchemas(): SchemaFile[] {
  const folder = join(projectRoot, "supabase", "schemas");
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".sql"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({
      path: relative(folder, file).split(sep).join("/"),
      sql: readFileSync(file, "utf8"),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Builds the database from its source, a transaction a file. The migrations are what a project gets; this is there to
 * show that they say the same.
 *
 * @param url connection string of `postgres`, who is no superuser
 * @throws Error with the path of the file that failed
 */
export async function applySchemas(url: string): Promise<void> {
  const sql = openSql(url);
  try {
    for (const file of readSchemas()) {
      await sql
        .begin((transaction) => transaction.unsafe(file.sql))
        .catch((error: unknown) => {
          throw new Error(`supabase/schemas/${file.path} failed`, { cause: error });
        });
    }
  } finally {
    await sql.end();
  }
}
