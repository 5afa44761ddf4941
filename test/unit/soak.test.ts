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
