import { existsSync, type FSWatcher, watch } from "node:fs";
import { join, sep } from "node:path";
import type { Logs } from "../log.ts";
import { FunctionProcess, type FunctionRuntime } from "./process.ts";
import { findFunctions } from "./project.ts";

/** How long changed files must be quiet before functions are restarted: editors write in several steps. */
const quiet = 100;

/** All functions of a project, each in a Deno process of its own, restarted when their files change. */
export class EdgeFunctions {
  readonly #runtime: FunctionRuntime;
  readonly #logs: Logs;
  readonly #processes = new Map<string, FunctionProcess>();
  #watcher: FSWatcher | undefined;
  #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(runtime: FunctionRuntime, logs: Logs) {
    this.#runtime = runtime;
    this.#logs = logs;
  }

  /** Starts every function and returns at once; `ready` waits for them. */
  start(options: { watch: boolean }): void {
    for (const source of findFunctions(this.#runtime.projectDirectory)) this.#add(source);
    const folder = join(this.#runtime.projectDirectory, "supabase", "functions");
    if (!options.watch || !existsSync(folder)) return;
    this.#watcher = watch(folder, { recursive: true }, (_event, file) => {
      if (file) this.#changed.add(String(file));
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#reload(), quiet);
    });
    this.#watcher.on("error", (error) =>
      this.#logs.of("functions").write(`watching failed: ${error.message}`),
    );
  }

  get names(): string[] {
    return [...this.#processes.keys()];
  }

  /** One function by its name; undefined when the project has none of that name. */
  get(name: string): FunctionProcess | undefined {
    return this.#processes.get(name);
  }

  /** Ends one as a crash would; it is started again. Resolves once the process is gone. */
  async kill(name: string): Promise<void> {
    const one = this.#processes.get(name);
    if (!one) throw new Error(`there is no function ${name}`);
    await one.kill();
  }

  /** What `supabase secrets set` does, and `unset` for undefined: every function starts anew with them. */
  async setSecrets(secrets: Record<string, string | undefined>): Promise<void> {
    const env = { ...this.#runtime.env, ...secrets };
    this.#runtime.env = Object.fromEntries(
      Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    await Promise.all([...this.#processes.values()].map((one) => one.restart(one.source)));
  }

  /** What `supabase functions delete` does. */
  async undeploy(name: string): Promise<void> {
    const one = this.#processes.get(name);
    this.#processes.delete(name);
    await one?.stop();
  }

  /** What `supabase functions deploy` does with the project's source; `verifyJwt` as config.toml might have it. */
  async deploy(name: string, options: { verifyJwt?: boolean } = {}): Promise<void> {
    const source = findFunctions(this.#runtime.projectDirectory).find((one) => one.name === name);
    if (!source) throw new Error(`the project has no function ${name}`);
    await this.undeploy(name);
    this.#add({ ...source, ...options });
  }

  /** Waits until all serve; names those that do not within `timeout` milliseconds. */
  async ready(timeout: number): Promise<string[]> {
    const late = await Promise.all(
      [...this.#processes].map(async ([name, one]) => ((await one.port(timeout)) === undefined ? name : "")),
    );
    return late.filter(Boolean);
  }

  async stop(): Promise<void> {
    this.#watcher?.close();
    clearTimeout(this.#timer);
    await Promise.all([...this.#processes.values()].map((one) => one.stop()));
    this.#processes.clear();
  }

  #add(source: ReturnType<typeof findFunctions>[number]): void {
    const one = new FunctionProcess(source, this.#runtime, this.#logs.of(source.name));
    this.#processes.set(source.name, one);
    one.start();
  }

  /** A file in a function's folder concerns that function; one anywhere else, such as in _duebase, all of them. */
  async #reload(): Promise<void> {
    const changed = [...this.#changed].filter((file) => !/(^|[\\/])(\.|deno\.lock$)|~$/.test(file));
    this.#changed.clear();
    if (changed.length === 0) return;
    const sources = findFunctions(this.#runtime.projectDirectory);
    const touched = new Set(changed.map((file) => file.split(sep)[0]));
    const everything = [...touched].some((folder) => !sources.some(({ name }) => name === folder));
    for (const source of sources) {
      const running = this.#processes.get(source.name);
      if (!running) this.#add(source);
      else if (everything || touched.has(source.name)) {
        this.#logs.of(source.name).write("changed: starting anew");
        void running.restart(source);
      }
    }
    for (const [name, running] of this.#processes) {
      if (sources.some((source) => source.name === name)) continue;
      this.#processes.delete(name);
      await running.stop();
    }
  }
}
