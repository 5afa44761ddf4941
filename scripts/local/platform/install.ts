import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { getAuthSchemaSql } from "@supabase/lite";
import { openSql } from "../sql.ts";

const folder = dirname(fileURLToPath(import.meta.url));

/** After this file schema `auth` exists and is empty: the Auth server's own tables are made next. */
const beforeAuthTables = "03-auth.sql";

/**
 * Makes a bare PostgreSQL database look like a Supabase project's: roles, schemas, privileges, timeouts.
 * Safe to repeat.
 *
 * @param url connection string of the superuser, `supabase_admin`
 */
export async function installPlatform(url: string): Promise<void> {
  const sql = openSql(url, 1, { client_min_messages: "error" });
  try {
    const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
    for (const file of files) {
      const text = await readFile(join(folder, file), "utf8");
      await sql
        .begin((transaction) => transaction.unsafe(text))
        .catch((cause) => {
          throw new Error(`platform/${file}: ${cause instanceof Error ? cause.message : cause}`, { cause });
        });
      if (file === beforeAuthTables) {
        await sql.begin(async (transaction) => {
          await transaction.unsafe("set local role supabase_auth_admin");
          await transaction.unsafe(getAuthSchemaSql());
        });
      }
    }
  } finally {
    await sql.end();
  }
}
