import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  LOCK_FILE,
  type Lock,
  lockText,
  readLock,
  requireLock,
} from "../../../scripts/duebase/project/lock.ts";
import { findProject, linkedProjectRef } from "../../../scripts/duebase/project/project.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "duebase-project-"));
  await mkdir(join(root, "supabase", "functions", "hello"), { recursive: true });
  await writeFile(join(root, "supabase", "config.toml"), 'project_id = "shop"\n');
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe("the project is found", () => {
  test("from a folder inside it upwards, or where --dir says", () => {
    expect(findProject(undefined, join(root, "supabase", "functions", "hello")).root).toBe(root);
    expect(findProject(".", root).supabase).toBe(join(root, "supabase"));
  });

  test("or refused, naming the folder and what to do", () => {
    expect(() => findProject("supabase/functions", root)).toThrow(/functions is no Supabase project/);
    expect(() => findProject(undefined, tmpdir())).toThrow(/no supabase\/config\.toml was found/);
  });

  test("with the ref it is linked to, where it is", async () => {
    const project = findProject(undefined, root);
    expect(linkedProjectRef(project)).toBeUndefined();
    await mkdir(join(root, "supabase", ".temp"));
    await writeFile(join(root, "supabase", ".temp", "project-ref"), "abcdefghijklmnopqrst\n");
    expect(linkedProjectRef(project)).toBe("abcdefghijklmnopqrst");
  });
});

describe("the lock file", () => {
  const lock: Lock = {
    release: "0.1.0",
    migrations: ["20261120000001_duebase_0_1_0.sql"],
    files: { "supabase/functions/duebase-deliver/index.ts": "a".repeat(64) },
    emails: false,
    config: { sections: ["duebase-deliver"], schemas: ["billing"], hadSchemas: true, hadApi: true },
  };

  test("is read as it was written", async () => {
    await writeFile(join(root, LOCK_FILE), lockText(lock));
    expect(readLock(findProject(undefined, root))).toEqual(lock);
  });

  test("may be missing, and is asked for where it is needed", () => {
    const project = findProject(undefined, root);
    expect(readLock(project)).toBeUndefined();
    expect(() => requireLock(project)).toThrow(/there is no supabase\/duebase\.lock\.json/);
  });

  test("is refused where it is no lock file, or names a file outside the project", async () => {
    const project = findProject(undefined, root);
    for (const text of [
      "{",
      "{}",
      JSON.stringify({ ...lock, files: { "../elsewhere": "a".repeat(64) } }),
      JSON.stringify({ ...lock, files: { "/etc/hosts": "a".repeat(64) } }),
    ]) {
      await writeFile(join(root, LOCK_FILE), text);
      expect(() => readLock(project)).toThrow(/duebase\.lock\.json cannot be read/);
    }
  });
});
