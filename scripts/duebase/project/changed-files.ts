import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EMAIL_MODULE } from "../../emails/build.ts";
import { hashOf, type Lock } from "./lock.ts";
import type { Project } from "./project.ts";

/** The hash of a file as it is now; undefined where it is not there. */
export function currentHash(project: Project, path: string): string | undefined {
  try {
    return hashOf(readFileSync(join(project.root, path)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether a file is the team's to change: the sources of the emails, and what is built of them. */
export function isTheirsToChange(lock: Lock, path: string): boolean {
  return lock.emails && (path.startsWith("emails/") || path.startsWith(EMAIL_MODULE.replace(/js$/, "")));
}

/** The files of ours that are no longer as they were put there, or are gone; those that may be changed do not count. */
export function changedFiles(project: Project, lock: Lock): string[] {
  return Object.entries(lock.files)
    .filter(([path, hash]) => !isTheirsToChange(lock, path) && currentHash(project, path) !== hash)
    .map(([path]) => path)
    .sort();
}
