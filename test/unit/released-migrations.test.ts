import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { release } from "../../scripts/local/release.ts";
import {
  changedReleases,
  generateMigration,
  isMigrationCurrent,
  migrationFile,
  releasedMigrations,
  sha256Of,
  wholeDatabase,
} from "../../scripts/local/release-migration.ts";

test("every migration that is out says what it said when it came out", () => {
  expect(changedReleases()).toEqual([]);
  expect(isMigrationCurrent()).toBe(true);
});

describe("a release after the first", () => {
  let root: string;
  const first = { release, sha256: sha256Of(wholeDatabase()) };
  const write = async (path: string, content: string) => {
    await mkdir(join(root, path, ".."), { recursive: true });
    await writeFile(join(root, path), content);
  };
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "duebase-released-"));
    await write(migrationFile(release, [first]), wholeDatabase());
    await write("supabase/upgrades/9.0.0/from", `${release}\n`);
    await write(
      "supabase/upgrades/9.0.0/010_steps.sql",
      "alter table billing.settings add column motto text;\n",
    );
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  test("has a migration of its own, behind the one before, with the steps from it", () => {
    const [before, after] = [migrationFile(release, [first]), migrationFile("9.0.0", [first])];
    expect([after, before].sort()).toEqual([before, after]);
    const text = generateMigration([first], "9.0.0", root);
    expect(text).toContain("alter table billing.settings add column motto text;");
    expect(text).toContain(`if billing.version() <> '${release}' then`);
    expect(text).not.toContain("create table billing.settings");
  });

  test("needs its steps", () => {
    expect(() => generateMigration([first], "9.0.1", root)).toThrow(
      `This package (9.0.1) has no steps from ${release}, which is installed.`,
    );
  });

  test("leaves the first as it is: what it is made of may not change under its name", async () => {
    expect(generateMigration([first], release, root)).toBe(wholeDatabase());
    expect(() => generateMigration([{ release, sha256: sha256Of("other") }], release, root)).toThrow(
      `${release} is released, and its migration is frozen`,
    );
    expect(changedReleases([first], root)).toEqual([]);
    await write(migrationFile(release, [first]), `${wholeDatabase()}-- a word more\n`);
    expect(changedReleases([first], root)).toEqual([migrationFile(release, [first])]);
  });
});

test("what is out has a release, a sum and a dated section of the CHANGELOG", async () => {
  const released = releasedMigrations();
  expect(released.length).toBeGreaterThan(0);
  const changelog = await readFile(join(projectRoot, "CHANGELOG.md"), "utf8");
  for (const { release: name, sha256 } of released) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(changelog).toMatch(
      new RegExp(`^## \\[${name.replaceAll(".", "\\.")}\\] - \\d{4}-\\d{2}-\\d{2}$`, "m"),
    );
  }
});
