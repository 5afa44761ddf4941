import { afterAll, beforeAll, expect, test } from "vitest";
import { removeFromDatabase } from "../../../scripts/duebase/uninstall/remove-from-database.ts";
import { release } from "../../../scripts/local/release.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { untilSomebodyWaits } from "../retries/handlers.ts";

// A database that goes on taking events while Duebase is taken out of it.

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

const deadlocks = async () => {
  const [row] = await database.sql`
    select deadlocks::int from pg_stat_database where datname = current_database()`;
  return row?.deadlocks as number;
};

test("a removal that loses to an event is tried again, and the event loses nothing", async () => {
  const event = database.connect({ role: "supabase_admin" });
  const before = await deadlocks();
  // The event never looks for a deadlock, and the removal not before there is one: it is the one that is ended.
  await event.unsafe(`alter database ${database.name} set deadlock_timeout = '3s'`);
  let removed: Promise<void> | undefined;
  await event.begin(async (sql) => {
    await sql`set local deadlock_timeout = '60s'`;
    await sql`select from billing.customers limit 1`;
    removed = removeFromDatabase(database.url, release);
    await Promise.race([untilSomebodyWaits(database), removed]);
    // The event wants what the removal holds by now.
    const [held] = await database.sql<{ name: string }[]>`
      select format('%I.%I', n.nspname, c.relname) as name
      from pg_locks as l
      join pg_class as c on c.oid = l.relation
      join pg_namespace as n on n.oid = c.relnamespace
      -- Other tests' databases have the same tables under the same oids.
      where l.database = (select oid from pg_database where datname = current_database())
        and l.mode = 'AccessExclusiveLock' and l.granted and c.relkind = 'r' and n.nspname like 'billing%'
      limit 1`;
    await sql.unsafe(`select from ${held?.name} limit 1`);
  });
  await removed;
  await expect.poll(deadlocks, { timeout: 10_000 }).toBe(before + 1);
  const [left] = await database.sql`
    select to_regnamespace('billing') is not null or to_regnamespace('billing_private') is not null as anything`;
  expect(left).toEqual({ anything: false });
});
