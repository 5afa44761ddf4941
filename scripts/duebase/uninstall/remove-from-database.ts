import { withDatabase } from "../connections/database.ts";
import { removalMigration } from "./removal-migration.ts";

/** How often the removal is tried again that lost to an event. */
const MORE_TRIES = 2;

/**
 * Takes everything of ours out of a database in one transaction, as the removal's migration has it.
 *
 * @param url of a role that owns what is ours
 * @param release the release that is installed
 * @throws Error as the migration does; then nothing was removed
 */
export async function removeFromDatabase(url: string, release: string): Promise<void> {
  for (let more = MORE_TRIES; ; more--) {
    try {
      return await tryToRemove(url, release);
    } catch (error) {
      // It and an event that came in this moment waited for each other. Nothing was removed, and by now the event is done.
      if ((error as { code?: string }).code !== "40P01" || more === 0) throw error;
    }
  }
}

function tryToRemove(url: string, release: string): Promise<void> {
  return withDatabase(url, { command: "uninstall" }, (sql) =>
    sql.begin(async (transaction) => {
      // A tick that runs holds some of it for seconds at most.
      await transaction`set local lock_timeout = '60s'`;
      await transaction`set local statement_timeout = '300s'`;
      await transaction.unsafe(removalMigration(release));
    }),
  ) as Promise<void>;
}
