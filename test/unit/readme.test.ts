import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { emailNames } from "../../emails/index.ts";
import { readSchemas } from "../../scripts/local/schemas.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

const schemas = readSchemas();

function schemaFile(name: string): string {
  const found = schemas.find(({ path }) => path.endsWith(`_${name}.sql`));
  if (!found) throw new Error(`no file of the schemas is named ${name}`);
  return found.sql;
}

/** Event types a file adds to the dispatch table, wherever in it that is. */
function typesHandledBy(sql: string): string[] {
  return [...sql.matchAll(/^insert into billing\.event_handlers\b[^;]*;/gm)]
    .flatMap(([statement]) => statement.match(/'[a-z_]+(?:\.[a-z_]+)+'/g) ?? [])
    .map((it) => it.slice(1, -1))
    .filter((name) => !name.startsWith("billing"));
}

const types = [...new Set(schemas.flatMap(({ sql }) => typesHandledBy(sql)))];

test("the README's table names every handled event type and no other", () => {
  const table = read("README.md").split("## Events")[1]?.split("\n## ")[0] ?? "";
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  const named = rows
    .flatMap((row) => row.split("|")[1]?.match(/`[^`]+`/g) ?? [])
    .map((it) => it.slice(1, -1));
  expect(types.length).toBeGreaterThan(60);
  expect(named.sort()).toEqual(types.sort());
});

test("the README's table names every email there is and no other", () => {
  const table = read("README.md").split("## Emails")[1]?.split("\n## ")[0] ?? "";
  const named = [...table.matchAll(/^\| `([a-z-]+)`/gm)].map((it) => it[1]);
  expect(named.sort()).toEqual([...emailNames].sort());
});

test("the README names every SQLSTATE of the database once, in the database's own README", () => {
  const raised = [...schemaFile("errors").matchAll(/^ {2}\('(DU\d{3})'/gm)].map((it) => it[1]);
  const explained =
    read("supabase/README.md")
      .match(/^\| `DU\d{3}`/gm)
      ?.map((it) => it.slice(3, -1)) ?? [];
  expect(raised.length).toBeGreaterThan(0);
  expect(explained).toEqual(raised);
});

test("every command the README tells exists", () => {
  const scripts = Object.keys(
    (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts,
  );
  const told = [
    ...read("README.md").matchAll(
      /npm (?:run )?(dev|stack|demo|test|check|bench|soak|types|dunning|email)\b/g,
    ),
  ].map((it) => it[1]);
  expect(told.length).toBeGreaterThan(0);
  for (const name of told) expect(scripts).toContain(name);
});
