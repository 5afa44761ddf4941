import type { Sql } from "postgres";
import { CRON_JOBS, USER_TRIGGERS, VAULT_NAMES } from "../project/our-names.ts";
import { type Obstacle, OLDEST_POSTGRES } from "./obstacle.ts";

/** What a database says about putting Duebase into it. */
export interface DatabaseFindings {
  obstacles: Obstacle[];
  /** Versions of the migrations that were applied, so that ours can come after them. */
  versions: string[];
}

const NEEDED_EXTENSIONS = ["pg_cron", "pg_net", "supabase_vault"];

/** The roles that ours are granted to. */
const NEEDED_ROLES = ["anon", "authenticated", "service_role"];

/** Looks for what is in the way in the database; changes nothing. */
export async function databaseFindings(sql: Sql): Promise<DatabaseFindings> {
  // Who may not look, or looks at something else than a project of Supabase, would be told nonsense about the rest.
  const first = [...(await oldServer(sql)), ...(await noProject(sql)), ...(await missingPrivileges(sql))];
  if (first.length > 0) return { obstacles: first, versions: [] };
  return {
    obstacles: [
      ...(await takenSchemas(sql)),
      ...(await takenJobs(sql)),
      ...(await takenSecrets(sql)),
      ...(await takenTriggers(sql)),
      ...(await missingExtensions(sql)),
    ],
    versions: await appliedVersions(sql),
  };
}

/** Roles and users as Supabase makes them. */
async function noProject(sql: Sql): Promise<Obstacle[]> {
  const missing = await sql<{ name: string }[]>`
    select format('role %s', needed.name) as name from unnest(${NEEDED_ROLES}::text[]) as needed (name)
    where not exists (select from pg_catalog.pg_roles as r where r.rolname = needed.name)
    union all
    select 'table auth.users' where not exists (
      select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      where n.nspname = 'auth' and c.relname = 'users'
    )`;
  if (missing.length === 0) return [];
  return [
    {
      what: `the database is none of a Supabase project: it has no ${missing.map(({ name }) => name).join(", no ")}`,
      cure: "Name your project's database: in the dashboard under Connect.",
    },
  ];
}

/** The migration is applied by the role `postgres`, which may do all this. */
async function missingPrivileges(sql: Sql): Promise<Obstacle[]> {
  const [row] = await sql<{ role: string; schemas: boolean; users: boolean; bypasses: boolean }[]>`
    select current_user as role,
      has_database_privilege(current_database(), 'create') as schemas,
      has_schema_privilege('auth', 'usage') and has_table_privilege(
        (select c.oid from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where n.nspname = 'auth' and c.relname = 'users'),
        'trigger'
      ) as users,
      (select r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles as r where r.rolname = current_user) as bypasses`;
  const missing = [
    ...(row?.schemas === false ? ["make schemas"] : []),
    ...(row?.users === false ? ["put triggers on auth.users"] : []),
    // Row security of our tables holds for whoever does not bypass it, their owner in another session too.
    ...(row?.bypasses === false ? ["bypass row security"] : []),
  ];
  if (missing.length === 0) return [];
  return [
    {
      what: `the role ${row?.role} may not ${missing.join(", ")}`,
      cure: "Connect as the role postgres of your project, as `supabase db push` does.",
    },
  ];
}

async function oldServer(sql: Sql): Promise<Obstacle[]> {
  const [row] = await sql<
    { major: number }[]
  >`select current_setting('server_version_num')::int / 10000 as major`;
  if (row === undefined || row.major >= OLDEST_POSTGRES) return [];
  return [
    {
      what: `the database is PostgreSQL ${row.major}`,
      cure: `Upgrade the project to PostgreSQL ${OLDEST_POSTGRES} or later in the dashboard under Infrastructure.`,
    },
  ];
}

async function takenSchemas(sql: Sql): Promise<Obstacle[]> {
  const schemas = await sql<{ name: string; is_ours: boolean }[]>`
    select n.nspname as name, coalesce(obj_description(n.oid, 'pg_namespace') like 'Duebase%', false) as is_ours
    from pg_catalog.pg_namespace as n where n.nspname in ('billing', 'billing_private') order by 1`;
  const theirs = schemas.filter((schema) => !schema.is_ours).map(({ name }) => name);
  if (theirs.length > 0) {
    return [
      {
        what: `the database has a schema ${theirs.join(" and ")} that is not Duebase's`,
        cure: `Rename it, with whatever names it: alter schema ${theirs[0]} rename to app_${theirs[0]};`,
      },
    ];
  }
  if (schemas.length === 0) return [];
  return [
    {
      what: "the database has Duebase already, and this project has no supabase/duebase.lock.json",
      cure: "Bring the lock file back from git; or take Duebase out of the database first: npx duebase uninstall",
    },
  ];
}

async function takenJobs(sql: Sql): Promise<Obstacle[]> {
  const [cron] = await sql<{ is_there: boolean }[]>`select to_regclass('cron.job') is not null as is_there`;
  if (!cron?.is_there) return [];
  const jobs = await sql<{ jobname: string }[]>`
    select jobname from cron.job where jobname = any (${[...CRON_JOBS]}) order by 1`;
  if (jobs.length === 0) return [];
  const [first] = jobs;
  return [
    {
      what: `the database has cron jobs of our names: ${jobs.map(({ jobname }) => jobname).join(", ")}`,
      cure: `Remove or rename each: select cron.unschedule('${first?.jobname}');`,
    },
  ];
}

async function takenSecrets(sql: Sql): Promise<Obstacle[]> {
  const [vault] = await sql<{ is_there: boolean }[]>`
    select to_regclass('vault.secrets') is not null as is_there`;
  if (!vault?.is_there) return [];
  const names = await sql<{ name: string }[]>`
    select name from vault.secrets where name = any (${[...VAULT_NAMES]}) order by 1`;
  if (names.length === 0) return [];
  return [
    {
      what: `Vault has secrets of our names: ${names.map(({ name }) => name).join(", ")}`,
      cure: `Rename or delete each: delete from vault.secrets where name = '${names[0]?.name}';`,
    },
  ];
}

async function takenTriggers(sql: Sql): Promise<Obstacle[]> {
  const triggers = await sql<{ name: string }[]>`
    select t.tgname as name
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'auth' and c.relname = 'users' and t.tgname = any (${[...USER_TRIGGERS]})
      and to_regnamespace('billing') is null
    order by 1`;
  if (triggers.length === 0) return [];
  return [
    {
      what: `auth.users has triggers of our names: ${triggers.map(({ name }) => name).join(", ")}`,
      cure: "Rename each, by its function: a trigger of auth.users goes with its function, and not by drop trigger.",
    },
  ];
}

async function missingExtensions(sql: Sql): Promise<Obstacle[]> {
  const missing = await sql<{ name: string }[]>`
    select needed.name from unnest(${NEEDED_EXTENSIONS}::text[]) as needed (name)
    where not exists (select from pg_catalog.pg_available_extensions as e where e.name = needed.name)`;
  if (missing.length === 0) return [];
  return [
    {
      what: `the database's server lacks ${missing.map(({ name }) => name).join(", ")}`,
      cure: "Use a Supabase project, or a server with these extensions.",
    },
  ];
}

async function appliedVersions(sql: Sql): Promise<string[]> {
  const [history] = await sql<{ is_there: boolean }[]>`
    select to_regclass('supabase_migrations.schema_migrations') is not null as is_there`;
  if (!history?.is_there) return [];
  const rows = await sql<{ version: string }[]>`
    select version from supabase_migrations.schema_migrations order by version`;
  return rows.map(({ version }) => version);
}
