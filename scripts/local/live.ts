import { LOCAL_PROJECT } from "../../supabase/functions/_duebase/project-ref.ts";
import { openSql } from "./sql.ts";

/**
 * Puts a database into live mode as the local project, without asking what a project of customers is asked before it
 * goes live. Does nothing where the migrations are not Duebase's, or from before there were modes.
 *
 * @param url connection string of `postgres`
 */
export async function setLive(url: string): Promise<void> {
  const sql = openSql(url);
  try {
    const modes = await sql`
      select from pg_catalog.pg_attribute
      where attrelid = to_regclass('billing.settings') and attname = 'mode' and not attisdropped`;
    if (modes.length === 0) return;
    await sql`update billing.settings set mode = 'live', project_ref = ${LOCAL_PROJECT} where id`;
  } finally {
    await sql.end();
  }
}
