import type { PostgresConnection } from "@supabase/lite/postgres";
import { openSql } from "../sql.ts";

/**
 * Forgets the cached schema whenever the database says it has changed, as PostgREST does: the platform's event
 * triggers send `reload schema` on channel `pgrst` after any DDL.
 *
 * @returns stops listening
 */
export async function followSchemaChanges(
  url: string,
  connection: PostgresConnection,
): Promise<() => Promise<void>> {
  const listener = openSql(url);
  await listener.listen(
    "pgrst",
    () => void connection.clearSchemaCache(),
    // Called again after each reconnect, when a change may have been missed.
    () => void connection.clearSchemaCache(),
  );
  return () => listener.end({ timeout: 1 });
}
