import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { describe, expect, test } from "vitest";
import { applyMigrations } from "../../scripts/local/migrations.ts";
import {
  type LocalPostgres,
  removePostgresData,
  startPostgres,
} from "../../scripts/local/postgres/server.ts";
import { type Catalog, catalogDifferences, readCatalog } from "../support/catalog.ts";

/** What an application has of its own, with functions that its policies and checks call for whoever asks. */
const application = `
  create schema shop;
  grant usage on schema shop to anon, authenticated, service_role;
  create function public.greeting() returns text language sql as $$ select 'hello' $$;
  create function shop.is_fair(price bigint) returns boolean language sql immutable as $$ select price >= 0 $$;
  create function shop.is_mine(owner uuid) returns boolean language sql stable as $$ select owner = auth.uid() $$;
  create table shop.orders (
    owner uuid not null,
    price bigint not null check (shop.is_fair(price))
  );
  alter table shop.orders enable row level security;
  create policy mine on shop.orders using (shop.is_mine(owner)) with check (shop.is_mine(owner));
  grant select, insert on shop.orders to authenticated;
`;

/** What it adds a month later. */
const later = `
  create function public.farewell() returns text language sql as $$ select 'goodbye' $$;
  create function shop.is_cheap(price bigint) returns boolean language sql immutable as $$ select price < 100 $$;
  create policy cheap_for_all on shop.orders for select to anon using (shop.is_cheap(price));
  grant select on shop.orders to anon;
  alter table shop.orders add constraint is_not_free check (shop.is_fair(price - 1));
`;

const withoutDefaultGrants = `
  alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
  alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
`;

/** What callers of the Data API get when they use it: the answer, or the SQLSTATE of the refusal. */
async function behaviour(url: string, statements: [role: string, statement: string][]): Promise<string[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const seen: string[] = [];
  class Undo extends Error {}
  for (const [role, statement] of statements) {
    const answer = await sql
      .begin(async (transaction) => {
        const claims = JSON.stringify({ role, sub: "5f0c9b1e-0000-4000-8000-000000000001" });
        await transaction`select set_config('role', ${role}, true), set_config('request.jwt.claims', ${claims}, true)`;
        throw Object.assign(new Undo(), { rows: await transaction.unsafe(statement) });
      })
      .catch((error) =>
        error instanceof Undo ? JSON.stringify(Object(error).rows) : `refused: ${error.code}`,
      );
    seen.push(`${role}: ${statement} → ${answer}`);
  }
  await sql.end();
  return seen;
}

const everybody = (statement: string): [string, string][] =>
  ["anon", "authenticated", "service_role"].map((role) => [role, statement]);

const usesOfApplication: [string, string][] = [
  ...everybody("select public.greeting() as answer"),
  ...everybody("select shop.is_fair(1) as answer"),
  ["authenticated", "insert into shop.orders values (auth.uid(), 5) returning price"],
  ["authenticated", "insert into shop.orders values (auth.uid(), -5) returning price"],
  ["authenticated", "insert into shop.orders values (gen_random_uuid(), 5) returning price"],
];
const usesOfLater: [string, string][] = [
  ...everybody("select public.farewell() as answer"),
  ...everybody("select shop.is_cheap(1) as answer"),
  ...everybody("select count(*) as answer from shop.orders"),
  ["authenticated", "insert into shop.orders values (auth.uid(), 0) returning price"],
];

interface Project {
  server: LocalPostgres;
  /** Runs statements as `postgres`, as a migration of the application's does. */
  migrate(statements: string): Promise<void>;
  catalog(): Promise<Catalog>;
}

async function inProject(work: (project: Project) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-application-"));
  const server = await startPostgres({ directory, fsync: false });
  const asRole = async <T>(url: string, run: (sql: Sql) => Promise<T>): Promise<T> => {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    try {
      return await run(sql);
    } finally {
      await sql.end();
    }
  };
  try {
    await work({
      server,
      migrate: async (statements) => {
        await asRole(server.url, (sql) => sql.unsafe(statements));
      },
      catalog: async () => {
        const catalog = await asRole(server.adminUrl, async (sql) => {
          // The table is there from the extension's creation on, which our migration may be the first to ask for.
          await sql.unsafe("create extension if not exists pg_cron with schema pg_catalog");
          return readCatalog(sql, ["public", "shop", "auth"]);
        });
        // What is ours: its triggers on auth.users, its jobs, its extensions and its tables in Realtime.
        return new Map(
          [...catalog].filter(([name]) => !/duebase|^(trigger|extension|publication) /.test(name)),
        );
      },
    });
  } finally {
    await server.stop();
    await removePostgresData(directory);
  }
}

describe.each([
  ["with Supabase's default grants", ""],
  ["without them", withoutDefaultGrants],
])("an application's own functions, %s,", (_, defaults) => {
  test("stay as they are under our migration, and on a fresh branch", { timeout: 120_000 }, async () => {
    let afterwards: Catalog = new Map();
    let behaved: string[] = [];
    await inProject(async ({ server, migrate, catalog }) => {
      await migrate(defaults);
      await migrate(application);
      const before = await catalog();
      const behavedBefore = await behaviour(server.urlFor("authenticator"), usesOfApplication);
      await applyMigrations(server.url);
      expect(catalogDifferences(before, await catalog())).toEqual([]);
      expect(await behaviour(server.urlFor("authenticator"), usesOfApplication)).toEqual(behavedBefore);
      await migrate(later);
      afterwards = await catalog();
      behaved = await behaviour(server.urlFor("authenticator"), [...usesOfApplication, ...usesOfLater]);
    });
    expect(behaved.filter((line) => line.includes("refused"))).toHaveLength(4);
    await inProject(async ({ server, migrate, catalog }) => {
      await migrate(defaults);
      await applyMigrations(server.url);
      await migrate(application);
      await migrate(later);
      expect(catalogDifferences(afterwards, await catalog())).toEqual([]);
      expect(await behaviour(server.urlFor("authenticator"), [...usesOfApplication, ...usesOfLater])).toEqual(
        behaved,
      );
    });
    await inProject(async ({ server, migrate }) => {
      await migrate(defaults);
      await migrate(application);
      await migrate(later);
      expect(await behaviour(server.urlFor("authenticator"), [...usesOfApplication, ...usesOfLater])).toEqual(
        behaved,
      );
    });
  });
});
