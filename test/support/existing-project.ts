import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import postgres, { type Sql } from "postgres";
import { findProject, type Project } from "../../scripts/duebase/project/project.ts";
import { type Catalog, readCatalog } from "./catalog.ts";

/** A team's own config.toml, with comments, an order and spellings of its own. */
export const THEIR_CONFIG = `# The shop's project. Ask Kim before changing ports.
project_id = "shop"   # not the ref

[api]
enabled = true
port = 54321
# graphql is not used, but the dashboard asks for it
schemas = [
  "public",          # everything
  "graphql_public",
  "app",
]
max_rows = 500

[db]
major_version = 17

[auth]
site_url = "https://shop.example.com"
additional_redirect_urls = ["https://shop.example.com/*"] # no wildcards above

[functions.stripe-webhook]
verify_jwt = false # Stripe signs

[functions.catalogue]
verify_jwt = false

[functions.checkout]
verify_jwt = true
`;

/** Everything a team may have that ours could touch: dated to 2026-11-20. */
const THEIR_FILES: Record<string, string> = {
  "package.json": '{ "name": "shop", "private": true }\n',
  "supabase/config.toml": THEIR_CONFIG,
  "supabase/seed.sql": "insert into app.plans values ('free') on conflict do nothing;\n",
  "supabase/functions/stripe-webhook/index.ts": 'Deno.serve(() => new Response("theirs"));\n',
  "supabase/functions/catalogue/index.ts": 'Deno.serve(() => new Response("their catalogue"));\n',
  "supabase/functions/checkout/index.ts": 'Deno.serve(() => new Response("their checkout"));\n',
  "supabase/functions/_shared/stripe.ts": 'export const stripe = "their own";\n',
  "supabase/migrations/20260301120000_app.sql": `
create schema app;
grant usage on schema app to anon, authenticated, service_role;
create table app.plans (name text primary key);
create table app.notes (id bigint generated always as identity primary key, owner uuid not null, body text not null default '');
alter table app.notes enable row level security;
create function app.is_mine(owner uuid) returns boolean language sql stable as $$ select owner = auth.uid() $$;
create policy mine on app.notes using (app.is_mine(owner)) with check (app.is_mine(owner));
grant select, insert on app.notes to authenticated;
create table app.subscribers (user_id uuid primary key, stripe_customer text not null);
create function public.greeting() returns text language sql as $$ select 'hello' $$;
alter default privileges in schema app grant select on tables to service_role;
insert into app.plans values ('free'), ('pro');
`,
  "supabase/migrations/20260915080000_jobs.sql": `
create extension if not exists pg_cron with schema pg_catalog;
create extension if not exists pg_net with schema extensions;
select cron.schedule('nightly-report', '0 3 * * *', $$select public.greeting()$$);
select vault.create_secret('a value of theirs', 'partner_key', 'not ours');
-- Theirs too, though they begin as ours do.
select cron.schedule('duebase-report', '0 4 * * *', $$select public.greeting()$$);
select vault.create_secret('another value of theirs', 'duebase_report_key');
alter publication supabase_realtime add table app.notes;
`,
  "supabase/migrations/20261120093000_signups.sql": `
create table app.signups (id uuid primary key);
create function app.note_signup() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into app.signups values (new.id);
  return new;
end;
$$;
create trigger shop_signup after insert on auth.users for each row execute function app.note_signup();
`,
};

/** Adds a migration of the team's. */
export async function addMigration(project: Project, name: string, sql: string): Promise<void> {
  await writeFile(join(project.supabase, "migrations", `${name}.sql`), sql);
}

/** Makes the project in a folder of its own; `remove` it afterwards. */
export async function makeExistingProject(
  files: Record<string, string> = {},
): Promise<{ project: Project; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "duebase-shop-"));
  for (const [path, content] of Object.entries({ ...THEIR_FILES, ...files })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return { project: findProject(root), remove: () => rm(root, { recursive: true, force: true }) };
}

/** Every file of a folder and the hash of its bytes. */
export async function filesOf(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !path.startsWith("node_modules/"))
    .sort();
  const hashes = await Promise.all(
    files.map(async (path) =>
      createHash("sha256")
        .update(await readFile(join(root, path)))
        .digest("hex"),
    ),
  );
  return Object.fromEntries(files.map((path, index) => [path, hashes[index] ?? ""]));
}

/** What a database holds outside of our two schemas: definitions, rows, cron jobs, and the names and values in Vault. */
export async function theirDatabase(adminUrl: string): Promise<Catalog> {
  return withClient(adminUrl, async (sql) => {
    const catalog = await readCatalog(sql, ["public", "app", "auth"]);
    const secrets = await sql<{ name: string; secret: string }[]>`
      select name, decrypted_secret as secret from vault.decrypted_secrets order by name`;
    for (const { name, secret } of secrets) catalog.set(`secret ${name}`, secret);
    const schemas = await sql<{ name: string }[]>`
      select nspname as name from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1`;
    for (const { name } of schemas) catalog.set(`schema named ${name}`, "");
    return catalog;
  });
}

/** Does work with one connection. */
export async function withClient<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
