import { readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { list } from "tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Result } from "../../../scripts/duebase/doctor/run.ts";
import { CRON_JOBS } from "../../../scripts/duebase/project/our-names.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { applyMigrations } from "../../../scripts/local/migrations.ts";
import type { LocalPostgres } from "../../../scripts/local/postgres/server.ts";
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
import { type HostedProject, startHostedProject } from "../../support/hosted-project.ts";
import { type PackedCommand, packCommand } from "../../support/packed-command.ts";
import { goingLive } from "./live.ts";
import { haveSubscribers, type Subscribers } from "./subscribers.ts";

/** A hosted-like database that the story is told on; `url` is that of `postgres`, who is no superuser. */
export type StoryServer = Pick<LocalPostgres, "url" | "adminUrl" | "urlFor" | "standIns">;

/** What of the catalog is ours while Duebase is installed, and nothing else. */
const OURS = [
  /^only in the second: cron job duebase-(tick|dunning)$/,
  /^only in the second: schema named billing(_private)?$/,
  /^only in the second: trigger duebase_\w+ on (auth\.)?users$/,
  /^only in the second: secret duebase_(functions_url|cron_secret)$/,
  /^differs: publication supabase_realtime/,
];

/** What their functions answer. */
const THEIR_ANSWERS = { "stripe-webhook": "theirs", catalogue: "their catalogue" };

/**
 * Moving in and out again, in order, each step a test, with the package that `npm pack` makes. The steps share one
 * project and one database, and each begins where the one before it ended.
 */
export function movingIn(open: () => Promise<StoryServer>, openFresh: () => Promise<StoryServer>): void {
  let server: StoryServer;
  let command: PackedCommand;
  let project: Project;
  let hosted: HostedProject;
  let subscribers: Subscribers;
  let remove: () => Promise<void>;
  let theirFiles: Record<string, string>;
  let theirs: Catalog;

  beforeAll(async () => {
    [command, server] = await Promise.all([packCommand(), open()]);
    ({ project, remove } = await makeExistingProject());
    await applyMigrations(server.url, project.root);
    hosted = await startHostedProject({
      root: project.root,
      database: server,
      exposedSchemas: ["public", "graphql_public", "app"],
    });
    subscribers = await haveSubscribers(hosted, server.url);
    theirFiles = await filesOf(project.root);
    theirs = await theirDatabase(server.adminUrl);
  }, 240_000);
  afterAll(async () => {
    await hosted?.close();
    await remove?.();
    await command?.remove();
  });

  const duebase = (...args: string[]) =>
    command.run(args, { cwd: join(project.root, "supabase"), env: { DUEBASE_DB_URL: server.url } });
  /** With everything that its owner has in the environment. */
  const duebaseAsOwner = (...args: string[]) =>
    command.run(args, { cwd: join(project.root, "supabase"), env: hosted.env });
  const push = () => applyMigrations(server.url, project.root);
  const version = (url = server.url) =>
    withClient(url, async (sql) => (await sql`select billing.version() as v`)[0]?.v);
  const differences = async () => catalogDifferences(theirs, await theirDatabase(server.adminUrl));
  const expectTheirsUntouched = async () => {
    expect((await differences()).filter((line) => !OURS.some((ours) => ours.test(line)))).toEqual([]);
    const files = await filesOf(project.root);
    const changed = Object.keys(theirFiles).filter((path) => files[path] !== theirFiles[path]);
    expect(changed.filter((path) => path !== "supabase/config.toml")).toEqual([]);
    for (const [slug, text] of Object.entries(THEIR_ANSWERS)) {
      const answer = await fetch(`${hosted.functionsUrl}/${slug}`);
      expect([slug, await answer.text()]).toEqual([slug, text]);
    }
  };
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
    await expectTheirsUntouched();
  });

  test("init a second time changes nothing and says so", async () => {
    const before = await filesOf(project.root);
    const { code, err } = await duebase("init");
    expect(code).toBe(1);
    expect(err).toMatch(/in this project already/);
    expect(await filesOf(project.root)).toEqual(before);
  });

  goingLive(() => ({
    hosted,
    databaseUrl: server.url,
    subscribers,
    duebase: duebaseAsOwner,
    expectTheirsUntouched,
  }));

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
    const archive = join(command.folder, "billing.tar.gz");
    const { code, err, out } = await duebaseAsOwner("uninstall", "--yes", "--export", archive);
    expect({ code, err }, out).toEqual({ code: 0, err: "" });
    const { functions, secrets, exposedSchemas } = hosted.supabase.project;
    expect([...functions.keys()].sort()).toEqual(["catalogue", "checkout", "stripe-webhook"]);
    expect([...secrets.keys()]).toEqual([]);
    expect(exposedSchemas).toEqual(["public", "graphql_public", "app"]);
    await hosted.restarted();

    const entries: string[] = [];
    await list({ file: archive, onReadEntry: (entry) => entries.push(entry.path) });
    expect(entries).toContain("manifest.json");
    expect(entries).toContain("tables/billing.customers.jsonl");
    expect(entries).toContain("tables/billing_private.error_codes.jsonl");

    await withClient(server.url, (sql) => sql`drop function app.asks()`);
    expect(await differences()).toEqual([]);
    await expectTheirsUntouched();
    const files = await filesOf(project.root);
    expect(files["supabase/config.toml"]).toBe(theirFiles["supabase/config.toml"]);
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
    // A branch has no people: what they left behind is missing, and nothing else.
    expect(catalogDifferences(theirs, await theirDatabase(branch.adminUrl))).toEqual([
      "only in the first: rows of app.signups",
      "only in the first: rows of app.subscribers",
    ]);
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

  test("and connect sets it up again: nothing is left of the first time that is in its way", async () => {
    await hosted.deploy();
    const { code, out, err } = await duebaseAsOwner(
      "connect",
      "--yes",
      "--functions-url",
      hosted.functionsUrl,
    );
    expect({ code, err }, out).toEqual({ code: 0, err: "" });
    await hosted.restarted();
    // Where nothing runs it by the clock, one that never came is red from the third minute on.
    await hosted.tick();
    const doctor = await duebaseAsOwner("doctor", "--json");
    const results = JSON.parse(doctor.out).results as Result[];
    const red = results.filter(({ light }) => light === "red").map(({ check }) => check);
    // As after the first connect: nothing of the first time is known here.
    expect([...new Set(red)].sort()).toEqual(["history", "settings"]);
    expect(await withClient(server.url, (sql) => sql`select mode from billing.settings`)).toEqual([
      { mode: "mirror" },
    ]);
  });
}
