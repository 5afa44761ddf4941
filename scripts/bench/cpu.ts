import { existsSync, readFileSync } from "node:fs";

/** Whether the machine tells how long a process was on the CPU: Linux does. */
export const canMeasureCpu = existsSync("/proc/self/schedstat");

/** Milliseconds that a process of this machine was on the CPU so far. Throws where the machine does not tell. */
export function cpuMilliseconds(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
}
