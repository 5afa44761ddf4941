import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

const formatVersion = 1;

/** Writes the state to one file, at most one write at a time, whole or not at all. */
export class Snapshot {
  private readonly file: string;
  private readonly collect: () => object;
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> = Promise.resolve();
  private lastDuration = 0;

  constructor(file: string, collect: () => object) {
    this.file = file;
    this.collect = collect;
  }

  /**
   * What was written last, or undefined.
   *
   * @throws if the file cannot be read, or is not one of ours
   */
  read<T>(): T | undefined {
    if (!existsSync(this.file)) return undefined;
    const text = this.text();
    if (text === "") return undefined;
    const content = this.parse(text);
    if (content?.version !== formatVersion || typeof content.state !== "object") {
      throw new Error(
        `${this.file} is no state of this version of the local Stripe: delete it to start afresh`,
      );
    }
    return content.state as T;
  }

  private text(): string {
    try {
      return readFileSync(this.file, "utf8");
    } catch (cause) {
      throw new Error(`the state file cannot be read: ${String(cause)}`, { cause });
    }
  }

  private parse(text: string): { version?: unknown; state?: unknown } | null {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new Error(`${this.file} is no state of the local Stripe: delete it to start afresh`, { cause });
    }
  }

  /** Write soon; calls in the meantime share that write. */
  schedule(): void {
    if (this.timer) return;
    // A large state is written less often, so that writing takes a small part of the time.
    this.timer = setTimeout(() => void this.flush(), Math.max(250, this.lastDuration * 10));
    this.timer.unref();
  }

  /** Write now. */
  flush(): Promise<void> {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.writing = this.writing.then(async () => {
      const started = performance.now();
      await mkdir(dirname(this.file), { recursive: true });
      const temporary = `${this.file}.writing`;
      await writeFile(temporary, JSON.stringify({ version: formatVersion, state: this.collect() }), {
        mode: 0o600,
      });
      await rename(temporary, this.file);
      this.lastDuration = performance.now() - started;
    });
    return this.writing;
  }
}
