import { existsSync, readdirSync, readFileSync } from "node:fs";
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

test("docs/events.md names every handled event type and no other", () => {
  const table = read("docs/events.md").split("\n## ")[0] ?? "";
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  const named = rows
    .flatMap((row) => row.split("|")[1]?.match(/`[^`]+`/g) ?? [])
    .map((it) => it.slice(1, -1));
  expect(types.length).toBeGreaterThan(60);
  expect(named.sort()).toEqual(types.sort());
});

test("docs/emails.md names every email there is and no other", () => {
  const table = read("docs/emails.md");
  const named = [...table.matchAll(/^\| `([a-z-]+)`/gm)].map((it) => it[1]);
  expect(named.sort()).toEqual([...emailNames].sort());
});

test("the database's own README names every SQLSTATE of the database once", () => {
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

/** Every page of the docs, as a path from the root. */
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync(new URL("docs/", root)).map((name) => `docs/${name}`),
  ...["supabase", "supabase/functions", "emails", "scripts", "test"].map((folder) => `${folder}/README.md`),
];

/** The anchor that a forge gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

test.each(pages)("what %s links to is there", (page) => {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map((it) => String(it[1]));
  const broken = links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = new URL(path === "" ? page : path, new URL(path === "" ? "" : page, root));
      if (!existsSync(target)) return true;
      if (anchor === undefined) return false;
      const headings = [...readFileSync(target, "utf8").matchAll(/^#+ (.+)$/gm)].map((it) =>
        anchorOf(String(it[1])),
      );
      return !headings.includes(anchor);
    });
  expect(broken).toEqual([]);
});

test("the README leads to every page of docs/, and has at most 200 lines", () => {
  const readme = read("README.md");
  expect(readme.split("\n").length).toBeLessThanOrEqual(200);
  for (const page of pages.filter((path) => path.startsWith("docs/") && path !== "docs/README.md")) {
    expect(readme).toContain(`](${page})`);
    expect(read("docs/README.md")).toContain(`](${page.slice("docs/".length)})`);
  }
});
