import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations } from "../../scripts/local/migrations.ts";
import { projectRoot } from "../../scripts/local/project.ts";
import {
  type DebianPostgres,
  debianPostgresMissing,
  startDebianPostgres,
} from "../support/debian-postgres.ts";

const folder = join(projectRoot, "supabase", "tests");
const missing =
  debianPostgresMissing() ??
  (spawnSync("pg_prove", ["--version"]).error
    ? "pg_prove is not installed (Debian package libtap-parser-sourcehandler-pgtap-perl)"
    : undefined);

describe.skipIf(missing)(`PostgreSQL 15 as Debian packages it${missing ? `: ${missing}` : ""}`, () => {
  let server: DebianPostgres;
  let sql: Sql;

  beforeAll(async () => {
    server = await startDebianPostgres();
    sql = postgres(server.url, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await sql?.end();
    await server?.remove();
  });

  test("takes the migrations as they are, with the real pg_cron", async () => {
    const files = readdirSync(join(projectRoot, "supabase", "migrations")).filter((file) =>
      file.endsWith(".sql"),
    );
    const applied = await sql`select version from supabase_migrations.schema_migrations order by version`;
    expect(applied.map((row) => row.version)).toEqual(files.sort().map((file) => file.split("_")[0]));
    const [version] = await sql`select current_setting('server_version_num')::int / 10000 as major`;
    expect(version?.major).toBe(15);
    expect(server.standIns).not.toContain("pg_cron");
    const jobs = await sql`select jobname from cron.job order by jobname`;
    expect(jobs.map((row) => row.jobname)).toEqual(["duebase-dunning", "duebase-tick"]);
  });

  test("undoes a migration that fails half way, so that it can be run again", async () => {
    const project = await mkdtemp(join(tmpdir(), "duebase-half-"));
    await mkdir(join(project, "supabase", "migrations"), { recursive: true });
    await writeFile(
      join(project, "supabase", "migrations", "20260101000000_half.sql"),
      "create table public.half (id bigint primary key);\nselect 1 / 0;\n",
    );
    await sql`create database half`;
    const half = postgres(server.urlFor("postgres", "half"), { max: 1, onnotice: () => {} });
    try {
      await expect(applyMigrations(server.urlFor("postgres", "half"), project)).rejects.toThrow(
        "division by zero",
      );
      expect(await half`select to_regclass('public.half') as found`).toEqual([{ found: null }]);
    } finally {
      await half.end();
      await rm(project, { recursive: true });
    }
  });

  test("keeps every promise of supabase/tests", async () => {
    await sql`create extension if not exists pgtap with schema extensions`;
    const prove = spawn("pg_prove", ["--dbname", server.url, "--ext", ".sql", "--recurse", folder], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [prove.stdout, prove.stderr]) {
      stream.on("data", (chunk) => {
        output += chunk;
      });
    }
    const [code] = (await once(prove, "close")) as [number | null];
    expect(code, output).toBe(0);
    const suites = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((f) =>
      f.endsWith(".sql"),
    );
    expect(output, "every suite ran").toContain(`Files=${suites.length},`);
    expect(output).toContain("Result: PASS");
  });
});
