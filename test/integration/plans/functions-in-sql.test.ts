import type { Sql } from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { loadFixtures } from "../../support/fixtures.ts";
import { runTick } from "../../support/tick.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.connect({ role: "supabase_admin" }).unsafe(`
    alter database ${database.name} set track_functions = 'all';
  `);
});
afterAll(() => database.drop());

/** Of a body that reads nothing; parsing it is all that it costs. */
const CONSTANTS = [
  "billing.version",
  "billing_private.emails_off_by_default",
  "billing_private.max_attempts",
];

/** Names and languages of our functions that were called so far in the test's database. */
async function calledFunctions(sql: Sql): Promise<{ name: string; language: string }[]> {
  // What a session has counted is shown once it says so, or ends.
  await sql`select pg_stat_force_next_flush()`;
  return database.sql<{ name: string; language: string }[]>`
    select concat(s.schemaname, '.', s.funcname) as name, l.lanname as language
    from pg_stat_user_functions as s
    join pg_proc as p on p.oid = s.funcid
    join pg_language as l on l.oid = p.prolang
    where s.schemaname in ('billing', 'billing_private') and s.calls > 0
    order by 1
  `;
}

const inSql = (called: { name: string; language: string }[]) =>
  called
    .filter(({ name, language }) => language === "sql" && !CONSTANTS.includes(name))
    .map(({ name }) => name);

it("no idle tick calls a function written in SQL, which would be planned anew in each statement", async () => {
  const sql = database.connect({ role: "postgres" });
  await runTick(sql);
  const called = await calledFunctions(sql);
  expect(called.map(({ name }) => name)).toContain("billing_private.health_of_partitions");
  expect(called.length).toBeGreaterThan(70);
  expect(inSql(called)).toEqual([]);
});

it("no event calls a function written in SQL either", async () => {
  const sql = database.connect();
  for (const event of loadFixtures()) await sql`select billing.receive_event(${sql.json(event as never)})`;
  const called = await calledFunctions(sql);
  expect(called.length).toBeGreaterThan(150);
  expect(inSql(called)).toEqual([]);
});
