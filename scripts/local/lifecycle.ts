import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ownerOf } from "./owner.ts";
import { endLeftover, removePostgresData } from "./postgres/place.ts";
import { endProcess } from "./processes.ts";
import { removeStatus } from "./status.ts";

const postgresIn = (directory: string): string => join(directory, "postgres");

/**
 * Ends the stack kept in `directory`, wherever it was started from, and what a killed one may have left.
 *
 * @returns whether one was running
 */
export async function stopStack(directory: string): Promise<boolean> {
  const owner = ownerOf(directory);
  if (owner !== undefined) await endProcess(owner, "SIGTERM", 30_000);
  if (existsSync(directory)) {
    await endLeftover(postgresIn(directory));
    await removeStatus(directory);
    await rm(join(directory, "owner.json"), { force: true });
  }
  return owner !== undefined;
}

/** Removes a stack's data: database, local Stripe, inbox and logs. Deno's cache stays. It must not be running. */
export async function resetStack(directory: string): Promise<void> {
  await removePostgresData(postgresIn(directory));
  for (const entry of ["stripe.json", "inbox.json", "status.json", "owner.json", "logs"]) {
    await rm(join(directory, entry), { recursive: true, force: true });
  }
}
