import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { projectRoot } from "../../scripts/local/project.ts";

/** How a command ended. */
export interface Ended {
  code: number;
  out: string;
  err: string;
}

/** The command as a team has it: from the package that `npm pack` makes, installed in another folder. */
export interface PackedCommand {
  /** Where the package is installed: `<folder>/node_modules/duebase`. */
  folder: string;
  /** `npx duebase …` there, with the given current folder and environment. */
  run(args: string[], options: { cwd: string; env?: Record<string, string> }): Promise<Ended>;
  remove(): Promise<void>;
}

/** Packs and installs it, without the network: about 10 s. */
export async function packCommand(): Promise<PackedCommand> {
  const folder = await mkdtemp(join(tmpdir(), "duebase-packed-"));
  const packed = await end("npm", ["pack", "--json", "--pack-destination", folder], { cwd: projectRoot });
  if (packed.code !== 0) throw new Error(`npm pack failed:\n${packed.err}`);
  const [archive] = JSON.parse(packed.out.slice(packed.out.indexOf("["))) as { filename: string }[];
  await writeFile(join(folder, "package.json"), '{ "name": "any-folder", "private": true }\n');
  const install = ["install", "--offline", "--no-audit", "--no-fund", `./${archive?.filename}`];
  const installed = await end("npm", install, { cwd: folder });
  if (installed.code !== 0) throw new Error(`npm install failed:\n${installed.err}`);
  return {
    folder,
    run: (args, { cwd, env = {} }) =>
      end(process.execPath, [join(folder, "node_modules", "duebase", "dist", "duebase.js"), ...args], {
        cwd,
        env,
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function end(
  program: string,
  args: string[],
  { cwd, env = {} }: { cwd: string; env?: Record<string, string> },
): Promise<Ended> {
  return new Promise((resolve) => {
    const environment = { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: "1", ...env };
    const child = execFile(
      program,
      args,
      { cwd, env: environment, maxBuffer: 64 << 20, timeout: 300_000 },
      (error, stdout, stderr) =>
        resolve({
          code: error ? Number(error.code ?? -1) : 0,
          out: stripVTControlCharacters(stdout),
          err: stripVTControlCharacters(stderr),
        }),
    );
    child.stdin?.end();
  });
}
