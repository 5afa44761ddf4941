import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

// The pictures of docs/states.md have the states that the database allows, and are written so that a forge draws them.

const page = readFileSync(join(projectRoot, "docs", "states.md"), "utf8");
const pictures = [
  ...page.matchAll(/<!-- states: (\S+?)(?:, and ([^>]*))? -->\n\n```mermaid\n([^`]*)```/g),
].map(([, column = "", others = "", picture = ""]) => ({
  column,
  others: others.split(", ").filter((it) => it !== ""),
  lines: picture
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== ""),
}));

const ARROW = /^(\[\*\]|[a-z_]+) --> (\[\*\]|[a-z_]+)(?:: [^:;]+)?$/;
const FRAME = /^(stateDiagram-v2|state [a-z_]+ \{|\})$/;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** The values that a column's check constraint `…_is_known` lists. */
async function allowed(column: string): Promise<string[]> {
  const [schema, table, name] = column.split(".");
  const [row] = await database.sql<{ definition: string }[]>`
    select pg_get_constraintdef(c.oid) as definition from pg_constraint as c
    where c.conrelid = ${`${schema}.${table}`}::regclass and c.conname = ${`${name}_is_known`}`;
  return [...(row?.definition ?? "").matchAll(/'([a-z_]+)'/g)].map(([, value]) => value ?? "");
}

test("there is a picture each of an event, an effect and a case", () => {
  expect(page.split("```mermaid")).toHaveLength(pictures.length + 1);
  expect(pictures.map(({ column }) => column)).toEqual([
    "billing.failed_webhooks.status",
    "billing.outbox.status",
    "billing.dunning_cases.outcome",
  ]);
});

describe.each(pictures)("the picture of $column", ({ column, others, lines }) => {
  test("has every state that the database allows, and no other", async () => {
    const arrows = lines.flatMap((line) => [...(ARROW.exec(line)?.slice(1, 3) ?? [])]);
    const shown = new Set(arrows.filter((state) => state !== "[*]"));
    expect([...shown].sort()).toEqual([...(await allowed(column)), ...others].sort());
  });

  test("is a diagram of states, an arrow a line", () => {
    expect(lines[0]).toBe("stateDiagram-v2");
    expect(lines.filter((line) => !ARROW.test(line) && !FRAME.test(line))).toEqual([]);
    expect(lines.filter((line) => line.endsWith("{"))).toHaveLength(
      lines.filter((line) => line === "}").length,
    );
  });
});
