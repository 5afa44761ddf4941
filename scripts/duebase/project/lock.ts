import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Refusal } from "../terminal.ts";
import type { Project } from "./project.ts";

/** Where the lock file is, from the project's root. */
export const LOCK_FILE = "supabase/duebase.lock.json";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const path = z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))[^\\]+$/, "a path inside the project");

const lockSchema = z.object({
  /** The release that is installed, such as 0.1.0. */
  release: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/),
  /** Our migrations in the team's folder, by file name, oldest first. They are part of its history. */
  migrations: z.array(z.string().regex(/^\d{14}_\w+\.sql$/)),
  /** Every file of ours, from the project's root with forward slashes, and its SHA-256 as it was put there. */
  files: z.record(path, sha256),
  /** Whether the sources of the emails were put in as well. */
  emails: z.boolean(),
  /** What was added to supabase/config.toml, so that exactly that can be taken away. */
  config: z.object({
    sections: z.array(z.string()),
    schemas: z.array(z.string()),
    /** Whether config.toml named exposed schemas before. */
    hadSchemas: z.boolean(),
    /** Whether it had a table [api] before, be it empty. */
    hadApi: z.boolean(),
  }),
});

/** What `init` and `upgrade` put into a project. */
export type Lock = z.infer<typeof lockSchema>;

/** The SHA-256 of a file's content, in hexadecimal. */
export function hashOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/**
 * Reads the lock file.
 *
 * @returns undefined where there is none
 * @throws Refusal where it cannot be read
 */
export function readLock(project: Project): Lock | undefined {
  let text: string;
  try {
    text = readFileSync(join(project.root, LOCK_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new Refusal(
      `${LOCK_FILE} cannot be read: ${error instanceof Error ? error.message.split("\n")[0] : error}`,
      "Bring back the file that was committed, for example with: git checkout -- supabase/duebase.lock.json",
      { cause: error },
    );
  }
}

/** The lock file as it is written: sorted, so that a change shows as few lines. */
export function lockText(lock: Lock): string {
  const files = Object.fromEntries(Object.entries(lock.files).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ ...lock, files }, null, 2)}\n`;
}

/**
 * The lock file of a project that has Duebase.
 *
 * @throws Refusal where it has not
 */
export function requireLock(project: Project): Lock {
  const lock = readLock(project);
  if (lock) return lock;
  throw new Refusal(
    `Duebase is not in ${project.root}: there is no ${LOCK_FILE}.`,
    "Put it in with: npx duebase init",
  );
}
