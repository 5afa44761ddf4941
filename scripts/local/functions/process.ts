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
import { RequestsInFlight } from "./requests-in-flight.ts";

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
const stableAfterMs = 10_000;
/** How long a process whose source has changed may take to answer what it was asked before: longer than any run. */
const longestDrain = 60_000;

/** One Deno process that runs a function. */
interface Running {
  child: ChildProcess;
  /** Once it serves. */
  port: number | undefined;
  requests: RequestsInFlight;
  /** Lets the next process be started while this one answers what it was asked before. */
  retire: () => void;
}

/** One edge function: its Deno process, kept running. */
export class FunctionProcess {
  source: FunctionSource;
  readonly #runtime: FunctionRuntime;
  readonly #log: LineLog;
  /** The one that requests go to. */
  #running: Running | undefined;
  /** That one, and those that answer their last requests. */
  readonly #alive = new Set<Running>();
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
    return this.#running?.child.pid;
  }

  /** Starts it, and starts it again whenever it ends, until `stop`. */
  start(): void {
    this.#stopped = false;
    void this.#run();
  }

  /** The port it serves on, waiting until it does; undefined when it does not within `timeout` milliseconds. */
  async port(timeout: number): Promise<number | undefined> {
    return (await this.#serving(timeout))?.port;
  }

  /**
   * The same for one request: a process that is to run new source is not ended before the request has left, or a
   * minute is over. `leave` has to be called when it is answered or given up.
   */
  async enter(timeout: number): Promise<{ port: number; leave: () => void } | undefined> {
    const serving = await this.#serving(timeout);
    return serving && { port: serving.port, leave: serving.requests.enter() };
  }

  /** Ends the process as a crash would; it is started again. Resolves once the process is gone. */
  async kill(): Promise<void> {
    // Ending it again and again does not lengthen the wait each time.
    this.#failures = 0;
    if (this.#running) await killed(this.#running.child);
  }

  /** Starts it anew with the source as it is now. The process there is answers what it was asked before, and ends. */
  async restart(source: FunctionSource): Promise<void> {
    this.source = source;
    this.#failures = 0;
    const former = this.#running;
    if (!former) return this.#wake();
    this.#running = undefined;
    former.retire();
    await former.requests.drained(longestDrain);
    await ended(former.child);
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#running = undefined;
    this.#wake();
    await Promise.all(
      [...this.#alive].map(({ child, requests }) => {
        requests.giveUp();
        return ended(child);
      }),
    );
  }

  async #serving(timeout: number): Promise<(Running & { port: number }) | undefined> {
    const deadline = Date.now() + timeout;
    while (!this.#stopped) {
      const running = this.#running;
      if (running && serves(running)) return running;
      const left = deadline - Date.now();
      if (left <= 0) return undefined;
      await Promise.race([delay(left, undefined, { ref: false }), this.#nextChange()]);
    }
    return undefined;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startedAt = Date.now();
      const outcome = await this.#runOnce();
      if (this.#stopped) return;
      this.#failures = Date.now() - startedAt > stableAfterMs ? 0 : this.#failures + 1;
      if (outcome === "retired") continue;
      const wait = Math.min(firstBackoff * 2 ** (this.#failures - 1), longestBackoff);
      this.#log.write(`ended (${outcome}); starting again in ${wait} ms`);
      await Promise.race([delay(wait, undefined, { ref: false }), this.#nextChange()]);
    }
  }

  /** Runs a process to its end, or until it is retired, and says how it ended. */
  async #runOnce(): Promise<string> {
    const port = await getPort({ host: "127.0.0.1" });
    if (this.#stopped) return "stopped";
    const { projectDirectory, denoDirectory, env } = this.#runtime;
    const child = spawn(denoExecutable(), denoArguments(this.source, this.#runtime), {
      cwd: projectDirectory,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...downloadSettings(process.env),
        ...env,
        DENO_DIR: denoDirectory,
        DENO_NO_UPDATE_CHECK: "1",
        // Deno.serve takes its address from here, so a function says no port of its own, as on the platform.
        DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
        NO_COLOR: "1",
        PATH: process.env.PATH ?? "",
      },
    });
    const running: Running = { child, port: undefined, requests: new RequestsInFlight(), retire: () => {} };
    const retired = new Promise<string>((resolve) => {
      running.retire = () => resolve("retired");
    });
    this.#running = running;
    this.#alive.add(running);
    const { pid } = child;
    if (pid) keeper().keep(pid, "KILL");
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (line && !line.startsWith("Listening on http://")) this.#log.write(line);
      });
    }
    const end = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    }).finally(() => {
      this.#alive.delete(running);
      if (this.#running === running) this.#running = undefined;
      if (pid) keeper().release(pid);
    });
    void this.#announce(running, port);
    return await Promise.race([end, retired]);
  }

  async #announce(running: Running, port: number): Promise<void> {
    while (this.#alive.has(running) && !this.#stopped) {
      if (await accepts(port)) {
        running.port = port;
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

function serves(running: Running): running is Running & { port: number } {
  return running.port !== undefined;
}

/** Asks a process to end, and ends it if it does not. Resolves once it is gone. */
async function ended(child: ChildProcess): Promise<void> {
  if (!child.pid) return;
  child.kill("SIGTERM");
  if (!(await waitUntilGone(child.pid, 2_000))) await killed(child);
}

async function killed(child: ChildProcess): Promise<void> {
  if (!child.pid) return;
  child.kill("SIGKILL");
  await waitUntilGone(child.pid, 5_000);
}

/** What Deno goes by where it downloads packages: this machine's registry, certificates and proxy. */
const DOWNLOAD_SETTINGS =
  /^(NPM_CONFIG_REGISTRY|HTTPS?_PROXY|NO_PROXY|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|DENO_(CERT|TLS_CA_STORE|AUTH_TOKENS))$/;

function downloadSettings(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = Object.entries(env).flatMap(([name, value]): [string, string][] => {
    const known = name.toUpperCase();
    return value && DOWNLOAD_SETTINGS.test(known) ? [[known, value]] : [];
  });
  const settings = Object.fromEntries(kept);
  const hasProxy = settings.HTTP_PROXY !== undefined || settings.HTTPS_PROXY !== undefined;
  // The parts of the stack are reached directly.
  return hasProxy
    ? { ...settings, NO_PROXY: [settings.NO_PROXY, "127.0.0.1", "localhost"].filter(Boolean).join(",") }
    : settings;
}

/**
 * A function may reach the network, its environment, the project's files and its packages, and nothing else of this machine.
 * As on the platform, packages are what the function imports itself (`npm:`, `jsr:`, deno.json), whatever node_modules
 * holds: Deno downloads them once, into the stack's own cache. Ours import none.
 */
function denoArguments(
  { entrypoint, config }: FunctionSource,
  { projectDirectory, denoDirectory }: FunctionRuntime,
): string[] {
  return [
    "run",
    "--no-prompt",
    "--no-lock",
    "--no-check",
    "--node-modules-dir=none",
    "--allow-net",
    "--allow-env",
    "--allow-sys",
    `--allow-read=${projectDirectory},${denoDirectory}`,
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
