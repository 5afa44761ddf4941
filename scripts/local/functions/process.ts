import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import getPort from "get-port";
import { keeper } from "../keeper.ts";
import type { LineLog } from "../log.ts";
import { waitUntilGone } from "../processes.ts";
import { denoExecutable } from "./deno.ts";
import type { FunctionSource } from "./project.ts";

/** What every function process of a stack is started with. */
export interface FunctionRuntime {
  projectDirectory: string;
  /** Deno's cache. */
  denoDirectory: string;
  env: Record<string, string>;
}

const firstBackoff = 100;
const longestBackoff = 5_000;
/** A process that has served this long has started well: its next death is a new matter. */
const settled = 10_000;

/** One edge function: its Deno process, kept running. */
export class FunctionProcess {
  source: FunctionSource;
  readonly #runtime: FunctionRuntime;
  readonly #log: LineLog;
  #child: ChildProcess | undefined;
  #address: { port: number } | undefined;
  #stopped = false;
  #failures = 0;
  #waiting = new Set<() => void>();

  constructor(source: FunctionSource, runtime: FunctionRuntime, log: LineLog) {
    this.source = source;
    this.#runtime = runtime;
    this.#log = log;
  }

  /** The process id, while there is a process. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it, and starts it again whenever it ends, until `stop`. */
  start(): void {
    this.#stopped = false;
    void this.#run();
  }

  /** The port it serves on, waiting until it does; undefined when it does not within `timeout` milliseconds. */
  async port(timeout: number): Promise<number | undefined> {
    const deadline = Date.now() + timeout;
    while (!this.#address && !this.#stopped) {
      const left = deadline - Date.now();
      if (left <= 0) return undefined;
      await Promise.race([delay(left, undefined, { ref: false }), this.#nextChange()]);
    }
    return this.#address?.port;
  }

  /** Ends the process as a crash would; it is started again. Resolves once the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child?.pid) return;
    // Whoever ends it again and again is not made to wait longer each time.
    this.#failures = 0;
    child.kill("SIGKILL");
    await waitUntilGone(child.pid, 5_000);
  }

  /** Starts it anew with the source as it is now. */
  async restart(source: FunctionSource): Promise<void> {
    this.source = source;
    this.#failures = 0;
    if (this.#child) await this.#end();
    else this.#wake();
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#end();
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (!child?.pid) return;
    this.#address = undefined;
    child.kill("SIGTERM");
    if (!(await waitUntilGone(child.pid, 2_000))) await this.kill();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startedAt = Date.now();
      const outcome = await this.#runOnce();
      if (this.#stopped) return;
      this.#failures = Date.now() - startedAt > settled ? 0 : this.#failures + 1;
      // Ended by us to load new source, not by a fault of its own.
      if (outcome === "SIGTERM") continue;
      const wait = Math.min(firstBackoff * 2 ** (this.#failures - 1), longestBackoff);
      this.#log.write(`ended (${outcome}); starting again in ${wait} ms`);
      await Promise.race([delay(wait, undefined, { ref: false }), this.#nextChange()]);
    }
  }

  /** Runs the process to its end and says how it ended. */
  async #runOnce(): Promise<string> {
    const port = await getPort({ host: "127.0.0.1" });
    const { projectDirectory, denoDirectory, env } = this.#runtime;
    const child = spawn(denoExecutable(), denoArguments(this.source, projectDirectory), {
      cwd: projectDirectory,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...env,
        DENO_DIR: denoDirectory,
        DENO_NO_UPDATE_CHECK: "1",
        // Deno.serve takes its address from here, so a function says no port of its own, as on the platform.
        DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
        NO_COLOR: "1",
        PATH: process.env.PATH ?? "",
      },
    });
    this.#child = child;
    const { pid } = child;
    if (pid) keeper().keep(pid, "KILL");
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (line && !line.startsWith("Listening on http://")) this.#log.write(line);
      });
    }
    const ended = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.#announce(child, port);
    const outcome = await ended;
    this.#child = undefined;
    this.#address = undefined;
    if (pid) keeper().release(pid);
    return outcome;
  }

  async #announce(child: ChildProcess, port: number): Promise<void> {
    while (child.exitCode === null && child.signalCode === null && !this.#stopped) {
      if (await accepts(port)) {
        if (this.#child === child) this.#address = { port };
        this.#wake();
        return;
      }
      await delay(20);
    }
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/**
 * A function may reach the network, its environment and the project's files, and nothing else of this machine.
 * `npm:` specifiers resolve to node_modules, which `npm ci` filled: nothing is downloaded.
 */
function denoArguments({ entrypoint, config }: FunctionSource, projectDirectory: string): string[] {
  return [
    "run",
    "--no-prompt",
    "--no-lock",
    "--no-check",
    "--node-modules-dir=manual",
    "--allow-net",
    "--allow-env",
    "--allow-sys",
    `--allow-read=${projectDirectory}`,
    ...(config ? [`--config=${config}`] : []),
    entrypoint,
  ];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}
