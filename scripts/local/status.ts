import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Where the parts of a running stack are, with `supabase status`'s names where it has one. */
export interface StackStatus {
  API_URL: string;
  FUNCTIONS_URL: string;
  DB_URL: string;
  STUDIO_URL: string;
  STRIPE_API_URL: string;
  PUBLISHABLE_KEY: string;
  SECRET_KEY: string;
  STRIPE_WEBHOOK_SECRET: string;
  /** The inbox that shows every mail; absent while the stack has none. */
  INBOX_URL?: string;
  /** The process that runs the stack. */
  OWNER_PID: number;
}

const fileIn = (directory: string): string => join(directory, "status.json");

/** Writes status.json so that a reader finds either the old or the new one, never half of one. */
export async function writeStatus(directory: string, status: StackStatus): Promise<void> {
  const fresh = `${fileIn(directory)}.${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(status, null, 2)}\n`);
  await rename(fresh, fileIn(directory));
}

/** What the stack kept in `directory` last said of itself; undefined when none has been started or it was stopped. */
export async function readStatus(directory: string): Promise<StackStatus | undefined> {
  try {
    return JSON.parse(await readFile(fileIn(directory), "utf8")) as StackStatus;
  } catch {
    return undefined;
  }
}

/** Removes status.json. */
export async function removeStatus(directory: string): Promise<void> {
  await rm(fileIn(directory), { force: true });
}
