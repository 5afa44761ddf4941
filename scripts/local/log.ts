import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import pc from "picocolors";

/** Takes whole lines from one part of the stack. */
export interface LineLog {
  write(line: string): void;
}

/** Where the parts of a stack log to. */
export interface Logs {
  /** The log of one part, by its name. */
  of(source: string): LineLog;
  close(): Promise<void>;
}

const colours = [pc.cyan, pc.magenta, pc.green, pc.yellow, pc.blue];

/**
 * Keeps a file a part in `directory` and, where wanted, shows each line in the terminal behind the part's name.
 *
 * @param show receives the lines for the terminal, e.g. `console.log`; silent when absent
 */
export function openLogs(directory: string, show?: (line: string) => void): Logs {
  mkdirSync(directory, { recursive: true });
  const open = new Map<string, { log: LineLog; end(): Promise<void> }>();
  return {
    of(source) {
      const known = open.get(source);
      if (known) return known.log;
      const file = createWriteStream(join(directory, `${source}.log`), { flags: "a" });
      file.on("error", () => {});
      const colour = colours[open.size % colours.length] ?? pc.cyan;
      const log: LineLog = {
        write(line) {
          if (!file.writableEnded) file.write(`${new Date().toISOString()} ${line}\n`);
          show?.(`${colour(source.padEnd(14))} ${line}`);
        },
      };
      open.set(source, { log, end: () => new Promise((resolve) => file.end(() => resolve())) });
      return log;
    },
    async close() {
      await Promise.all([...open.values()].map(({ end }) => end()));
    },
  };
}
