import pc from "picocolors";
import { marks, words, wrapped } from "../look.ts";
import type { Light } from "./check.ts";
import type { Diagnosis, Result } from "./run.ts";

/** The mark and a blank, and the longest title with two blanks after it. */
const INDENT = 2 + 24;
const WIDEST = 120;

/**
 * The diagnosis for people: what each check says, and under what is wrong the cure.
 *
 * @param width of the terminal, columns
 */
export function diagnosisAsText({ light, results }: Diagnosis, width = 80): string {
  const columns = Math.min(width, WIDEST);
  let last = "";
  const lines = results.flatMap((result) => {
    const title = result.title === last ? "" : result.title;
    last = result.title;
    return linesOf(result, title, columns - INDENT);
  });
  return [...lines, "", ...wrapped(summaryOf(light, results), columns)].join("\n");
}

function linesOf({ light, says, cure }: Result, title: string, width: number): string[] {
  const [first = "", ...more] = wrapped(says, width);
  const margin = " ".repeat(INDENT);
  const cures = cure === undefined ? [] : wrapped(`\u2192 ${cure}`, width);
  return [
    `${marks[light]} ${pc.bold(title.padEnd(INDENT - 2))}${first}`,
    ...more.map((line) => margin + line),
    ...cures.map((line) => margin + pc.cyan(line)),
  ];
}

function summaryOf(light: Light, results: readonly Result[]): string {
  const count = (of: Light) => results.filter((result) => result.light === of).length;
  const counts = (["green", "amber", "red"] as const).map((of) => `${count(of)} ${words[of]}`).join(", ");
  const meaning = {
    green: "All is right.",
    amber: "Nothing is known to be wrong; what is amber is for you to look at.",
    red: "What is red does not work, or would do harm: mend it from the top, and run doctor again.",
  }[light];
  return `${counts}. ${meaning}`;
}
