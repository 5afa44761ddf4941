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

  /** What was written last, or undefined. */
  read<T>(): T | undefined {
    if (!existsSync(this.file)) return undefined;
    const content = JSON.parse(readFileSync(this.file, "utf8")) as { version: number; state: T };
    if (content.version !== formatVersion) {
      throw new Error(
        `${this.file} was written by another version of the local Stripe: delete it to start afresh`,
      );
    }
    return content.state;
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
