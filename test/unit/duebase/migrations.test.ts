import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  migrationsMaking,
  nextVersion,
  readMigrations,
} from "../../../scripts/duebase/project/migrations.ts";
import type { Project } from "../../../scripts/duebase/project/project.ts";
import { makeExistingProject } from "../../support/existing-project.ts";

const now = new Date("2026-11-30T09:45:00Z");

describe("our migration is dated", () => {
  test.each([
    ["now, where there are none", [], "20261130094500"],
    ["now, where theirs are older", ["20260301120000", "20261120093000"], "20261130094500"],
    ["one second after theirs, where the newest is of today", ["20261130120000"], "20261130120001"],
    ["over the end of a day and of a year", ["20261231235959"], "20270101000000"],
    ["after digits that are no date", ["20261399000000"], "20261399000001"],
    ["now, after versions of another form that sort before", ["0001", "0042"], "20261130094500"],
  ])("%s", (_name, versions, expected) => {
    expect(nextVersion(versions, now)).toBe(expected);
  });

  test.each([["20991231000000"], ["99990000"], ["20280101000000123"], ["42"]])(
    "not at all where the newest is %s: nothing could come after it",
    (version) => expect(() => nextVersion([version], now)).toThrow(/more than a year ahead or has no date/),
  );
});

describe("a schema of our name in their migrations", () => {
  let project: Project;
  let remove: () => Promise<void>;
  beforeEach(async () => {
    ({ project, remove } = await makeExistingProject());
  });
  afterEach(() => remove());
  const write = async (name: string, sql: string) => {
    await mkdir(join(project.supabase, "migrations"), { recursive: true });
    await writeFile(join(project.supabase, "migrations", name), sql);
  };

  test.each([
    "create schema billing;",
    "CREATE SCHEMA IF NOT EXISTS billing;",
    'create\n  schema "billing" authorization postgres;',
    "create schema billing_private;",
  ])("is found in: %s", async (sql) => {
    await write("20261001000000_theirs.sql", sql);
    expect(migrationsMaking(project, ["billing", "billing_private"])).toEqual([
      expect.stringMatching(/20261001000000_theirs\.sql: billing/),
    ]);
  });

  test.each([
    "-- create schema billing;",
    "/* create schema billing */",
    "create schema billing_old;",
    "create schema my_billing;",
    "-- Duebase 0.1.0\ncreate schema billing;",
    "create schema billing; alter schema billing rename to invoices;",
    "create schema billing; drop schema if exists billing cascade;",
  ])("is not found in: %s", async (sql) => {
    await write("20261001000000_theirs.sql", sql);
    expect(migrationsMaking(project, ["billing", "billing_private"])).toEqual([]);
  });

  test("and only migrations are read, oldest first", async () => {
    await write("README.md", "create schema billing;");
    expect(readMigrations(project).map(({ version }) => version)).toEqual([
      "20260301120000",
      "20260915080000",
      "20261120093000",
    ]);
  });
});
