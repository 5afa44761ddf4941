import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test.each([true, false])(
  "checks are the same asked at once and, where one of them raises, one by one (for alarms: %s)",
  async (forAlarms) => {
    const names = (sql: Pick<TestDatabase["sql"], "unsafe">) =>
      sql.unsafe(`select name, status from billing_private.health('2026-11-03T12:00:00Z', ${forAlarms})`);
    const atOnce = [...(await names(database.sql))];
    expect(atOnce.length).toBeGreaterThan(20);
    const oneByOne = await database.sql
      .begin(async (sql) => {
        await sql.unsafe(`
          create or replace function billing_private.health_rows_for_alarms(p_now timestamptz)
          returns setof billing_private.health_row language plpgsql stable set search_path = '' as $$
          begin
            raise exception 'not now';
          end;
          $$;
        `);
        const rows = [...(await names(sql))];
        throw Object.assign(new Error("taken back"), { rows });
      })
      .catch((error: { rows?: unknown }) => error.rows);
    expect(oneByOne).toEqual(atOnce);
  },
);
