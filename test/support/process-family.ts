import { execFileSync } from "node:child_process";

/** The ids of a process and of all that came of it. */
export function familyOf(pid: number): number[] {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const members = [pid];
  for (const member of members)
    for (const [child, parent] of rows) if (parent === member && child) members.push(child);
  return members;
}
