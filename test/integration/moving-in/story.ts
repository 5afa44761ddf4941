import { readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { list } from "tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CRON_JOBS } from "../../../scripts/duebase/project/our-names.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { applyMigrations } from "../../../scripts/local/migrations.ts";
import { release } from "../../../scripts/local/release.ts";
import { type Catalog, catalogDifferences } from "../../support/catalog.ts";
import {
  addMigration,
  filesOf,
  makeExistingProject,
  THEIR_CONFIG,
  theirDatabase,
  withClient,
} from "../../support/existing-project.ts";
import { type PackedCommand, packCommand } from "../../support/packed-command.ts";
import { serve } from "../../unit/functions/served-function.ts";

/** A hosted-like database that the story is told on. */
export interface StoryServer {
  /** As `postgres`, who is no superuser. */
  url: string;
  adminUrl: string;
}

/** What of the catalog is ours while Duebase is installed, and nothing else. */
const OURS = [
  /^only in the second: cron job duebase-(tick|dunning)$/,
  /^only in the second: schema named billing(_private)?$/,
  /^only in the second: trigger duebase_\w+ on (auth\.)?users$/,
  /^differs: publication supabase_realtime/,
];

/**
 * Moving in and out again, in order, each step a test, with the package that `npm pack` makes. The steps share one
 * project and one database, and each begins where the one before it ended.
 */
export function movingIn(open: () => Promise<StoryServer>, openFresh: () => Promise<StoryServer>): void {
  let server: StoryServer;
  let command: PackedCommand;
  let project: Project;
  let remove: () => Promise<void>;
  let theirFiles: Record<string, string>;
  let theirs: Catalog;

  beforeAll(async () => {
    [command, server] = await Promise.all([packCommand(), open()]);
    ({ project, remove } = await makeExistingProject());
    await applyMigrations(server.url, project.root);
    theirFiles = await filesOf(project.root);
    theirs = await theirDatabase(server.adminUrl);
  }, 240_000);
  afterAll(async () => {
    await remove?.();
    await command?.remove();
  });

  const duebase = (...args: string[]) =>
    command.run(args, { cwd: join(project.root, "supabase"), env: { DUEBASE_DB_URL: server.url } });
  const push = () => applyMigrations(server.url, project.root);
  const version = (url = server.url) =>
    withClient(url, async (sql) => (await sql`select billing.version() as v`)[0]?.v);
  const differences = async () => catalogDifferences(theirs, await theirDatabase(server.adminUrl));
  const oursAmong = (paths: string[]) => paths.filter((path) => !(path in theirFiles));
  const migrations = async () => (await readdir(join(project.supabase, "migrations"))).sort();

  test("a dry run of init says what would be written, and writes nothing", async () => {
    const { code, out } = await duebase("init", "--dry-run");
    expect(code).toBe(0);
    expect(out).toContain("supabase/functions/duebase-stripe-webhook/");
    expect(await filesOf(project.root)).toEqual(theirFiles);
  });

  test("init adds ours and touches none of their files but config.toml", async () => {
    const { code, err } = await duebase("init");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const files = await filesOf(project.root);
    const changed = Object.keys(theirFiles).filter((path) => files[path] !== theirFiles[path]);
    expect(changed).toEqual(["supabase/config.toml"]);
    const added = oursAmong(Object.keys(files));
    expect(
      added.every((path) =>
        /^supabase\/(functions\/(_duebase|duebase-)|migrations\/\d+_duebase_|duebase\.lock\.json$)/.test(
          path,
        ),
      ),
    ).toBe(true);
    const config = await readFile(join(project.supabase, "config.toml"), "utf8");
    // Each of their lines is there, in its order.
    const lines = config.split("\n");
    let from = 0;
    for (const line of THEIR_CONFIG.trimEnd().split("\n")) {
      const at = lines.indexOf(line, from);
      expect([line, at >= from]).toEqual([line, true]);
      from = at + 1;
    }
  });

  test("the real CLI applies it after theirs, and their database is what it was but for ours", async () => {
    await push();
    expect(await version()).toBe(release);
    const jobs = await withClient(server.url, (sql) => sql`select jobname from cron.job order by 1`);
    expect(jobs.map(({ jobname }) => jobname)).toEqual(
      [...CRON_JOBS, "duebase-report", "nightly-report"].sort(),
    );
    const others = (await differences()).filter((line) => !OURS.some((ours) => ours.test(line)));
    expect(others).toEqual([]);
  });

  test("our functions run from their folder as they were put there, beside theirs", async () => {
    const environment = {
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_SECRET_KEY: "sb_secret_example",
      DUEBASE_STRIPE_WEBHOOK_SECRET: "whsec_example",
    };
    const served = await serve("duebase-stripe-webhook", environment, project.root);
    if (!("url" in served)) throw new Error(served.output);
    try {
      const answer = await fetch(served.url, { method: "POST", body: "{}" });
      expect([answer.status, answer.headers.get("duebase-release")]).toEqual([400, release]);
    } finally {
      await served.stop();
    }
  });

  test("init a second time changes nothing and says so", async () => {
    const before = await filesOf(project.root);
    const { code, err } = await duebase("init");
    expect(code).toBe(1);
    expect(err).toMatch(/in this project already/);
    expect(await filesOf(project.root)).toEqual(before);
  });

  test("uninstall stops at every kind of thing of theirs that depends on ours, and names it", async () => {
    await addMigration(
      project,
      "20270101000000_paid",
      `
      create policy paid on app.notes for insert to authenticated with check (billing.has_feature('notes'));
      create view app.payers as select id, email from billing.customers;
      create view app.payers_of_payers as select id from app.payers;
      create table app.invoice_notes (event_id text references billing.webhook_events (id), body text);
      create table app.gates (feature text default billing.version());
      create function app.on_event(event billing.stripe_events) returns void language sql as $$ select $$;
      create function app.on_entitlement() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger their_own after insert on billing.entitlements for each row execute function app.on_entitlement();
      create function app.asks() returns boolean language plpgsql as $$ begin return billing.has_feature('x'); end $$;
      create table billing.their_table (id int);
      `,
    );
    await push();
    const before = [await filesOf(project.root), await theirDatabase(server.adminUrl)];
    const { code, err } = await duebase("uninstall", "--yes", "--no-export");
    expect(code).toBe(1);
    for (const named of [
      "policy paid on app.notes",
      "view app.payers",
      "table constraint invoice_notes_event_id_fkey on app.invoice_notes",
      "default value for app.gates.feature",
      "function app.on_event(billing.stripe_events)",
      "trigger their_own on billing.entitlements",
      "table billing.their_table",
    ]) {
      expect(err).toContain(named);
    }
    expect(err).not.toContain("app.asks");
    expect([await filesOf(project.root), await theirDatabase(server.adminUrl)]).toEqual(before);
    expect(await version()).toBe(release);
  });

  test("and so does its migration, where it is pushed without the command", async () => {
    const { removalMigration } = await import("../../../scripts/duebase/uninstall/removal-migration.ts");
    const pushed = withClient(server.url, (sql) => sql.begin((it) => it.unsafe(removalMigration(release))));
    await expect(pushed).rejects.toThrow(/these are not Duebase's.*policy paid on app\.notes/);
    expect(await version()).toBe(release);
  });

  test("a file of ours that was changed stops it too", async () => {
    await addMigration(
      project,
      "20270102000000_unpaid",
      `
      drop policy paid on app.notes;
      drop view app.payers cascade;
      drop table app.invoice_notes, app.gates, billing.their_table;
      drop function app.on_event;
      drop trigger their_own on billing.entitlements;
      drop function app.on_entitlement;
      `,
    );
    await push();
    const file = join(project.supabase, "functions", "duebase-deliver", "run.ts");
    const content = readFileSync(file);
    await writeFile(file, `${content}\n// mine\n`);
    const { code, err } = await duebase("uninstall", "--yes", "--no-export");
    expect(code).toBe(1);
    expect(err).toContain("supabase/functions/duebase-deliver/run.ts");
    await writeFile(file, content);
  });

  test("uninstall warns of text that names ours, asks before it begins, and needs a word about the archive", async () => {
    const dry = await duebase("uninstall", "--dry-run");
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining("function app.asks()") });
    expect(await duebase("uninstall", "--yes")).toMatchObject({
      code: 1,
      err: expect.stringContaining("--no-export"),
    });
    const unasked = await duebase("uninstall", "--no-export");
    expect(unasked).toMatchObject({ code: 1, err: expect.stringContaining("--yes") });
    expect(await version()).toBe(release);
  });

  test("uninstall leaves an archive of every table, nothing of ours, and everything of theirs", async () => {
    await withClient(server.url, async (sql) => {
      await sql`select vault.create_secret('x', 'duebase_cron_secret')`;
      await sql`insert into billing.customers (id, email) values ('cus_kept', 'kept@example.com')`;
    });
    const archive = join(command.folder, "billing.tar.gz");
    const { code, err, out } = await duebase("uninstall", "--yes", "--export", archive);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("npx supabase functions delete duebase-stripe-webhook");

    const entries: string[] = [];
    await list({ file: archive, onReadEntry: (entry) => entries.push(entry.path) });
    expect(entries).toContain("manifest.json");
    expect(entries).toContain("tables/billing.customers.jsonl");
    expect(entries).toContain("tables/billing_private.error_codes.jsonl");

    await withClient(server.url, (sql) => sql`drop function app.asks()`);
    expect(await differences()).toEqual([]);
    const files = await filesOf(project.root);
    expect(Object.keys(theirFiles).filter((path) => files[path] !== theirFiles[path])).toEqual([]);
    // Theirs of the steps above, and the history of ours.
    expect(oursAmong(Object.keys(files)).filter((path) => !path.includes("/20270"))).toEqual([
      expect.stringMatching(/^supabase\/migrations\/\d{14}_duebase_/),
    ]);
    expect(await migrations()).toContainEqual(expect.stringMatching(/_remove_duebase\.sql$/));
  });

  test("pushing its migration afterwards changes nothing, and a fresh branch ends without ours", async () => {
    await push();
    expect(await differences()).toEqual([]);
    const branch = await openFresh();
    await applyMigrations(branch.url, project.root);
    await withClient(branch.url, (sql) => sql`drop function app.asks()`);
    expect(catalogDifferences(theirs, await theirDatabase(branch.adminUrl))).toEqual([]);
  });

  test("reinstalling works, and so does a fresh branch with that history", async () => {
    const { code, err } = await duebase("init");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    await push();
    expect(await version()).toBe(release);
    const branch = await openFresh();
    await applyMigrations(branch.url, project.root);
    expect(await version(branch.url)).toBe(release);
  });
}
