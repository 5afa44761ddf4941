import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { soakRuns } from "../../scripts/soak/suites.ts";

/** The variables from which tests take how much they play. */
function variablesRead(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  return files.flatMap((file) =>
    [...readFileSync(join(folder, file), "utf8").matchAll(/Number\(process\.env\.(DUEBASE_\w+)/g)].flatMap(
      ([, variable]) => (variable === undefined || variable === "DUEBASE_SEED" ? [] : [variable]),
    ),
  );
}

test("the soak run plays every suite whose number can be set", () => {
  expect(soakRuns.map(({ variable }) => variable).toSorted()).toEqual(
    [...new Set(variablesRead("test"))].toSorted(),
  );
});

test.each(soakRuns)("$name: its files are there", ({ files }) => {
  expect(files.filter((file) => !existsSync(file))).toEqual([]);
});

test("every test that draws properties draws the same each time", () => {
  const tests = readdirSync("test", { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".test.ts"),
  );
  const drawing = tests
    .map((file) => ({ file, text: readFileSync(join("test", file), "utf8") }))
    .filter(({ text }) => text.includes('from "fast-check"'));
  expect(drawing.length).toBeGreaterThan(0);
  expect(
    drawing.filter(({ text }) => !text.includes("seeded-properties.ts")).map(({ file }) => file),
  ).toEqual([]);
});
