// How the command looks in a terminal: what several of its parts share.

import pc from "picocolors";

/** The lights, as a mark. They differ in shape too: not everybody sees colours, and not every terminal has them. */
export const marks = { green: pc.green("\u2714"), amber: pc.yellow("!"), red: pc.red("\u2716") };

/** The lights, as a word. */
export const words = { green: pc.green("green"), amber: pc.yellow("amber"), red: pc.red("red") };

/** Tables without lines between the rows: what is read downwards is not cut. */
export const compact = {
  style: { head: [], border: ["dim"] },
  chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
};

/** In lines of whole words. An address or a name that is longer than a line stays whole, to be copied. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && visibleLength(`${line} ${word}`) <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the codes that colour a terminal
const visibleLength = (text: string) => text.replace(/\u001b\[\d+m/g, "").length;
