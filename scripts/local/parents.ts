import { isAlive, parentOf } from "./processes.ts";

/** How often it is looked whether they are there, in milliseconds. */
const LOOK_EVERY_MS = 500;

/** npm, and the shell between it and us. */
const PARENTS = 2;

/**
 * Calls `then` once npm is gone that began this process, or the shell that npm started for it: neither passes every way
 * of ending on. Does nothing where it was not npm that began it.
 *
 * @returns what ends the watch
 */
export function whenNpmEnds(then: () => void): () => void {
  if (process.env.npm_lifecycle_event === undefined) return () => {};
  const parents = parentsOf(PARENTS);
  const timer = setInterval(() => {
    if (process.ppid === parents[0] && parents.every((pid) => isAlive(pid))) return;
    clearInterval(timer);
    then();
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** The parent, its parent, and so on, as far as they are known; never the first process of the machine. */
function parentsOf(count: number): number[] {
  const found = [process.ppid];
  while (found.length < count) {
    const parent = parentOf(found.at(-1) ?? 0);
    if (parent === undefined || parent <= 1) break;
    found.push(parent);
  }
  return found;
}
