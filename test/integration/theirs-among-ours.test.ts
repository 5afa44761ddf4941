import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { uninstallFindings } from "../../scripts/duebase/uninstall/dependents.ts";
import { removalMigration } from "../../scripts/duebase/uninstall/removal-migration.ts";
import { upgradeMigration } from "../../scripts/duebase/upgrade/migration.ts";
import { release } from "../../scripts/local/release.ts";
import { catalogDifferences, readCatalog } from "../support/catalog.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { untilSomebodyWaits } from "./retries/handlers.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql.unsafe(`
    create schema app;
    create table app.notes (id bigint primary key, owner uuid);
    create function app.noted() returns trigger language plpgsql as $$ begin return null; end $$;
    create role reporter;
  `);
});
afterAll(async () => {
  await database?.sql.unsafe("drop role reporter");
  await database?.drop();
});

class RolledBack extends Error {}

/** Does work in a transaction of which nothing stays. */
async function tried<T>(work: (sql: Sql) => Promise<T>, sql = database.sql): Promise<T> {
  let result: { value: T } | undefined;
  await sql
    .begin(async (transaction) => {
      result = { value: await work(transaction as unknown as Sql) };
      throw new RolledBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error;
    });
  if (result === undefined) throw new Error("nothing was tried");
  return result.value;
}

const foreign = async (sql: Sql): Promise<string[]> =>
  (await sql`select type, identity from billing_private.foreign_objects()`).map(
    ({ type, identity }) => `${type} ${identity}`,
  );

/** What a team may have made, and how it is told: each is what goes with our schemas, and no more than that. */
const kinds: [made: string, told: string[]][] = [
  // Inside of our schemas.
  ["create table billing.theirs (id int primary key, note text)", ["table billing.theirs"]],
  [
    "create table billing_private.theirs (id serial)",
    ["sequence billing_private.theirs_id_seq", "table billing_private.theirs"],
  ],
  ["create view billing.theirs as select 1 as one", ["view billing.theirs"]],
  ["create materialized view billing.theirs as select 1 as one", ["materialized view billing.theirs"]],
  ["create sequence billing.theirs", ["sequence billing.theirs"]],
  ["create function billing.theirs() returns int language sql as 'select 1'", ["function billing.theirs()"]],
  [
    "create function billing.has_feature(feature int) returns boolean language sql as 'select true'",
    ["function billing.has_feature(integer)"],
  ],
  ["create procedure billing.theirs() language sql as 'select 1'", ["procedure billing.theirs()"]],
  ["create type billing.theirs as enum ('a', 'b')", ["type billing.theirs"]],
  ["create type billing.theirs as (a int, b text)", ["type billing.theirs"]],
  [
    "create domain billing.theirs as text check (value <> '')",
    ["domain constraint theirs_check on billing.theirs", "type billing.theirs"],
  ],
  // On our tables.
  ["alter table billing.customers add column theirs text", ["table column billing.customers.theirs"]],
  ["create index theirs on billing.customers (name)", ["index billing.theirs"]],
  [
    "create trigger theirs after insert on billing.customers for each row execute function app.noted()",
    ["trigger theirs on billing.customers"],
  ],
  [
    "create policy theirs on billing.invoices for select to reporter using (true)",
    ["policy theirs on billing.invoices"],
  ],
  [
    "alter table billing.customers add constraint theirs check (id <> '') not valid",
    ["table constraint theirs on billing.customers"],
  ],
  [
    "alter table billing.releases alter column installed_at set default now()",
    ["default value for billing.releases.installed_at"],
  ],
  [
    "create rule theirs as on delete to billing.releases do instead nothing",
    ["rule theirs on billing.releases"],
  ],
  [
    "create statistics billing.theirs on id, email from billing.customers",
    ["statistics object billing.theirs"],
  ],
  // Elsewhere, and depending on ours.
  [
    "create policy theirs on app.notes using ((select billing.has_feature('notes')))",
    ["policy theirs on app.notes"],
  ],
  [
    "create view app.payers as select id from billing.customers; create view app.more as select id from app.payers",
    ["view app.more", "view app.payers"],
  ],
  [
    "create materialized view app.payers as select id from billing.customers",
    ["materialized view app.payers"],
  ],
  [
    "create table app.about (event text references billing.webhook_events (id), note text)",
    ["table constraint about_event_fkey on app.about"],
  ],
  [
    "create table app.gates (id int, release text default billing.version())",
    ["default value for app.gates.release"],
  ],
  ["create table app.gates (id int, customer billing.customers)", ["table column app.gates.customer"]],
  [
    "create function app.on_event(event billing.stripe_events) returns void language sql as 'select'",
    ["function app.on_event(billing.stripe_events)"],
  ],
  [
    "create function app.asks() returns text language sql begin atomic select billing.version(); end",
    ["function app.asks()"],
  ],
  [
    "create table app.checked (id int constraint theirs check (billing.version() <> ''))",
    ["table constraint theirs on app.checked"],
  ],
  ["create table app.child () inherits (billing.releases)", ["table app.child"]],
  [
    "create trigger theirs after insert on app.notes for each row execute function billing_private.tg_append_only()",
    ["trigger theirs on app.notes"],
  ],
  [
    "create trigger theirs after insert on auth.users for each row execute function billing_private.tg_append_only()",
    ["trigger theirs on auth.users"],
  ],
  [
    "create publication theirs for table billing.customers, app.notes",
    ["publication relation billing.customers in publication theirs"],
  ],
  [
    "create aggregate app.theirs(int) (sfunc = int4pl, stype = int); create view app.v as select app.theirs(1), billing.version()",
    ["view app.v"],
  ],
];

describe("what of a team's goes with our schemas", () => {
  test("is nothing, after the installation", async () => {
    expect(await foreign(database.sql)).toEqual([]);
  });

  test.each(kinds)("is told: %s", async (made, told) => {
    const lines = await tried(async (sql) => {
      await sql.unsafe(made);
      return foreign(sql);
    });
    expect(lines).toEqual([...told].sort());
  });

  test("is told whole: of everything else in the database nothing goes that was not told", async () => {
    const admin = database.connect({ role: "supabase_admin" });
    const elsewhere = kinds.slice(kinds.findIndex(([made]) => made.includes("theirs on app.notes using")));
    const [lost, told] = await tried(async (sql) => {
      for (const [index, [made]] of elsewhere.entries()) {
        // Each in names of its own.
        await sql.unsafe(made.replaceAll(/\b(theirs|payers|more|gates|about|v)\b(?!\()/g, `$1_${index}`));
      }
      const lines = await foreign(sql);
      const before = await readCatalog(sql, ["app", "public", "auth"]);
      await sql.unsafe("drop schema billing_private cascade; drop schema billing cascade");
      return [catalogDifferences(before, await readCatalog(sql, ["app", "public", "auth"])), lines];
    }, admin);
    const theirs = lost.filter(
      (line) => !/duebase_(un)?links_customers|supabase_realtime|cron job/.test(line),
    );
    expect(theirs.length).toBeGreaterThan(10);
    const untold = theirs
      .map((line) => line.match(/^(?:only in the first|differs): \w+ ([^\n]+)/)?.[1] ?? line)
      .map((name) => name.replace(/ on users$/, " on auth.users"))
      // A table is told, and its columns and constraints with it.
      .filter((name) => {
        const tables = told.flatMap(
          (line) => line.match(/^(?:table|view|materialized view) (\S+)$/)?.[1] ?? [],
        );
        return !told.some((line) => line.includes(name)) && !tables.some((table) => name.includes(table));
      });
    expect(untold).toEqual([]);
  });

  test("stops the command and the migration, which change nothing", async () => {
    const [findings, refusal] = await tried(async (sql) => {
      await sql.unsafe("create type billing.theirs as enum ('a')");
      const found = await uninstallFindings(sql);
      const failed = await sql.unsafe(`savepoint before; ${removalMigration(release)}`).then(
        () => "removed",
        (error: Error) => error.message,
      );
      return [found, failed] as const;
    });
    expect(findings).toMatchObject({
      isInstalled: true,
      theirs: [{ type: "type", identity: "billing.theirs" }],
    });
    expect(refusal).toMatch(/these are not Duebase's and would go with it: type billing\.theirs/);
  });

  test("is still told after an upgrade, and what the upgrade brings is ours", async () => {
    const lines = await tried(async (sql) => {
      await sql.unsafe(
        "create table billing.theirs (id int); create index theirs_too on billing.customers (name)",
      );
      const step = "create table billing.fresh (id int primary key); drop view billing.customer_overview;";
      await sql.unsafe(upgradeMigration(release, [{ release: "9.9.9", sql: step }]));
      return foreign(sql);
    });
    expect(lines).toEqual(["index billing.theirs_too", "table billing.theirs"]);
  });

  test.each([
    ["takes us out", removalMigration(release)],
    [
      "upgrades",
      upgradeMigration(release, [
        { release: "9.9.9", sql: "alter table billing.tick_parts add column next_note text;" },
      ]),
    ],
  ])(
    "the migration that %s waits for a tick that runs, which goes on meanwhile",
    async (_what, migration) => {
      const tick = database.connect();
      await tick`select pg_advisory_lock(hashtextextended('tick', 7310))`;
      const done = tried((sql) => sql.unsafe(migration));
      await untilSomebodyWaits(database);
      await tick`update billing.tick_parts set last_count = last_count`;
      await tick`select pg_advisory_unlock(hashtextextended('tick', 7310))`;
      await done;
    },
  );

  test("a schema billing that was never ours is not touched by our migration", async () => {
    const refusal = await tried(async (sql) => {
      await sql.unsafe(removalMigration(release));
      await sql.unsafe(removalMigration(release));
      await sql.unsafe("create schema billing; create table billing.invoices (id int)");
      return sql.unsafe(`savepoint before; ${removalMigration(release)}`).then(
        () => "removed",
        (error: Error) => error.message,
      );
    });
    expect(refusal).toMatch(/schema billing is not Duebase's/);
  });
});
