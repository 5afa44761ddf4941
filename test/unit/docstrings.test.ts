import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";

// Whatever others may call says what it is: the client, what the functions have in common, and the servers of the local stack.
// The database's own comments are held to the same by supabase/tests/schema/everything_is_commented.test.sql.

/** Folders of which every file counts, and files. */
const PUBLIC = [
  "client",
  "supabase/functions/_duebase",
  "scripts/local/management",
  "scripts/local/realtime",
  "scripts/local/stripe",
  "scripts/local/inbox",
];

const files = PUBLIC.flatMap((folder) =>
  readdirSync(join(projectRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.ts$/.test(path) && !/\.gen\.|\.d\.ts$/.test(path))
    // Of a server of the local stack its parts are its own affair.
    .filter((path) => !folder.startsWith("scripts/") || /^(server|buyer)\.ts$/.test(path))
    .map((path) => join(folder, path)),
);

const EXPORT = /^export (?:declare |abstract |async )*(?:function\*?|class|interface|type|const|enum) (\w+)/;

/** Names that a file exports without a docstring right above them. Of overloads the first has it. */
function undocumented(text: string): string[] {
  const lines = text.split("\n");
  const told = new Set<string>();
  return lines.flatMap((line, index) => {
    const name = EXPORT.exec(line)?.[1];
    if (name === undefined || told.has(name)) return [];
    told.add(name);
    return /\*\/$/.test(lines[index - 1]?.trimEnd() ?? "") ? [] : [name];
  });
}

test("what is undocumented is found", () => {
  expect(undocumented("/** Says what. */\nexport const a = 1;\nexport async function b() {}\n")).toEqual([
    "b",
  ]);
  expect(files.length).toBeGreaterThan(40);
});

/** What the packages of the local stack export, by the files that it comes from. */
const exported = ["stripe", "inbox"].flatMap((name) => {
  const folder = join("scripts", "local", name);
  const index = readFileSync(join(projectRoot, folder, "index.ts"), "utf8");
  return [...index.matchAll(/ from "(\..*)";/g)].map(([, path = ""]) => join(folder, path));
});

describe.each([...new Set([...files, ...exported])])("%s", (file) => {
  test("says of everything it exports what it is", () => {
    expect(undocumented(readFileSync(join(projectRoot, file), "utf8"))).toEqual([]);
  });
});
