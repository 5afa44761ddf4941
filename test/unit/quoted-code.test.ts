import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";

// What docs/ quote of the example is the example: `<!-- from: path -->` before a block names the file it stands in.

const QUOTE = /<!-- from: (\S+) -->\n\n```\w+\n([\s\S]*?)\n```/g;
const MARK = "<!-- from:";

/** Lines without what indents them. */
const linesOf = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .join("\n");

const pages = readdirSync(join(projectRoot, "docs")).filter((name) => name.endsWith(".md"));
const quotes = pages.flatMap((page) =>
  [...readFileSync(join(projectRoot, "docs", page), "utf8").matchAll(QUOTE)].map(
    ([, file = "", code = ""]) => ({ page, file, code }),
  ),
);

test("every mark is followed by a block of code", () => {
  const marks = pages.flatMap((page) =>
    readFileSync(join(projectRoot, "docs", page), "utf8")
      .split(MARK)
      .slice(1),
  );
  expect(quotes).toHaveLength(marks.length);
  expect(marks.length).toBeGreaterThan(4);
});

describe.each(quotes)("docs/$page quotes $file", ({ file, code }) => {
  test(`as it is: ${code.trim().split("\n")[0]}`, () => {
    const source = linesOf(readFileSync(join(projectRoot, file), "utf8"));
    expect(source).toContain(linesOf(code));
  });
});
