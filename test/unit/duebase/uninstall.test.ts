import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { planInit } from "../../../scripts/duebase/commands/init.ts";
import { planFiles } from "../../../scripts/duebase/commands/uninstall.ts";
import { ManagementApi } from "../../../scripts/duebase/connections/management.ts";
import { runDuebase } from "../../../scripts/duebase/program.ts";
import { applyChanges, finishPending } from "../../../scripts/duebase/project/changes.ts";
import { requireLock } from "../../../scripts/duebase/project/lock.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { readReleasePackage } from "../../../scripts/duebase/release-package.ts";
import {
  platformFindings,
  refuseOtherProject,
  removeFromPlatform,
} from "../../../scripts/duebase/uninstall/platform.ts";
import { type LocalManagement, startLocalManagement } from "../../../scripts/local/management/server.ts";
import { filesOf, makeExistingProject } from "../../support/existing-project.ts";

const now = new Date("2026-11-30T09:45:00Z");
const later = new Date("2026-12-24T09:45:00Z");
const ref = "abcdefghijklmnopqrst";

describe("in the files of a project", () => {
  let project: Project;
  let remove: () => Promise<void>;
  let theirs: Record<string, string>;
  const install = async (withEmails = false) => {
    ({ project, remove } = await makeExistingProject());
    theirs = await filesOf(project.root);
    const { changes } = await planInit(project, readReleasePackage(), {
      withEmails,
      databaseUrl: undefined,
      now,
    });
    applyChanges(project, "init", changes);
  };
  const plan = (deleteMigrations: boolean) =>
    planFiles(project, requireLock(project), { deleteMigrations, now: later });
  beforeEach(() => install(true));
  afterEach(() => remove());

  test("uninstalling leaves the history and a migration that removes, and every byte of theirs", async () => {
    applyChanges(project, "uninstall", plan(false));
    const files = await filesOf(project.root);
    const ours = Object.keys(files).filter((path) => files[path] !== theirs[path]);
    expect(ours).toEqual([
      expect.stringMatching(/^supabase\/migrations\/20261130094500_duebase_/),
      "supabase/migrations/20261224094500_remove_duebase.sql",
    ]);
    expect(Object.keys(theirs).filter((path) => !(path in files))).toEqual([]);
    // No empty folder stays behind.
    expect((await readdir(join(project.supabase, "functions"))).sort()).toEqual([
      "_shared",
      "catalogue",
      "checkout",
      "stripe-webhook",
    ]);
    expect(existsSync(join(project.root, "emails"))).toBe(false);
  });

  test("what was never pushed can go without a trace", async () => {
    applyChanges(project, "uninstall", plan(true));
    expect(await filesOf(project.root)).toEqual(theirs);
  });

  test("killed at any step, it is completed by the next command, or has changed nothing", async () => {
    await remove();
    await install();
    const before = await filesOf(project.root);
    const steps: string[] = [];
    applyChanges(project, "uninstall", plan(false), (step) => steps.push(step));
    const after = await filesOf(project.root);
    class Killed extends Error {}
    for (const stop of [...steps.keys()].filter((index) => index % 12 === 0 || index > steps.length - 4)) {
      await remove();
      await install();
      let step = 0;
      expect(() =>
        applyChanges(project, "uninstall", plan(false), () => {
          if (step++ === stop) throw new Killed();
        }),
      ).toThrow(Killed);
      finishPending(project);
      const expected = stop >= steps.indexOf("decided") ? after : before;
      expect([steps[stop], await filesOf(project.root)]).toEqual([steps[stop], expected]);
    }
  }, 60_000);

  const filesAlone = () => [
    "uninstall",
    "--dir",
    project.root,
    "--no-database",
    "--no-platform",
    "--no-export",
    "--yes",
  ];
  /** What the command says while `work` is done. */
  async function saying(work: () => Promise<unknown>): Promise<string> {
    const said: string[] = [];
    const keep = (text: unknown) => {
      said.push(String(text));
      return true;
    };
    const spies = [
      vi.spyOn(process.stdout, "write").mockImplementation(keep),
      vi.spyOn(process.stderr, "write").mockImplementation(keep),
    ];
    await work().finally(() => {
      for (const spy of spies) spy.mockRestore();
    });
    return said.join("");
  }

  test("it names a migration to push where it wrote one, and else none", async () => {
    const without = await saying(() => runDuebase([...filesAlone(), "--delete-migrations"]));
    expect(without).toContain("the database: nothing, as our migrations were never pushed anywhere");
    expect(without).not.toContain("db push");
    await remove();
    await install();
    const withOne = await saying(() => runDuebase(filesAlone()));
    expect(withOne).toContain("when the migration below is applied");
    expect(withOne).toContain("npx supabase db push --linked");
  });

  test("the list of languages that a build wrote is no change of theirs", async () => {
    await writeFile(join(project.root, "emails", "languages", "all.gen.ts"), "// of another build\n");
    expect(await runDuebase(filesAlone())).toBe(0);
    expect(existsSync(join(project.root, "emails"))).toBe(false);
  });

  test("emails that were changed are not thrown away unasked", async () => {
    await writeFile(join(project.root, "emails", "theme.ts"), "// mine\n");
    const before = await filesOf(project.root);
    const args = filesAlone();
    expect(await runDuebase(args)).toBe(1);
    expect(await filesOf(project.root)).toEqual(before);
    expect(await runDuebase([...args, "--discard-changes"])).toBe(0);
    expect(existsSync(join(project.root, "emails"))).toBe(false);
  });
});

describe("on the hosted project", () => {
  const slugs = readReleasePackage().sections.map(({ slug }) => slug);
  const theirSlugs = ["stripe-webhook", "duebase-report"];
  const theirSecrets = ["STRIPE_SECRET_KEY", "DUEBASE_REPORT_TOKEN"];
  let supabase: LocalManagement;
  let api: ManagementApi;
  beforeAll(async () => {
    supabase = await startLocalManagement({ port: 0, ref, exposedSchemas: ["public", "billing", "app"] });
    api = new ManagementApi({ projectRef: ref, accessToken: supabase.accessToken, apiUrl: supabase.url });
    for (const slug of ["duebase-deliver", "duebase-portal", ...theirSlugs]) supabase.project.deploy(slug);
    await supabase.project.setSecrets([
      { name: "DUEBASE_CRON_SECRET", value: "ours" },
      ...theirSecrets.map((name) => ({ name, value: "theirs" })),
    ]);
  });
  afterAll(() => supabase.close());

  test("ours is found and taken away, twice without harm; theirs stays, however it is called", async () => {
    const findings = await platformFindings(api, slugs);
    expect(findings).toEqual({
      projectRef: ref,
      functions: ["duebase-deliver", "duebase-portal"],
      secrets: ["DUEBASE_CRON_SECRET"],
      isExposed: true,
    });
    // Since then somebody has exposed another one.
    supabase.project.exposedSchemas.push("reports");
    await removeFromPlatform(api, findings);
    await removeFromPlatform(api, findings);
    expect([...supabase.project.functions.keys()]).toEqual(theirSlugs);
    expect([...supabase.project.secrets.keys()]).toEqual(theirSecrets);
    expect(supabase.project.exposedSchemas).toEqual(["public", "app", "reports"]);
    expect(await platformFindings(api, slugs)).toMatchObject({
      functions: [],
      secrets: [],
      isExposed: false,
    });
  });

  test("the database of one project and the functions of another are refused", () => {
    const other = "zzzzzzzzzzzzzzzzzzzz";
    const direct = `postgresql://postgres:secret@db.${other}.supabase.co:5432/postgres`;
    const pooler = `postgresql://postgres.${other}:secret@aws-0-eu-central-1.pooler.supabase.com:5432/postgres`;
    for (const url of [direct, pooler]) {
      expect(() => refuseOtherProject(url, ref)).toThrow(`The database is that of project ${other}`);
      expect(() => refuseOtherProject(url, other)).not.toThrow();
    }
    expect(() => refuseOtherProject("postgresql://postgres@127.0.0.1:5432/postgres", ref)).not.toThrow();
  });
});
