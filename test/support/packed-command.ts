import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { StackIsRunning, takeOwnership } from "../../scripts/local/owner.ts";
import { defaultStackDirectory, projectRoot } from "../../scripts/local/project.ts";
import { eventually } from "./stack-project.ts";

/** The longest that others are waited for; each takes 5 to 20 s. */
const PACKING_MS = 120_000;

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
  const archive = await pack(folder);
  await writeFile(join(folder, "package.json"), '{ "name": "any-folder", "private": true }\n');
  const install = ["install", "--offline", "--no-audit", "--no-fund", `./${archive}`];
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

/**
 * `npm pack`, with what it runs before: it builds dist/ anew, so tests in other workers that pack wait for their turn.
 *
 * @param folder where the archive is put
 * @param workspace the one that is packed; the whole project where absent
 * @returns the archive's name
 */
export async function pack(folder: string, workspace?: string): Promise<string> {
  const which = workspace === undefined ? [] : ["--workspace", workspace];
  const args = ["pack", "--json", "--pack-destination", folder, ...which];
  const giveUp = await becomeOnlyPacker();
  const packed = await end("npm", args, { cwd: projectRoot }).finally(giveUp);
  if (packed.code !== 0) throw new Error(`npm pack failed:\n${packed.err}`);
  const [archive] = JSON.parse(packed.out.slice(packed.out.indexOf("[\n"))) as { filename: string }[];
  if (!archive) throw new Error("npm pack made no archive");
  return archive.filename;
}

/** Waits until nobody else packs, in this process or another; what it returns lets the next one begin. */
function becomeOnlyPacker(): Promise<() => void> {
  const directory = join(defaultStackDirectory, "packer");
  return eventually(
    "nobody else packs",
    () => {
      try {
        return takeOwnership(directory);
      } catch (error) {
        // Its word for any owner that lives.
        if (error instanceof StackIsRunning) return undefined;
        throw error;
      }
    },
    PACKING_MS,
  );
}

/**
 * Runs a program to its end, in an environment that holds next to nothing.
 *
 * @param limit milliseconds after which it is ended: five minutes where absent
 */
export function end(
  program: string,
  args: string[],
  { cwd, env = {}, limit = 300_000 }: { cwd: string; env?: Record<string, string>; limit?: number },
): Promise<Ended> {
  return new Promise((resolve) => {
    const environment = { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: "1", ...env };
    const child = execFile(
      program,
      args,
      { cwd, env: environment, maxBuffer: 64 << 20, timeout: limit },
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
