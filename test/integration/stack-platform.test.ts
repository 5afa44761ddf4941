import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type LocalPostgres,
  removePostgresData,
  startPostgres,
} from "../../scripts/local/postgres/server.ts";
import { eventually } from "../support/stack-project.ts";

let directory: string;
let server: LocalPostgres;
let sql: postgres.Sql;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-platform-"));
  server = await startPostgres({ directory, fsync: false });
  sql = postgres(server.url, { max: 4, onnotice: () => {} });
});

afterAll(async () => {
  await sql?.end();
  await server?.stop();
  await removePostgresData(directory);
});

describe("what the platform refuses because its postgres is no superuser is refused here", () => {
  test.each([
    ["an extension off the platform's list", "create extension plperlu"],
    ["a server setting", "alter system set work_mem = '64MB'"],
    ["a superuser of its own making", "create role intruder superuser"],
    ["making itself superuser", "alter role postgres superuser"],
    ["becoming the superuser", "set role supabase_admin"],
    ["programs on the server", "copy (select 1) to program 'true'"],
    ["files on the server", "copy (select 1) to '/tmp/duebase-should-not-exist'"],
    ["a table in schema auth", "create table auth.mine (id int)"],
    ["changing Auth's tables", "alter table auth.users add column mine int"],
  ])("%s", async (_what, statement) => {
    await expect(sql.unsafe(statement)).rejects.toMatchObject({ code: "42501" });
  });
});

test("postgres has the attributes it has on the platform", async () => {
  const [role] = await sql`
    select rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolreplication, rolbypassrls
    from pg_roles where rolname = 'postgres'
  `;
  expect(role).toEqual({
    rolsuper: false,
    rolcreatedb: true,
    rolcreaterole: true,
    rolcanlogin: true,
    rolreplication: true,
    rolbypassrls: true,
  });
});

test("postgres may reference Auth's users and put triggers on them", async () => {
  await sql.begin(async (transaction) => {
    await transaction.unsafe(`
      create table public.profiles (id uuid primary key references auth.users (id));
      create function public.tg_users__profile() returns trigger language plpgsql security definer
        set search_path = '' as $$ begin insert into public.profiles values (new.id); return new; end $$;
      create trigger make_profile after insert on auth.users
        for each row execute function public.tg_users__profile();
    `);
  });
  const auth = postgres(server.urlFor("supabase_auth_admin"), { max: 1, onnotice: () => {} });
  await auth`insert into auth.users (id, email) values ('00000000-0000-4000-8000-000000000001', 'a@example.com')`;
  await auth.end();
  expect(await sql`select count(*)::int as count from public.profiles`).toEqual([{ count: 1 }]);
});

test("the API roles see nothing of Auth's tables", async () => {
  for (const role of ["anon", "authenticated", "service_role"]) {
    await expect(
      sql.begin(async (transaction) => {
        await transaction.unsafe(`set local role ${role}`);
        await transaction`select from auth.users`;
      }),
    ).rejects.toMatchObject({ code: "42501" });
  }
});

test("who is signed in is read from the request's claims", async () => {
  const [row] = await sql.begin(async (transaction) => {
    await transaction`select set_config('request.jwt.claims', ${JSON.stringify({
      sub: "00000000-0000-4000-8000-000000000002",
      role: "authenticated",
      email: "b@example.com",
    })}, true)`;
    return transaction`select auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'sub' as sub`;
  });
  expect(row).toEqual({
    uid: "00000000-0000-4000-8000-000000000002",
    role: "authenticated",
    email: "b@example.com",
    sub: "00000000-0000-4000-8000-000000000002",
  });
  expect(await sql`select auth.uid(), auth.jwt()`).toEqual([{ uid: null, jwt: null }]);
});

test("the API logs in as authenticator, whose statements and waits for locks end after 8 seconds", async () => {
  const api = postgres(server.urlFor("authenticator"), { max: 1, onnotice: () => {} });
  expect(
    await api`select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock`,
  ).toEqual([{ statement: "8s", lock: "8s" }]);
  await expect(api`create table public.mine (id int)`).rejects.toMatchObject({ code: "42501" });
  await api.end();
  expect(
    await sql`select rolname, rolconfig from pg_roles where rolname in ('anon', 'authenticated') order by rolname`,
  ).toEqual([
    { rolname: "anon", rolconfig: ["statement_timeout=3s"] },
    { rolname: "authenticated", rolconfig: ["statement_timeout=8s"] },
  ]);
});

test("a new table is open to the API roles in public, and closed in a schema of one's own", async () => {
  await sql.unsafe("create table public.open (id int); create schema own; create table own.closed (id int)");
  const granted = async (table: string) =>
    (
      await sql`
        select role from unnest(array['anon', 'authenticated', 'service_role']) as role
        where has_table_privilege(role, ${table}, 'select')
      `
    ).length;
  expect(await granted("public.open")).toBe(3);
  expect(await granted("own.closed")).toBe(0);
});

test("a change of the schema is announced to the Data API; a temporary table is none", async () => {
  let announced = 0;
  const listener = postgres(server.url, { max: 1, onnotice: () => {} });
  await listener.listen("pgrst", () => announced++);
  await sql.unsafe("create temp table passing (id int)");
  await sql.unsafe("create table public.staying (id int)");
  await eventually("the table is announced", () => announced > 0);
  expect(announced).toBe(1);
  await sql.unsafe("drop table public.staying");
  await eventually("its end is announced", () => announced > 1);
  await listener.end();
});

test("the publication for Realtime is there, empty, and postgres may add tables to it", async () => {
  expect(await sql`select tablename from pg_publication_tables where pubname = 'supabase_realtime'`).toEqual(
    [],
  );
  await sql.unsafe("create table public.watched (id int primary key)");
  await sql.unsafe("alter publication supabase_realtime add table public.watched");
  expect(await sql`select tablename from pg_publication_tables where pubname = 'supabase_realtime'`).toEqual([
    { tablename: "watched" },
  ]);
});

test("secrets go into the vault, come out decrypted, and are hidden from signed-in users", async () => {
  const [made] = await sql`select vault.create_secret('first', 'duebase_test', 'for a test') as id`;
  await expect(sql`select vault.create_secret('again', 'duebase_test')`).rejects.toMatchObject({
    code: "23505",
  });
  await sql`select vault.update_secret(${made?.id}, 'second')`;
  expect(
    await sql`select name, description, decrypted_secret from vault.decrypted_secrets where id = ${made?.id}`,
  ).toEqual([{ name: "duebase_test", description: "for a test", decrypted_secret: "second" }]);
  await expect(sql`insert into vault.secrets (secret) values ('past the door')`).rejects.toMatchObject({
    code: "42501",
  });
  for (const statement of ["select from vault.decrypted_secrets", "select vault.create_secret('x')"]) {
    await expect(
      sql.begin(async (transaction) => {
        await transaction.unsafe("set local role authenticated");
        await transaction.unsafe(statement);
      }),
    ).rejects.toMatchObject({ code: "42501" });
  }
});

test("installing the platform again changes nothing and fails nowhere", async () => {
  const { installPlatform } = await import("../../scripts/local/platform/install.ts");
  await installPlatform(server.adminUrl);
  expect(await sql`select rolsuper from pg_roles where rolname = 'postgres'`).toEqual([{ rolsuper: false }]);
});
