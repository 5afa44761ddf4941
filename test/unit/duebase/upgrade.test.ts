import { existsSync } from "node:fs";
import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { specimens } from "../../../emails/preview/specimens.ts";
import { planInit } from "../../../scripts/duebase/commands/init.ts";
import { planUpgrade } from "../../../scripts/duebase/commands/upgrade.ts";
import { applyChanges, finishPending } from "../../../scripts/duebase/project/changes.ts";
import { readConfig } from "../../../scripts/duebase/project/config.ts";
import { requireLock } from "../../../scripts/duebase/project/lock.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { type ReleasePackage, readReleasePackage } from "../../../scripts/duebase/release-package.ts";
import { buildChangedEmails } from "../../../scripts/duebase/upgrade/emails.ts";
import { compareReleases } from "../../../scripts/duebase/upgrade/steps.ts";
import { projectRoot } from "../../../scripts/local/project.ts";
import { filesOf, makeExistingProject, THEIR_CONFIG } from "../../support/existing-project.ts";
import { makeRelease, ownFile } from "../../support/made-up-release.ts";

const now = new Date("2026-11-30T09:45:00Z");
const installed = readReleasePackage();
const THEME = "emails/theme.ts";
const MODULE = "supabase/functions/_duebase/emails.gen.js";

let newer: ReleasePackage;
let removeNewer: () => Promise<void>;
beforeAll(async () => {
  ({ release: newer, remove: removeNewer } = await makeRelease({
    version: "0.3.0",
    upgrades: [
      { release: "0.2.0", from: installed.release, sql: "create table billing.two ();" },
      { release: "0.3.0", from: "0.2.0", sql: "create table billing.three ();" },
    ],
    files: {
      "supabase/functions/duebase-portal/handler.ts": "export const changed = true;\n",
      "supabase/functions/duebase-checkout": null,
      "supabase/functions/duebase-fresh/index.ts": "export {};\n",
      "supabase/config.toml": (await ownFile("supabase/config.toml")).replace(
        "duebase-checkout]",
        "duebase-fresh]",
      ),
      "emails/refund-issued.tsx": `${await ownFile("emails/refund-issued.tsx")}\n// of 0.3.0\n`,
      [THEME]: `${await ownFile(THEME)}\n// of 0.3.0\n`,
    },
  }));
});
afterAll(() => removeNewer());

let project: Project;
let remove: () => Promise<void>;
const plan = (release = newer, options: { overwrite?: boolean; withEmails?: boolean } = {}) =>
  planUpgrade(project, release, { overwrite: false, withEmails: false, now, ...options });
const at = (path: string) => join(project.root, path);

async function install(withEmails: boolean): Promise<void> {
  ({ project, remove } = await makeExistingProject());
  const { changes } = await planInit(project, installed, { withEmails, databaseUrl: undefined, now });
  applyChanges(project, "init", changes);
}
beforeEach(() => install(false));
afterEach(() => remove());

test("an upgrade over two releases is one migration, with the steps of each in order", async () => {
  const { migration, changes } = await plan();
  applyChanges(project, "upgrade", changes);
  expect(migration).toMatch(/^20261130094501_duebase_0_3_0\.sql$/);
  const sql = await readFile(at(`supabase/migrations/${migration}`), "utf8");
  const order = [
    "billing.version() <> ",
    "billing.two",
    "('0.2.0', now())",
    "billing.three",
    "('0.3.0', now())",
  ];
  expect(order.map((part) => sql.indexOf(part))).toEqual(
    [...order.map((part) => sql.indexOf(part))].sort((a, b) => a - b),
  );
  expect(order.every((part) => sql.includes(part))).toBe(true);
});

test("an upgrade replaces our functions, takes away those that are gone, and leaves theirs", async () => {
  const before = await filesOf(project.root);
  const { changes, removedFunctions } = await plan();
  applyChanges(project, "upgrade", changes);
  const after = await filesOf(project.root);
  expect(await readFile(at("supabase/functions/duebase-portal/handler.ts"), "utf8")).toContain("changed");
  expect(existsSync(at("supabase/functions/duebase-checkout"))).toBe(false);
  expect(existsSync(at("supabase/functions/duebase-fresh/index.ts"))).toBe(true);
  expect(removedFunctions).toEqual(["duebase-checkout"]);
  for (const path of Object.keys(before).filter((it) => !/duebase|config\.toml/.test(it))) {
    expect([path, after[path]]).toEqual([path, before[path]]);
  }
  const config = await readFile(at("supabase/config.toml"), "utf8");
  expect(readConfig(config).functions).toMatchObject({
    "duebase-fresh": { verify_jwt: false },
    checkout: { verify_jwt: true },
  });
  expect(readConfig(config).functions).not.toHaveProperty("duebase-checkout");
  expect(config.startsWith(THEIR_CONFIG.slice(0, 100))).toBe(true);

  const lock = requireLock(project);
  expect(lock).toMatchObject({
    release: "0.3.0",
    migrations: [expect.any(String), expect.stringContaining("0_3_0")],
  });
  for (const [path, hash] of Object.entries(lock.files)) expect([path, after[path]]).toEqual([path, hash]);
  expect((await plan()).changes).toEqual([]);
});

test("an upgrade stops with a list at any file of ours that was changed, and changes nothing", async () => {
  await writeFile(at("supabase/functions/duebase-deliver/run.ts"), "// mine\n");
  await rm(at("supabase/functions/_duebase/env.ts"));
  const before = await filesOf(project.root);
  await expect(plan()).rejects.toThrow(/_duebase\/env\.ts\n.*duebase-deliver\/run\.ts/);
  expect(await filesOf(project.root)).toEqual(before);
  applyChanges(project, "upgrade", (await plan(newer, { overwrite: true })).changes);
  expect(requireLock(project).release).toBe("0.3.0");
});

test("an upgrade does not write over a file of theirs where a new function goes", async () => {
  await writeFile(at("supabase/functions/checkout/index.ts"), "// theirs\n");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(at("supabase/functions/duebase-fresh"));
  await writeFile(at("supabase/functions/duebase-fresh/index.ts"), "// theirs\n");
  await expect(plan()).rejects.toThrow(/are there already.*duebase-fresh\/index\.ts/);
});

test("a package refuses a release that it has no steps from, and one that is newer", async () => {
  const gap = await makeRelease({
    version: "0.3.0",
    upgrades: [{ release: "0.3.0", from: "0.2.0", sql: "" }],
  });
  await expect(plan(gap.release)).rejects.toThrow(`no steps from ${installed.release}`);
  await gap.remove();
  applyChanges(project, "upgrade", (await plan()).changes);
  await expect(plan(installed)).rejects.toMatchObject({ cure: expect.stringContaining("a later one") });
});

test("releases are ordered as numbers", () => {
  const sorted = ["0.10.0", "0.2.0", "1.0.0", "1.0.0-rc.1", "0.9.9"].sort(compareReleases);
  expect(sorted).toEqual(["0.2.0", "0.9.9", "0.10.0", "1.0.0-rc.1", "1.0.0"]);
});

test("killed at any step, an upgrade is completed by the next command, or has changed nothing", async () => {
  const before = await filesOf(project.root);
  const steps: string[] = [];
  applyChanges(project, "upgrade", (await plan()).changes, (step) => steps.push(step));
  const after = await filesOf(project.root);
  class Killed extends Error {}
  for (const stop of steps.keys()) {
    await remove();
    await install(false);
    let step = 0;
    const { changes } = await plan();
    expect(() =>
      applyChanges(project, "upgrade", changes, () => {
        if (step++ === stop) throw new Killed();
      }),
    ).toThrow(Killed);
    finishPending(project);
    const expected = stop >= steps.indexOf("decided") ? after : before;
    expect([steps[stop], await filesOf(project.root)]).toEqual([steps[stop], expected]);
  }
});

describe("emails that a team changed", () => {
  beforeEach(async () => {
    await remove();
    await install(true);
    await symlink(join(projectRoot, "node_modules"), at("node_modules"));
  });

  test("write what the release's module writes while nothing is changed", async () => {
    const built = await buildChangedEmails(project, []);
    const module = built.find(({ path }) => path === MODULE)?.content?.toString() ?? "";
    const theirs = await rendered(module, at("theirs.mjs"));
    expect(theirs).toContain("<html");
    expect(theirs).toBe(await rendered(await ownFile(MODULE), at("ours.mjs")));
  });

  test("stay in an upgrade and are built; what was not touched is replaced; what both changed is named", async () => {
    await writeFile(at(THEME), `${await ownFile(THEME)}\nexport const ofTheTeam = "#123456";\n`);
    const english = (await ownFile("emails/languages/en.ts")).replace(/Reminder: /, "A friendly word: ");
    expect(english).toContain("A friendly word: ");
    await writeFile(at("emails/languages/en.ts"), english);
    const { changes, emails } = await plan();
    applyChanges(project, "upgrade", changes);
    expect(emails).toMatchObject({ kept: ["emails/languages/en.ts", THEME], toMerge: [THEME] });
    expect(await readFile(at(THEME), "utf8")).toContain("ofTheTeam");
    expect(await readFile(at("emails/refund-issued.tsx"), "utf8")).toContain("of 0.3.0");
    expect(await readFile(at(MODULE), "utf8")).toContain("A friendly word: ");
    expect((await plan()).changes).toEqual([]);
  });

  test("that do not build stop the upgrade, and nothing is changed", async () => {
    await writeFile(at(THEME), "export const = ;\n");
    const before = await filesOf(project.root);
    await expect(plan()).rejects.toThrow(/The emails do not build/);
    expect(await filesOf(project.root)).toEqual(before);
  });

  test("need packages of the project, and those that are missing are named with the command", async () => {
    await rm(at("node_modules"));
    await writeFile(at(THEME), `${await ownFile(THEME)}\n// mine\n`);
    await expect(plan()).rejects.toMatchObject({
      cure: expect.stringMatching(/^npm install --save-dev esbuild/),
    });
  });
});

/** Every email as a built module writes it, of its example props. */
async function rendered(module: string, file: string): Promise<string> {
  await writeFile(file, module);
  const { renderStoredEmail } = await import(pathToFileURL(file).href);
  return specimens()
    .map(({ template, brand, props }) =>
      JSON.stringify(renderStoredEmail(template, props, { brand, locales: ["en"] })),
    )
    .join("\n");
}

test("emails can be put in later", async () => {
  applyChanges(project, "upgrade", (await plan(installed, { withEmails: true })).changes);
  expect(existsSync(at("emails/index.ts"))).toBe(true);
  expect(requireLock(project)).toMatchObject({ emails: true, release: installed.release });
  expect(requireLock(project).migrations).toHaveLength(1);
});
