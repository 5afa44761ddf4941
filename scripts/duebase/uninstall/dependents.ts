import type { Sql } from "postgres";
import { CRON_JOBS } from "../project/our-names.ts";
import { DEPENDENTS_SQL } from "./dependents-sql.ts";

/** Something in the database, as PostgreSQL identifies it. */
export interface DatabaseObject {
  /** Such as `policy`, `view`, `function`. */
  type: string;
  identity: string;
}

/** What uninstalling would mean for a database. */
export interface UninstallFindings {
  /** Whether Duebase is in it. */
  isInstalled: boolean;
  /** Of the team's, and gone or broken with ours. These stop everything. */
  dependents: DatabaseObject[];
  /** Of the team's, and inside our schemas. These stop everything as well. */
  insideOurs: DatabaseObject[];
  /** Of the team's, and only named in text: they would fail when they run. */
  mentions: DatabaseObject[];
}

/**
 * Looks at what uninstalling would mean; changes nothing.
 *
 * @param sql a client of `postgres`
 * @param migrations the text of our migrations in the project, by which our objects are known
 */
export async function uninstallFindings(sql: Sql, migrations: string): Promise<UninstallFindings> {
  const [schema] = await sql<
    { is_there: boolean }[]
  >`select to_regnamespace('billing') is not null as is_there`;
  return {
    isInstalled: schema?.is_there === true,
    dependents: await sql.unsafe<DatabaseObject[]>(DEPENDENTS_SQL),
    insideOurs: await foreignObjects(sql, migrations),
    mentions: await mentions(sql),
  };
}

/** Relations and functions in our schemas that none of our migrations makes. */
async function foreignObjects(sql: Sql, migrations: string): Promise<DatabaseObject[]> {
  const made = new Set(
    [
      ...migrations.matchAll(
        /\bcreate\s+(?:or\s+replace\s+)?(?:unlogged\s+)?(?:table|view|materialized\s+view|function|procedure)\s+(?:if\s+not\s+exists\s+)?((?:billing|billing_private)\.\w+)/gi,
      ),
    ].map(([, name]) => name?.toLowerCase()),
  );
  const found = await sql<(DatabaseObject & { name: string })[]>`
    select i.type, i.identity, format('%s.%s', n.nspname, c.relname) as name
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    cross join lateral pg_catalog.pg_identify_object('pg_class'::regclass, c.oid, 0) as i
    where n.nspname in ('billing', 'billing_private') and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    union all
    select i.type, i.identity, format('%s.%s', n.nspname, p.proname)
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    cross join lateral pg_catalog.pg_identify_object('pg_proc'::regclass, p.oid, 0) as i
    where n.nspname in ('billing', 'billing_private')
    order by 1, 2`;
  return found.filter(({ name }) => !made.has(name)).map(({ type, identity }) => ({ type, identity }));
}

/** Functions and cron jobs of the team's whose text names our schemas. */
async function mentions(sql: Sql): Promise<DatabaseObject[]> {
  const functions = await sql<DatabaseObject[]>`
    select i.type, i.identity
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    cross join lateral pg_catalog.pg_identify_object('pg_proc'::regclass, p.oid, 0) as i
    where p.prosrc ~* '\\mbilling(_private)?\\s*\\.'
      and n.nspname not in ('billing', 'billing_private', 'pg_catalog', 'information_schema')
      and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    order by 2`;
  const [cron] = await sql<{ is_there: boolean }[]>`select to_regclass('cron.job') is not null as is_there`;
  const jobs = cron?.is_there
    ? await sql<DatabaseObject[]>`
        select 'cron job' as type, coalesce(j.jobname, j.jobid::text) as identity from cron.job as j
        where j.command ~* '\\mbilling(_private)?\\s*\\.' and coalesce(j.jobname, '') <> all (${[...CRON_JOBS]}) order by 2`
    : [];
  return [...functions, ...jobs];
}
