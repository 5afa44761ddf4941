import type { Sql } from "postgres";
import { CRON_JOBS } from "../project/our-names.ts";
import { Refusal } from "../terminal.ts";

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
  /** Of the team's, and would go with ours: inside our schemas, on our tables, or depending on ours. These stop everything. */
  theirs: DatabaseObject[];
  /** Of the team's, and only named in text: they would fail when they run. */
  mentions: DatabaseObject[];
}

/**
 * Looks at what uninstalling would mean; changes nothing.
 *
 * @param sql a client of `postgres`
 * @throws Refusal where schema billing is not ours, or does not know what of it is
 */
export async function uninstallFindings(sql: Sql): Promise<UninstallFindings> {
  const [there] = await sql<{ schema: boolean; books: boolean }[]>`
    select to_regnamespace('billing') is not null as schema,
      to_regclass('billing_private.our_objects') is not null
        and to_regprocedure('billing_private.foreign_objects()') is not null as books`;
  if (there?.schema !== true) return { isInstalled: false, theirs: [], mentions: await mentions(sql) };
  const [noted] = there.books ? await sql`select from billing_private.our_objects limit 1` : [];
  if (noted === undefined) {
    throw new Refusal(
      "The database has a schema billing, and no list of what in it is Duebase's (billing_private.our_objects).",
      "Is it the right database? If it was made from a dump without rows, restore one with rows, or drop both schemas by hand. Nothing was changed.",
    );
  }
  return {
    isInstalled: true,
    theirs: await sql<DatabaseObject[]>`select type, identity from billing_private.foreign_objects()`,
    mentions: await mentions(sql),
  };
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
        where j.command ~* '\\mbilling(_private)?\\s*\\.' and coalesce(j.jobname, '') <> all (${[...CRON_JOBS]})
        order by 2`
    : [];
  return [...functions, ...jobs];
}
