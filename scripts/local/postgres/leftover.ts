import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { commandOf, endProcess } from "../processes.ts";

/**
 * A stack that was killed may have left its database server running, or just the file that says so. The server is
 * ended; a file naming a process that is another program by now is removed, or the next server would refuse to start.
 */
export async function endLeftoverServer(dataDirectory: string): Promise<void> {
  const file = join(dataDirectory, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number((await readFile(file, "utf8")).split("\n")[0]);
  if (pid > 0 && commandOf(pid)?.includes(dataDirectory)) await endProcess(pid, "SIGINT", 15_000);
  await rm(file, { force: true });
}
