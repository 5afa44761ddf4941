import type { Sql } from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { planInit } from "../../../scripts/duebase/commands/init.ts";
import { databaseFindings } from "../../../scripts/duebase/init/database-obstacles.ts";
import { runDuebase } from "../../../scripts/duebase/program.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { readReleasePackage } from "../../../scripts/duebase/release-package.ts";
import { removalMigration } from "../../../scripts/duebase/uninstall/removal-migration.ts";
import { release } from "../../../scripts/local/release.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { filesOf, makeExistingProject } from "../../support/existing-project.ts";

let database: TestDatabase;
let project: Project;
let remove: () => Promise<void>;
beforeAll(async () => {
  // A project of Supabase without Duebase.
  database = await createTestDatabase();
  await database.sql.unsafe(removalMigration(release));
});
afterAll(() => database?.drop());
beforeEach(async () => {
  ({ project, remove } = await makeExistingProject());
});
afterEach(() => remove());

const plan = (databaseUrl = database.url) =>
  planInit(project, readReleasePackage(), { withEmails: false, databaseUrl, now: new Date() });

/** What is in the way, what init says of it, what to do, and the cure carried out. */
const obstacles: [name: string, made: string, what: RegExp, cure: RegExp, cured: string][] = [
  [
    "a schema billing of theirs",
    "create schema billing",
    /a schema billing that is not Duebase's/,
    /alter schema billing rename to app_billing/,
    "alter schema billing rename to app_billing; drop schema app_billing",
  ],
  [
    "tables of theirs in it",
    "create schema billing; create table billing.invoices (id int); create table billing.customers (id int)",
    /a schema billing that is not Duebase's/,
    /with whatever names it/,
    "alter schema billing rename to app_billing; drop schema app_billing cascade",
  ],
  [
    "a schema billing_private of theirs",
    "create schema billing_private",
    /a schema billing_private/,
    /alter schema billing_private rename/,
    "drop schema billing_private",
  ],
  [
    "Duebase in the database, and no lock file",
    "create schema billing; comment on schema billing is 'Duebase: of another folder'",
    /has Duebase already, and this project has no supabase\/duebase\.lock\.json/,
    /lock file back from git/,
    "drop schema billing",
  ],
  [
    "a cron job of our name",
    "select cron.schedule('duebase-tick', '* * * * *', 'select 1')",
    /cron jobs of our names: duebase-tick/,
    /cron\.unschedule\('duebase-tick'\)/,
    "select cron.unschedule('duebase-tick')",
  ],
  [
    "a name of ours in Vault",
    "select vault.create_secret('theirs', 'duebase_cron_secret')",
    /Vault has secrets of our names: duebase_cron_secret/,
    /delete from vault\.secrets where name = 'duebase_cron_secret'/,
    "delete from vault.secrets where name = 'duebase_cron_secret'",
  ],
  [
    "a trigger of our name on auth.users",
    `create function public.theirs() returns trigger language plpgsql as $$ begin return null; end $$;
     create trigger duebase_links_customers after insert on auth.users for each row execute function public.theirs()`,
    /auth\.users has triggers of our names: duebase_links_customers/,
    /Rename each/,
    "drop function public.theirs cascade",
  ],
];

describe("init with a database changes nothing, and says what to do, where there is", () => {
  test.each(obstacles)("%s", async (_name, made, what, cure, cured) => {
    await database.sql.unsafe(made);
    try {
      const before = await filesOf(project.root);
      const refused = plan();
      await expect(refused).rejects.toThrow(what);
      await expect(refused).rejects.toMatchObject({ name: "Refusal", cure: expect.stringMatching(cure) });
      expect(await runDuebase(["init", "--dir", project.root, "--db-url", database.url])).toBe(1);
      expect(await filesOf(project.root)).toEqual(before);
    } finally {
      await database.sql.unsafe(cured);
    }
    // Who follows the cure is let in.
    await expect(plan()).resolves.toBeDefined();
  });

  test("a role that may not do it", async () => {
    const refused = plan(database.urlFor("authenticator"));
    await expect(refused).rejects.toThrow(/the role authenticator may not make schemas/);
    await expect(refused).rejects.toMatchObject({ cure: expect.stringContaining("as the role postgres") });
  });

  test("more than one thing: all are named at once", async () => {
    await database.sql`create schema billing`;
    await database.sql`select cron.schedule('duebase-dunning', '* * * * *', 'select 1')`;
    await expect(plan()).rejects.toThrow(
      /2 things are in the way:[\s\S]*schema billing[\s\S]*duebase-dunning/,
    );
    await database.sql`select cron.unschedule('duebase-dunning')`;
    await database.sql`drop schema billing`;
  });

  test("jobs and secrets that only begin like ours are in nobody's way", async () => {
    await database.sql`select cron.schedule('duebase-report', '* * * * *', 'select 1')`;
    await database.sql`select vault.create_secret('theirs', 'duebase_report_key')`;
    await expect(plan()).resolves.toBeDefined();
  });
});

/** A server that answers as this one, but for one question. */
function answering(question: RegExp, rows: object[]): Sql {
  return ((strings: TemplateStringsArray, ...values: never[]) =>
    question.test(strings.join("?"))
      ? Promise.resolve(rows)
      : database.sql(strings, ...values)) as unknown as Sql;
}

/** What cannot be taken from the server of the tests. */
test.each<[string, RegExp, object[], RegExp]>([
  ["an old PostgreSQL", /server_version_num/, [{ major: 14 }], /the database is PostgreSQL 14/],
  ["no pg_net", /pg_available_extensions/, [{ name: "pg_net" }], /server lacks pg_net/],
  [
    "a database that is none of Supabase",
    /pg_roles as r where r\.rolname = needed/,
    [{ name: "role anon" }, { name: "table auth.users" }],
    /none of a Supabase project: it has no role anon, no table auth\.users/,
  ],
])("%s is in the way, with what to do", async (_name, question, rows, what) => {
  const { obstacles: found } = await databaseFindings(answering(question, rows));
  expect(found).toEqual([{ what: expect.stringMatching(what), cure: expect.stringMatching(/^[A-Z].*\.$/) }]);
});
