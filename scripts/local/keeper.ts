import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const script = join(dirname(fileURLToPath(import.meta.url)), "keeper.sh");

/**
 * Makes sure that nothing this process starts outlives it, even when it is killed with SIGKILL: a small shell
 * process waits for our end of a pipe to close and then ends every process it was told to keep.
 */
export class Keeper {
  readonly #shell: ChildProcess;

  constructor() {
    this.#shell = spawn("/bin/sh", [script], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.#shell.stdin?.on("error", () => {});
    this.#shell.unref();
    (this.#shell.stdin as unknown as { unref?: () => void })?.unref?.();
  }

  /** From now on `pid` is sent `signal` when this process ends, then SIGKILL if it lingers. */
  keep(pid: number, signal: "INT" | "TERM" | "KILL"): void {
    this.#shell.stdin?.write(`keep ${pid} ${signal}\n`);
  }

  /** Call when `pid` has ended by other means. */
  release(pid: number): void {
    this.#shell.stdin?.write(`release ${pid}\n`);
  }

  /** Ends whatever is still kept, and the keeper itself. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return resolve();
      this.#shell.ref();
      this.#shell.once("exit", () => resolve());
      this.#shell.stdin?.end();
    });
  }
}

let shared: Keeper | undefined;

/** The keeper of this process, started with its first use. */
export function keeper(): Keeper {
  shared ??= new Keeper();
  return shared;
}
