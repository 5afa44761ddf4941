import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import getPort from "get-port";
import { keeper } from "../keeper.ts";
import { endProcess } from "../processes.ts";
import { runProgram } from "../program.ts";
import type { Account } from "./account.ts";
import { endLeftoverServer } from "./leftover.ts";
import type { Runtime } from "./runtime.ts";

/** What a cluster is started with. */
export interface ClusterOptions {
  runtime: Runtime;
  account: Account | undefined;
  /** Holds the data directory and, for a moment, the superuser's password file. */
  directory: string;
  logFile: string;
  /** Taken if free; otherwise, or when absent, a free one is chosen. */
  port?: number;
  /** initdb's arguments for the locale; they differ between major versions. */
  locale: string[];
  settings: Record<string, string>;
  /** Called when the server ends without having been asked to. */
  onEnd?: () => void;
}

const superuser = "supabase_admin";
const password = "postgres";

/** One PostgreSQL server process over one data directory, on 127.0.0.1 only. */
export class Cluster {
  readonly #options: ClusterOptions;
  #server: ChildProcess | undefined;
  #port: number | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  get dataDirectory(): string {
    return join(this.#options.directory, "data");
  }

  get port(): number {
    if (this.#port === undefined) throw new Error("the database server has not been started yet");
    return this.#port;
  }

  /** The postmaster's process id, while it runs. */
  get pid(): number | undefined {
    return this.#server?.pid;
  }

  /** A connection string for a role; `supabase_admin` is the superuser. */
  urlFor(role: string, database = "postgres"): string {
    return `postgresql://${role}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Makes the data directory if there is none, and starts the server; a crashed one's remains are cleared. */
  async start(): Promise<void> {
    if (!existsSync(join(this.dataDirectory, "PG_VERSION"))) await this.#initialise();
    await endLeftoverServer(this.dataDirectory);
    for (let attempt = 1; ; attempt++) {
      const port = this.#port ?? (await getPort({ port: this.#options.port, host: "127.0.0.1" }));
      try {
        await this.#launch(port);
        this.#port = port;
        return;
      } catch (error) {
        // Another process may take the port between our look and the server's.
        const taken = error instanceof ServerDidNotStart && /address already in use/i.test(error.log);
        if (!taken || attempt === 5) throw error;
        this.#port = undefined;
      }
    }
  }

  /** Ends sessions, writes a checkpoint and stops. */
  stop(): Promise<void> {
    return this.#end("SIGINT");
  }

  /** Stops without a checkpoint, as in a crash: the next start recovers from the write-ahead log. */
  stopImmediate(): Promise<void> {
    return this.#end("SIGQUIT");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    if (!server?.pid) return;
    this.#server = undefined;
    if (server.exitCode === null && server.signalCode === null) await endProcess(server.pid, signal, 20_000);
    keeper().release(server.pid);
  }

  async #initialise(): Promise<void> {
    const { directory, runtime, account, locale } = this.#options;
    // Made beside its final place and moved there when whole, so that an interrupted start leaves no half of one.
    const fresh = join(directory, "data.new");
    const passwordFile = join(directory, "password");
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { recursive: true, mode: 0o700 });
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (account) {
      await chown(fresh, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    const { code, output } = await runProgram(
      runtime.initdb,
      [
        `--pgdata=${fresh}`,
        `--username=${superuser}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        "--no-instructions",
        ...locale,
      ],
      { uid: account?.uid, gid: account?.gid, cwd: directory },
    );
    await rm(passwordFile, { force: true });
    if (code !== 0) throw new Error(`initdb failed (exit code ${code}):\n${output}`);
    await rename(fresh, this.dataDirectory);
  }

  async #launch(port: number): Promise<void> {
    const { runtime, account, settings, logFile, directory } = this.#options;
    const log = await open(logFile, "a");
    const logStart = (await log.stat()).size;
    const flags = Object.entries({
      port: String(port),
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      timezone: "UTC",
      log_timezone: "UTC",
      wal_level: "logical",
      ...settings,
    }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const server = spawn(runtime.postgres, ["-D", this.dataDirectory, ...flags], {
      uid: account?.uid,
      gid: account?.gid,
      cwd: directory,
      // A session of its own: Ctrl-C is for the stack, which then stops the server in its turn.
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    const exited = once(server, "exit").catch(() => []);
    if (server.pid) keeper().keep(server.pid, "INT");
    await log.close();
    const deadline = Date.now() + 60_000;
    while (server.exitCode === null && server.signalCode === null && server.pid !== undefined) {
      if (await this.#isReady(server.pid)) {
        this.#server = server;
        server.once("exit", () => this.#noteEnd(server));
        return;
      }
      if (Date.now() > deadline) server.kill("SIGKILL");
      await Promise.race([delay(20), exited]);
    }
    if (server.pid) keeper().release(server.pid);
    throw new ServerDidNotStart((await readFile(logFile)).subarray(logStart).toString());
  }

  #noteEnd(server: ChildProcess): void {
    if (this.#server !== server) return;
    this.#server = undefined;
    if (server.pid) keeper().release(server.pid);
    this.#options.onEnd?.();
  }

  /** The server says so itself in its pid file, whose eighth line turns to `ready`. */
  async #isReady(pid: number): Promise<boolean> {
    const lines = await readFile(join(this.dataDirectory, "postmaster.pid"), "utf8").then(
      (text) => text.split("\n"),
      () => [],
    );
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
  }
}

/** The server ended before it was ready; `log` is what it wrote. */
export class ServerDidNotStart extends Error {
  readonly log: string;

  constructor(log: string) {
    super(`the database server did not start:\n${log}`);
    this.name = "ServerDidNotStart";
    this.log = log;
  }
}
