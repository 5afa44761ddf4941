import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Whether a process of this id runs, under any account. A process that has ended and waits for its parent to collect its status does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  try {
    // Linux only; elsewhere the signal's answer has to do.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT" || !existsSync("/proc/self/stat");
  }
}

function ps(pid: number, column: string): string | undefined {
  try {
    return execFileSync("ps", ["-ww", "-o", `${column}=`, "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

/** The process that began another one, as far as it is known. */
export function parentOf(pid: number): number | undefined {
  const parent = ps(pid, "ppid");
  return parent === undefined ? undefined : Number(parent);
}

/** The command line of a process, or undefined when there is none of that id. */
export function commandOf(pid: number): string | undefined {
  return ps(pid, "command");
}

/**
 * When a process was started, as text: together with its id it names one process for good, where an id alone
 * may have been given to another since.
 */
export function startOf(pid: number): string | undefined {
  return ps(pid, "lstart");
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Waits until the process is gone; false when it still is there after `timeout` milliseconds. */
export async function waitUntilGone(pid: number, timeout: number): Promise<boolean> {
  const deadline = Date.now() + timeout;
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await delay(25);
  }
  return true;
}

/** Ends a process with `politely`, and with SIGKILL when that has not helped within `timeout` milliseconds. */
export async function endProcess(pid: number, politely: NodeJS.Signals, timeout = 10_000): Promise<void> {
  signal(pid, politely);
  if (await waitUntilGone(pid, timeout)) return;
  signal(pid, "SIGKILL");
  await waitUntilGone(pid, 5_000);
}
