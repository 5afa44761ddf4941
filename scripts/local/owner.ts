import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, startOf } from "./processes.ts";

/** A process, named so that no later one of the same id is taken for it. */
interface Owner {
  pid: number;
  start: string;
}

const fileIn = (directory: string): string => join(directory, "owner.json");

/** Another stack runs in this directory. */
export class StackIsRunning extends Error {
  readonly pid: number;

  constructor(directory: string, pid: number) {
    super(`a stack is running in ${directory} already (process ${pid}); npm run stack -- stop ends it`);
    this.name = "StackIsRunning";
    this.pid = pid;
  }
}

/** The process that runs a stack in `directory`; undefined when none does, whatever files it may have left. */
export function ownerOf(directory: string): number | undefined {
  try {
    const { pid, start } = JSON.parse(readFileSync(fileIn(directory), "utf8")) as Owner;
    return isAlive(pid) && startOf(pid) === start ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes this process the owner of the stack in `directory`.
 *
 * @returns gives it up again
 * @throws StackIsRunning
 */
export function takeOwnership(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  const mine: Owner = { pid: process.pid, start: startOf(process.pid) ?? "" };
  for (;;) {
    try {
      writeFileSync(fileIn(directory), JSON.stringify(mine), { flag: "wx" });
      return () => rmSync(fileIn(directory), { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const owner = ownerOf(directory);
      if (owner !== undefined) throw new StackIsRunning(directory, owner);
      rmSync(fileIn(directory), { force: true });
    }
  }
}
