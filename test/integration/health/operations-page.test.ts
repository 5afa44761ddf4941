import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { projectRoot } from "../../../scripts/local/project.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const page = readFileSync(join(projectRoot, "docs", "operations.md"), "utf8");
const section = (heading: string) => page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";

/** Names in the column of a table, counted from 1. */
const namesIn = (text: string, column: number) =>
  text
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
    .slice(1)
    .flatMap((line) => [...(line.split(" | ")[column - 1] ?? "").matchAll(/`([a-z0-9-]+)`/g)])
    .map(([, name]) => name);

let database: TestDatabase;
let checks: { name: string; target: string | null }[];
beforeAll(async () => {
  database = await createTestDatabase();
  checks = await database.asService((sql) => sql<typeof checks>`select name, target from billing.health`);
});
afterAll(() => database.drop());

it("has each check with its cure, and no other", () => {
  expect(namesIn(section("Each check and its cure"), 1).sort()).toEqual(
    checks.map(({ name }) => name).sort(),
  );
});

it("names no metric whose check is not there, and each has a target in the view", () => {
  const metrics = namesIn(section("Metrics and their targets"), 3);
  expect(metrics.length).toBeGreaterThan(12);
  const known = new Map(checks.map(({ name, target }) => [name, target]));
  expect(metrics.filter((name) => !known.get(name ?? ""))).toEqual([]);
});

it("asks the database what it can answer", async () => {
  const [, sql = ""] = page.match(/```sql\n(.*?)```/s) ?? [];
  for (const statement of sql.split(/;.*\n/).filter((it) => it.trim() !== ""))
    await database.asService((service) => service.unsafe(statement));
});
