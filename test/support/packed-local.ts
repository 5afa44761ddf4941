import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../../scripts/local/project.ts";
import { startInstalledRegistry } from "./installed-registry.ts";
import { type Ended, end, pack } from "./packed-command.ts";
import { eventually } from "./stack-project.ts";

/** A server that was started by its command. */
export interface RunningCommand {
  /** What it printed first. */
  said: string;
  /** The address in it. */
  url: string;
  /** Sends a signal, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** A package of the local stack as somebody has it who got the archive alone, in a folder that knows no other. */
export interface PackedLocal {
  folder: string;
  /** The command, to its end. */
  run(...args: string[]): Promise<Ended>;
  /** The command, until it is stopped. */
  start(...args: string[]): Promise<RunningCommand>;
  /** The same by npx; what is stopped is npx. */
  startByNpx(...args: string[]): Promise<RunningCommand>;
  /** What the compiler has to say of a file in the folder; nothing where all is well. */
  compile(file: string): Promise<string>;
  /** Runs a module of the folder. */
  runModule(file: string): Promise<Ended>;
  /** Compiles and runs the example of its README; what it printed, and what it says there that it prints. */
  runExample(): Promise<{ printed: string[]; told: string[] }>;
  /** The options of its command, as its README and its help tell them. */
  options(): Promise<{ told: string[]; helped: string[] }>;
  remove(): Promise<void>;
}

/** Packs one, and installs it with what it depends on, without the network. */
export async function packLocal(which: "stripe" | "inbox"): Promise<PackedLocal> {
  const folder = await mkdtemp(join(tmpdir(), `duebase-local-${which}-`));
  try {
    const archive = await pack(folder, `scripts/local/${which}`);
    await writeFile(join(folder, "package.json"), '{ "name": "any", "private": true, "type": "module" }\n');
    await install(folder, archive);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const bin = join(folder, "node_modules", ".bin", `duebase-local-${which}`);
  const running = new Set<ChildProcess>();
  const start = async (program: string, args: string[]): Promise<RunningCommand> => {
    const child = spawn(program, args, { cwd: folder, env: { PATH: process.env.PATH, HOME: folder } });
    running.add(child);
    const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
      child.once("exit", (code, signal) => {
        running.delete(child);
        resolve(signal ?? code);
      }),
    );
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        said += chunk;
      });
    const url = await eventually(`${program} says where it is`, () => {
      if (!running.has(child)) throw new Error(`it ended:\n${said}`);
      return / on (http:\S+) [\s\S]*\n$/.exec(said)?.[1];
    });
    return {
      said,
      url,
      stop(signal = "SIGTERM") {
        child.kill(signal);
        return ended;
      },
    };
  };
  const readme = (): Promise<string> =>
    readFile(join(folder, "node_modules", `duebase-local-${which}`, "README.md"), "utf8");
  const packed: PackedLocal = {
    folder,
    // One that goes on where it should have ended is ended before the test is given up.
    run: (...args) => end(bin, args, { cwd: folder, limit: 20_000 }),
    start: (...args) => start(bin, args),
    startByNpx: (...args) => start("npx", ["--offline", `duebase-local-${which}`, ...args]),
    async compile(file) {
      const strict = [
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--types",
        "node",
      ];
      const tsc = join(projectRoot, "node_modules", ".bin", "tsc");
      const { out, err } = await end(tsc, [...strict, file], { cwd: folder });
      return out + err;
    },
    runModule: (file) => end(process.execPath, [file], { cwd: folder }),
    async runExample() {
      const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(await readme()) ?? [];
      await writeFile(join(folder, "example.ts"), example);
      await writeFile(join(folder, "example.js"), example);
      const problems = await packed.compile("example.ts");
      if (problems !== "") throw new Error(problems);
      const { out, err } = await packed.runModule("example.js");
      if (err !== "") throw new Error(err);
      const told = [...example.matchAll(/^console\.log.*; \/\/ (.*)$/gm)].map(([, text]) => String(text));
      return { printed: out.trim().split("\n"), told };
    },
    async options() {
      const { out } = await packed.run("--help");
      const rows = (await readme()).split("\n").filter((line) => line.startsWith("| `--"));
      const named = (text: string): string[] => (text.match(/--[a-z-]+/g) ?? []).sort();
      const lines = out.split("\n").filter((line) => /^ +(-h, )?--/.test(line));
      return {
        told: named(rows.map((row) => row.split("|")[1]).join()),
        helped: named(lines.map((line) => line.trim().split("  ")[0]).join()),
      };
    },
    async remove() {
      for (const child of running) child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
  return packed;
}

async function install(folder: string, archive: string): Promise<void> {
  const registry = await startInstalledRegistry();
  try {
    const from = ["--registry", registry.url, "--cache", join(folder, ".npm"), "--ignore-scripts"];
    // Stripe's types ask for those of Node, Resend's for those of React.
    const packages = [`./${archive}`, "@types/node", "@types/react"];
    const args = ["install", "--no-audit", "--no-fund", ...from, ...packages];
    const installed = await end("npm", args, { cwd: folder });
    if (installed.code !== 0) throw new Error(`npm install failed:\n${installed.err}`);
  } finally {
    await registry.close();
  }
}
