import { createHash } from "node:crypto";
import { chmod, lstat, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Account, canReach } from "./account.ts";
import { endLeftoverServer } from "./leftover.ts";

/**
 * Root's own home is closed to the user the server is lent to. A database wanted there is kept in a place that user
 * can reach, named after the directory it stands for.
 */
function elsewhere(directory: string): string {
  return join("/var/tmp", `duebase-${createHash("sha256").update(directory).digest("hex").slice(0, 16)}`);
}

/** Makes and names the directory in which a server keeps what was to be kept in `directory`. */
export async function placeFor(directory: string, account: Account | undefined): Promise<string> {
  await mkdir(directory, { recursive: true });
  if (account && canReach(account, dirname(directory))) {
    // Nothing in here is secret but the data directory, which PostgreSQL itself keeps closed.
    await chmod(directory, (await lstat(directory)).mode | 0o011);
  }
  const place = canReach(account, directory) ? directory : elsewhere(directory);
  await mkdir(place, { recursive: true, mode: 0o755 });
  const found = await lstat(place);
  if (!found.isDirectory() || (place !== directory && found.uid !== process.getuid?.())) {
    throw new Error(`${place} is not ours: remove it, or keep the stack in another directory (--dir)`);
  }
  return place;
}

/** Ends what a killed stack may have left running of the server it kept in `directory`. */
export async function endLeftover(directory: string): Promise<void> {
  for (const place of [directory, elsewhere(directory)]) await endLeftoverServer(join(place, "data"));
}

/** Removes what a stopped server kept in `directory`. */
export async function removePostgresData(directory: string): Promise<void> {
  for (const place of [directory, elsewhere(directory)]) await rm(place, { recursive: true, force: true });
}
