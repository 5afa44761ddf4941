import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Observer, observe } from "./observer.ts";
import { fillAtScale } from "./scale.ts";
import { hotStatements, lookups } from "./statements.ts";

let database: TestDatabase;
let observer: Observer;
let large: string[];
beforeAll(async () => {
  database = await createTestDatabase();
  await fillAtScale(database);
  observer = await observe(database);
  const tables = await database.sql<{ name: string }[]>`
    select relname as name from pg_class where relkind = 'r' and reltuples >= 10000
  `;
  large = tables.map((table) => table.name);
}, 180_000);
afterAll(() => database.drop());

test("there are tables large enough to mind", () => {
  expect(large).toEqual(
    expect.arrayContaining(["webhook_events", "invoices", "payments", "outbox", "users"]),
  );
});

describe("at 200,000 events no large table is read from end to end, and the index meant for it is used, for", () => {
  test.each([...hotStatements, ...lookups])("$what", async ({ sql, as, uses = [], mayScan = [] }) => {
    const { scans, indexes } = await observer.run(sql, as);
    expect([...scans].filter(([table]) => large.includes(table) && !mayScan.includes(table))).toEqual([]);
    expect([...indexes]).toEqual(expect.arrayContaining(uses));
  });
});

test("the observer sees a table read from end to end, also inside a function", async () => {
  const { scans } = await observer.run(`
    create function pg_temp.careless() returns bigint language plpgsql as $$
    begin
      return (select count(*) from billing.invoices where currency = 'usd');
    end;
    $$;
    select pg_temp.careless();
  `);
  expect([...scans.keys()]).toContain("invoices");
});

test("every index serves one of these statements, or keeps a promise of its own", async () => {
  const indexes = await database.sql<{ name: string }[]>`
    select c.relname as name
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace) and not i.indisunique
      and not c.relispartition
  `;
  const served = [...hotStatements, ...lookups].flatMap((statement) => statement.uses ?? []);
  expect(indexes.map((index) => index.name).filter((name) => !served.includes(name))).toEqual([]);
});
