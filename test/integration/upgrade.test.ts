import { afterEach, beforeEach, expect, test } from "vitest";
import { upgradeMigration } from "../../scripts/duebase/upgrade/migration.ts";
import { release } from "../../scripts/local/release.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

const steps = [
  {
    release: "9.1.0",
    sql: "create function billing.new_one() returns int language sql set search_path = '' as 'select 1';",
  },
  { release: "9.2.0", sql: "alter table billing.settings add column fresh text;" },
];
const apply = (sql: string) => database.sql.begin((transaction) => transaction.unsafe(sql));

test("an upgrade is recorded with its time, release by release, and nobody may execute what it brings", async () => {
  await apply(upgradeMigration(release, steps));
  const [row] = await database.asService((sql) => sql`select billing.version() as version`);
  expect(row?.version).toBe("9.2.0");
  const rows =
    await database.sql`select release, installed_at from billing.releases order by installed_at, release`;
  expect(rows.map((it) => it.release)).toEqual([release, "9.1.0", "9.2.0"]);
  expect(rows.every((it) => it.installed_at instanceof Date)).toBe(true);
  const [access] = await database.sql`
    select has_function_privilege('anon', 'billing.new_one()', 'execute') as anon,
      has_function_privilege('service_role', 'billing.version()', 'execute') as service`;
  expect(access).toEqual({ anon: false, service: true });
});

test("a database of another release refuses the steps, whole", async () => {
  await apply(upgradeMigration(release, steps));
  await expect(apply(upgradeMigration(release, steps))).rejects.toThrow(
    `this database has Duebase 9.2.0, and these steps begin at ${release}`,
  );
  const [count] = await database.sql`select count(*)::int as n from billing.releases`;
  expect(count?.n).toBe(3);
});

test("a step that fails leaves the release that was there", async () => {
  const failing = [...steps, { release: "9.3.0", sql: "select 1 / 0;" }];
  await expect(apply(upgradeMigration(release, failing))).rejects.toThrow("division by zero");
  const [row] = await database.sql`select billing.version() as version`;
  expect(row?.version).toBe(release);
});
