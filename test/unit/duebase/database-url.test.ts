import { expect, test } from "vitest";
import {
  namedDatabaseUrl,
  requireDatabaseUrl,
  withDatabase,
} from "../../../scripts/duebase/connections/database.ts";

const direct = "postgresql://postgres:canary@db.example.com:5432/postgres";

test("the database is what --db-url says, else what DUEBASE_DB_URL says", () => {
  expect(namedDatabaseUrl(direct, { DUEBASE_DB_URL: "postgresql://other" })).toBe(direct);
  expect(namedDatabaseUrl(undefined, { DUEBASE_DB_URL: direct })).toBe(direct);
  expect(namedDatabaseUrl(undefined, {})).toBeUndefined();
  expect(() => requireDatabaseUrl(undefined, {})).toThrow("No database was named.");
});

test("the transaction pooler is refused with the reason, and no refusal repeats the password", async () => {
  const pooler = direct.replace("5432", "6543");
  expect(() => namedDatabaseUrl(pooler, {})).toThrow(/--db-url is the transaction pooler \(port 6543\)/);
  expect(() => namedDatabaseUrl(undefined, { DUEBASE_DB_URL: pooler })).toThrow(/^DUEBASE_DB_URL is/);
  for (const url of [pooler, "mysql://x:canary@y/z", "postgresql://x:canary@["]) {
    expect(() => namedDatabaseUrl(url, {})).toThrow(expect.not.stringContaining("canary"));
  }
  const closed = withDatabase(
    "postgresql://x:canary@127.0.0.1:9/z",
    { command: "test" },
    (sql) => sql`select 1`,
  );
  await expect(closed).rejects.toThrow(/^The database cannot be reached: (?!.*canary)/);
});
