import { execFile } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { projectRoot } from "../../scripts/local/project.ts";

/** How a command ended: its exit code, and what it wrote, without colours. */
export interface Ended {
  code: number;
  output: string;
  problem: string;
}

/**
 * `npx duebase …` of this work tree, in a process of its own, whose environment names no project.
 *
 * @param until ends it (SIGTERM) once it has said that
 */
export function runDuebase(args: string[], until?: RegExp): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--import", "tsx", join("scripts", "duebase.ts"), ...args],
      { cwd: projectRoot, env: { PATH: process.env.PATH } },
      (error, stdout, stderr) =>
        resolve({
          code: error ? Number(error.code) : 0,
          output: stripVTControlCharacters(stdout),
          problem: stripVTControlCharacters(stderr),
        }),
    );
    let said = "";
    child.stdout?.on("data", (chunk) => {
      said += chunk;
      if (until?.test(said)) child.kill("SIGTERM");
    });
  });
}
