import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { emailNames } from "../../emails/index.ts";
import { readSchemas } from "../../scripts/local/schemas.ts";
import { DATABASE_REFUSALS } from "../../supabase/functions/_duebase/errors.ts";

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

test("docs/errors.md names every SQLSTATE with its code, HTTP status and hint", () => {
  const raised = [...schemaFile("errors").matchAll(/^ {2}\('(DU\d{3})', '([a-z_]+)', '((?:[^']|'')*)'\)/gm)];
  const statusOf = (sqlstate: string) =>
    DATABASE_REFUSALS[sqlstate as keyof typeof DATABASE_REFUSALS].status.toString();
  const told = read("docs/errors.md")
    .split("\n")
    .filter((line) => line.startsWith("| `DU"))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| |\s*\|$|`/g, "").trim()));
  expect(raised.length).toBeGreaterThan(30);
  expect(told.map(([sqlstate, code, status, , hint]) => [sqlstate, code, status, hint])).toEqual(
    raised.map(([, sqlstate = "", code, hint]) => [
      sqlstate,
      code,
      statusOf(sqlstate),
      hint?.replaceAll("''", "'"),
    ]),
  );
});

test("docs/errors.md names every code that an Edge Function answers with", () => {
  const table = read("docs/errors.md").split("\n## Of the Edge Functions")[1] ?? "";
  const told = [...table.matchAll(/^\| ((?:`[a-z_]+`(?:, )?)+)/gm)].flatMap(
    ([, names]) => names?.match(/[a-z_]+/g) ?? [],
  );
  const source = read("supabase/functions/_duebase/errors.ts").split("export class DuebaseError")[1] ?? "";
  const faults = [...(source.match(/type SignatureFault = ([^;]*);/)?.[1] ?? "").matchAll(/"([a-z_]+)"/g)];
  const named = [
    ...[...source.matchAll(/super\("([a-z_]+)"/g), ...source.matchAll(/^ {6}\| "([a-z_]+)",?$/gm)].map(
      (it) => it[1],
    ),
    ...[...source.matchAll(/ : "([a-z_]+)"[,;]?/g)].map((it) => it[1]),
    ...faults.map(([, fault]) => `signature_${fault}`),
    ...["auth", "stripe"].map((upstream) => `${upstream}_unavailable`),
    ...["auth", "stripe", "settings"].map((upstream) => `${upstream}_misconfigured`),
    "refused",
  ];
  expect([...new Set(named)].sort()).toEqual(told.sort());
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

/** Folders that hold pages, at any depth. */
const folders = [
  ".github",
  "client",
  "docs",
  "emails",
  "examples",
  "findings",
  "operations",
  "scripts",
  "supabase",
  "test",
];

/** Every page of the repository, as a path from the root. */
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...folders.flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".md") && !/(^|[\\/])(node_modules|\.stack|dist)[\\/]/.test(path))
      .map((path) => `${folder}/${path.replaceAll("\\", "/")}`),
  ),
];

/** The anchor that a forge gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

test("there are pages in every folder", () => {
  for (const folder of folders) expect(pages.some((page) => page.startsWith(`${folder}/`))).toBe(true);
});

/** What stands under a heading of a page, up to the next one of its level. */
function sectionOf(page: string, anchor: string): string | undefined {
  const lines = read(page).split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && anchorOf(line.replace(/^#+ /, "")) === anchor);
  if (start < 0) return undefined;
  const level = (lines[start]?.match(/^#+/)?.[0] ?? "").length;
  const end = lines.findIndex(
    (line, index) => index > start && /^#+ /.test(line) && (line.match(/^#+/)?.[0] ?? "").length <= level,
  );
  return lines.slice(start + 1, end < 0 ? undefined : end).join("\n");
}

// A changelog has the same headings in every release.
test.each(pages.filter((page) => page !== "CHANGELOG.md"))(
  "no two headings of %s have one anchor",
  (page) => {
    const text = read(page).replace(/^ *```[\s\S]*?^ *```/gm, "");
    const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map((it) => anchorOf(String(it[1])));
    expect(anchors.filter((it, index) => anchors.indexOf(it) !== index)).toEqual([]);
  },
);

test("findings/README.md names every script and no other", () => {
  const named = [...read("findings/README.md").matchAll(/^\| \[([a-z-]+\.sh)\]/gm)].map((it) => it[1]);
  const scripts = readdirSync(new URL("findings/", root)).filter((name) => name.endsWith(".sh"));
  expect(named.sort()).toEqual(scripts.sort());
});

const firstQuestions = read("docs/README.md")
  .split("## First questions")[1]
  ?.split("\n## ")[0]
  ?.split("\n")
  .flatMap((row) => {
    const [, question, word = "", page, anchor] =
      /^\| ([^|]+\?) +\| ([^|]+?) +\| \[[^\]]+\]\(([^)#]+)#([^)]+)\) +\|$/.exec(row) ?? [];
    return question && page && anchor ? [{ question, word, page, anchor }] : [];
  });

test("the first questions are ten, and the README leads to them", () => {
  expect(firstQuestions).toHaveLength(10);
  expect(read("README.md")).toContain("](docs/README.md#first-questions)");
});

test.each(firstQuestions ?? [])(
  "$question is answered under the heading it leads to",
  ({ word, page, anchor }) => {
    const section = sectionOf(`docs/${page}`, anchor);
    // An answer can be carried out: it shows what to run, and what the table says in a word.
    expect(section).toContain("```");
    for (const [, code = ""] of word.matchAll(/`([^`]+)`/g))
      expect(section).toContain(code.replace(/\(.*/, ""));
  },
);

test.each(pages)("what %s links to is there", (page) => {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map((it) => String(it[1]));
  const broken = links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = new URL(path === "" ? page : path, path === "" ? root : new URL(page, root));
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
