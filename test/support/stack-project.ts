import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A project folder of a test's own: supabase/ with what the test puts there, and room for a stack. */
export interface StackProject {
  directory: string;
  /** Where the test keeps its stack. */
  stackDirectory: string;
  /** Writes a file below the project, making folders as needed. */
  write(path: string, text: string): Promise<void>;
  remove(): Promise<void>;
}

/** Makes one from the given files. World-readable, since root lends the database server to another user. */
export async function makeStackProject(files: Record<string, string>): Promise<StackProject> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-stack-"));
  await chmod(directory, 0o755);
  const project: StackProject = {
    directory,
    stackDirectory: join(directory, ".stack"),
    async write(path, text) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), text);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
  for (const [path, text] of Object.entries(files)) await project.write(path, text);
  return project;
}

/**
 * Asks again and again until the answer is not undefined or false, and gives it back.
 *
 * @throws Error naming what was waited for, after `timeout` milliseconds
 */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeout = 15_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${timeout} ms: ${what}`);
    await delay(30);
  }
}

/** Whether anything listens on a port of 127.0.0.1. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
