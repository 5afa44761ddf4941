import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { planInit } from "../../../scripts/duebase/commands/init.ts";
import { applyChanges, finishPending } from "../../../scripts/duebase/project/changes.ts";
import { hashOf, requireLock } from "../../../scripts/duebase/project/lock.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { readReleasePackage } from "../../../scripts/duebase/release-package.ts";
import { filesOf, makeExistingProject, THEIR_CONFIG } from "../../support/existing-project.ts";

const release = readReleasePackage();
const now = new Date("2026-11-30T09:45:00Z");
const plan = (project: Project, withEmails = false) =>
  planInit(project, release, { withEmails, databaseUrl: undefined, now });

let project: Project;
let remove: () => Promise<void>;
beforeEach(async () => {
  ({ project, remove } = await makeExistingProject());
});
afterEach(() => remove());

/** Each thing that may be in the way in the files, and what the refusal has to name. */
const obstacles: [name: string, files: Record<string, string>, what: RegExp, cure: RegExp][] = [
  [
    "a schema billing of theirs",
    { "supabase/migrations/20260101000000_x.sql": "create schema billing;" },
    /20260101000000_x\.sql: billing/,
    /Rename the schema/,
  ],
  [
    "a schema billing_private of theirs",
    { "supabase/migrations/20260101000000_x.sql": "create schema billing_private;" },
    /billing_private/,
    /Rename/,
  ],
  [
    "a function of our name",
    { "supabase/functions/duebase-deliver/index.ts": "" },
    /supabase\/functions\/duebase-deliver is there/,
    /Rename or remove/,
  ],
  [
    "a function of our names to come",
    { "supabase/functions/duebase-else/index.ts": "" },
    /duebase-else/,
    /Rename or remove/,
  ],
  [
    "our shared folder",
    { "supabase/functions/_duebase/env.ts": "" },
    /_duebase is there/,
    /Rename or remove/,
  ],
  [
    "a section of our name",
    { "supabase/config.toml": `${THEIR_CONFIG}\n[functions.duebase-portal]\nverify_jwt = true\n` },
    /\[functions\.duebase-portal\] already/,
    /Remove the section/,
  ],
  [
    "a schema billing exposed already",
    { "supabase/config.toml": THEIR_CONFIG.replace('"app",', '"billing",') },
    /exposes a schema billing/,
    /under \[api\]/,
  ],
  [
    "the Data API switched off",
    { "supabase/config.toml": THEIR_CONFIG.replace("enabled = true", "enabled = false") },
    /switches the Data API off/,
    /enabled = true/,
  ],
  [
    "an old PostgreSQL",
    { "supabase/config.toml": THEIR_CONFIG.replace("major_version = 17", "major_version = 14") },
    /PostgreSQL 14/,
    /Upgrade/,
  ],
  [
    "an old Supabase CLI",
    { "node_modules/supabase/package.json": '{ "name": "supabase", "version": "1.226.4" }' },
    /CLI is 1\.226\.4/,
    /npm install --save-dev supabase/,
  ],
  [
    "config.toml that does not parse",
    { "supabase/config.toml": `${THEIR_CONFIG}\n[api]\n` },
    /config\.toml does not parse: line \d+/,
    /Put it right/,
  ],
  ["a lock file", { "supabase/duebase.lock.json": "{}" }, /in this project already/, /duebase upgrade/],
  [
    "a migration dated far ahead",
    { "supabase/migrations/20990101000000_x.sql": "" },
    /20990101000000/,
    /Rename it/,
  ],
];

describe("init changes nothing and says what to do, where there is", () => {
  test.each(obstacles)("%s", async (_name, files, what, cure) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(project.root, path)), { recursive: true });
      await writeFile(join(project.root, path), content);
    }
    const before = await filesOf(project.root);
    const refused = plan(project);
    await expect(refused).rejects.toThrow(what);
    await expect(refused).rejects.toMatchObject({ name: "Refusal", cure: expect.stringMatching(cure) });
    expect(await filesOf(project.root)).toEqual(before);
  });

  test("a folder emails of theirs, and only where --emails was asked for", async () => {
    await mkdir(join(project.root, "emails"));
    await expect(plan(project, true)).rejects.toThrow(/emails is there already/);
    await expect(plan(project)).resolves.toBeDefined();
  });

  test("more than one thing: all are named at once", async () => {
    await mkdir(join(project.supabase, "functions", "_duebase"));
    await writeFile(join(project.supabase, "migrations", "20260101000000_x.sql"), "create schema billing;");
    await expect(plan(project)).rejects.toThrow(/2 things are in the way:[\s\S]*billing[\s\S]*_duebase/);
  });
});

test("init writes one migration, our functions, our sections and a lock file with the hash of each", async () => {
  const { migration, changes } = await plan(project, true);
  applyChanges(project, "init", changes);
  expect(migration).toMatch(/^20261130094500_duebase_\d+_\d+_\d+\.sql$/);
  const lock = requireLock(project);
  const files = await filesOf(project.root);
  for (const [path, hash] of Object.entries(lock.files)) expect([path, files[path]]).toEqual([path, hash]);
  expect(lock).toMatchObject({ release: release.release, migrations: [migration], emails: true });
  const sql = await readFile(join(project.supabase, "migrations", migration), "utf8");
  expect(hashOf(sql)).toBe(hashOf(await release.installSql()));
  // No seed, and nothing that is no part of a function.
  const added = Object.keys(files).filter((path) => /^supabase\/functions\//.test(path));
  expect(added.filter((path) => path.endsWith(".md"))).toEqual([]);
  expect(files["emails/pictures/payment-receipt.png"]).toBeUndefined();
});

describe("killed at any step", () => {
  class Killed extends Error {}

  test("init runs again and ends as if it had not been", async () => {
    const { changes } = await plan(project);
    const before = await filesOf(project.root);
    const steps: string[] = [];
    applyChanges(project, "init", changes, (step) => steps.push(step));
    const after = await filesOf(project.root);
    expect(steps.length).toBeGreaterThan(2 * changes.length);

    // Every step of the decision, and every tenth of the many like ones.
    const tried = steps.flatMap((step, index) =>
      index % 10 === 0 || !/^(kept|done) /.test(step) ? [index] : [],
    );
    for (const stop of tried) {
      await remove();
      ({ project, remove } = await makeExistingProject());
      let step = 0;
      const again = await plan(project);
      expect(() =>
        applyChanges(project, "init", again.changes, () => {
          if (step++ === stop) throw new Killed();
        }),
      ).toThrow(Killed);
      const decided = stop >= steps.indexOf("decided");
      expect([steps[stop], finishPending(project)]).toEqual([
        steps[stop],
        decided && steps[stop] !== "done" ? "init" : undefined,
      ]);
      expect([steps[stop], await filesOf(project.root)]).toEqual([steps[stop], decided ? after : before]);
    }
  });

  test("a file that was changed in between is not overwritten, and is named", async () => {
    const { changes } = await plan(project);
    expect(() =>
      applyChanges(project, "init", changes, (step) => {
        if (step === "decided") throw new Killed();
      }),
    ).toThrow(Killed);
    await writeFile(join(project.supabase, "config.toml"), "# changed\n");
    expect(() => finishPending(project)).toThrow(/duebase init was interrupted.*supabase\/config\.toml/);
    expect(await readFile(join(project.supabase, "config.toml"), "utf8")).toBe("# changed\n");
    expect(Object.keys(await filesOf(project.root))).not.toContain("supabase/functions/_duebase/env.ts");
    await rm(join(project.supabase, ".duebase-pending"), { recursive: true });
  });
});
