import type { Sql } from "postgres";
import { CRON_JOBS } from "../project/our-names.ts";
import { type Obstacle, OLDEST_POSTGRES } from "./obstacle.ts";

/** What a database says about putting Duebase into it. */
export interface DatabaseFindings {
  obstacles: Obstacle[];
  /** Versions of the migrations that were applied, so that ours can come after them. */
  versions: string[];
}

const NEEDED_EXTENSIONS = ["pg_cron", "pg_net", "supabase_vault"];

/** Looks for what is in the way in the database; changes nothing. */
export async function databaseFindings(sql: Sql): Promise<DatabaseFindings> {
  return {
    obstacles: [
      ...(await oldServer(sql)),
      ...(await takenSchemas(sql)),
      ...(await takenJobs(sql)),
      ...(await missingExtensions(sql)),
    ],
    versions: await appliedVersions(sql),
  };
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
