import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { duebaseProgram } from "../../scripts/duebase/program.ts";
import { projectRoot } from "../../scripts/local/project.ts";

// Every `duebase` command that a page shows is one that there is, with options that it takes.

const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "supabase/README.md",
  "supabase/functions/README.md",
  "operations/README.md",
  "emails/README.md",
  "scripts/README.md",
  ...readdirSync(join(projectRoot, "docs")).map((name) => join("docs", name)),
];

/** What stands between the name of the program and the end of the line, the quotation or a comment. */
const SHOWN = /(?:npx duebase(?:@latest)?|npm run duebase --|npm run (?=dunning --)) ?([^`\n#;&|]*)/g;

const shown = PAGES.flatMap((page) =>
  [...readFileSync(join(projectRoot, page), "utf8").matchAll(SHOWN)].map(([line, rest = ""]) => ({
    page,
    line: line.trim(),
    words: rest
      .replace(/^dunning -- /, "dunning ")
      .replace(/"[^"]*"/g, "text")
      // A sentence goes on.
      .replace(/[:,.] .*$/, "")
      .trim()
      .split(/\s+/)
      .filter((word) => word !== ""),
  })),
);

/** The command that words name, and the words after it. */
function commandOf(
  program: Command,
  words: readonly string[],
): { command: Command; rest: readonly string[] } {
  const found = program.commands.find((it) => it.name() === words[0]);
  return found ? commandOf(found, words.slice(1)) : { command: program, rest: words };
}

/** A command takes its own options and those of the commands it belongs to. */
function optionsOf(command: Command): string[] {
  const own = command.options.flatMap(({ long }) => long ?? []);
  return command.parent ? [...own, ...optionsOf(command.parent)] : [...own, "--help"];
}

test("pages show commands", () => {
  expect(shown.length).toBeGreaterThan(60);
});

test.each(shown.filter(({ words }) => words.length > 0))("$page: $line", ({ words }) => {
  const program = duebaseProgram();
  const { command, rest } = commandOf(program, words);
  // `npx duebase <command>`, and text that goes on after the name of the program.
  if (command === program) {
    expect(words[0]).toMatch(/^(<command>|--help)/);
    return;
  }
  const options = optionsOf(command);
  for (const [word] of rest.join(" ").matchAll(/--[a-z][a-z-]*/g)) expect(options).toContain(word);
});
