import type { Sql } from "postgres";

/** One thing a database has, and what it is like: `function billing.has_feature(text)` and its definition. */
export type Catalog = Map<string, string>;

/**
 * Reads what is defined in a database: schemas, relations, columns, constraints, indexes, functions, triggers,
 * policies, types, their privileges and comments; default privileges, extensions, cron jobs and publications; and
 * which rows the tables of the given schemas were filled with. Two databases with equal catalogs behave alike.
 *
 * Objects that belong to an extension, and PostgreSQL's own, are left out.
 *
 * @param sql a client of a superuser
 * @param schemas the schemas to read; `auth` is read for the triggers on its tables only
 * @returns sorted by name
 */
export async function readCatalog(sql: Sql, schemas: string[]): Promise<Catalog> {
  const rows = await sql.unsafe<{ thing: string; definition: string | null }[]>(
    things.map((statement) => `(${statement})`).join("\nunion all\n"),
    [schemas],
  );
  const catalog: Catalog = new Map();
  for (const { thing, definition } of rows) {
    if (catalog.has(thing)) throw new Error(`two things in the catalog are called ${thing}`);
    catalog.set(thing, definition ?? "");
  }
  for (const [thing, definition] of await filledTables(sql, schemas)) catalog.set(thing, definition);
  return new Map([...catalog].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const acl = (list: string, kind: string, owner: string): string =>
  `(select string_agg(a::text, ',' order by a::text) from unnest(coalesce(${list}, acldefault('${kind}', ${owner}))) as a)`;

const notOfExtension = (catalog: string, oid: string): string =>
  `not exists (select 1 from pg_depend as d where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e')`;

/** Each gives `thing` and `definition`; `$1` is the list of schemas. */
const things: string[] = [
  `select format('schema %s', n.nspname) as thing,
     concat_ws(' | ', ${acl("n.nspacl", "n", "n.nspowner")}, obj_description(n.oid, 'pg_namespace')) as definition
   from pg_namespace as n where n.nspname = any ($1)`,

  `select format('relation %s', c.oid::regclass),
     concat_ws(' | ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
       c.reloptions::text, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), c.relowner::regrole,
       ${acl("c.relacl", "r", "c.relowner")}, obj_description(c.oid, 'pg_class'),
       case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
   from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
   where n.nspname = any ($1) and n.nspname <> 'auth' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
     and ${notOfExtension("pg_class", "c.oid")}`,

  `select format('column %s.%I', c.oid::regclass, a.attname),
     concat_ws(' | ', row_number() over (partition by c.oid order by a.attnum), format_type(a.atttypid, a.atttypmod),
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage, a.attcompression,
       a.attacl::text,
       (select string_agg(o, ',') from unnest(a.attoptions) as o where o not like 'pg\\_attver=%'), col_description(c.oid, a.attnum))
   from pg_class as c
   join pg_namespace as n on n.oid = c.relnamespace
   join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
   where n.nspname = any ($1) and n.nspname <> 'auth' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
     and ${notOfExtension("pg_class", "c.oid")}`,

  `select format('constraint %I on %s', k.conname,
       case when k.conrelid = 0 then k.contypid::regtype::text else k.conrelid::regclass::text end),
     concat_ws(' | ', pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint'))
   from pg_constraint as k join pg_namespace as n on n.oid = k.connamespace
   where n.nspname = any ($1) and n.nspname <> 'auth' and k.contype <> 't'`,

  `select format('index %s', i.indexrelid::regclass),
     concat_ws(' | ', pg_get_indexdef(i.indexrelid), i.indisvalid, obj_description(i.indexrelid, 'pg_class'))
   from pg_index as i
   join pg_class as c on c.oid = i.indexrelid
   join pg_namespace as n on n.oid = c.relnamespace
   where n.nspname = any ($1) and n.nspname <> 'auth'`,

  `select format('%s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure),
     concat_ws(' | ', case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) end, p.proowner::regrole,
       ${acl("p.proacl", "f", "p.proowner")}, obj_description(p.oid, 'pg_proc'))
   from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
   where n.nspname = any ($1) and n.nspname <> 'auth' and ${notOfExtension("pg_proc", "p.oid")}`,

  `select format('trigger %I on %s', t.tgname, t.tgrelid::regclass),
     concat_ws(' | ', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
   from pg_trigger as t
   join pg_class as c on c.oid = t.tgrelid
   join pg_namespace as n on n.oid = c.relnamespace
   where n.nspname = any ($1) and not t.tgisinternal`,

  `select format('policy %I on %s', p.polname, p.polrelid::regclass),
     concat_ws(' | ', p.polcmd, p.polpermissive,
       (select string_agg(case r when 0 then 'public' else r::regrole::text end, ',' order by r) from unnest(p.polroles) as r),
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))
   from pg_policy as p
   join pg_class as c on c.oid = p.polrelid
   join pg_namespace as n on n.oid = c.relnamespace
   where n.nspname = any ($1)`,

  `select format('type %s', t.oid::regtype),
     concat_ws(' | ', t.typtype, t.typnotnull, t.typdefault, ${acl("t.typacl", "T", "t.typowner")},
       obj_description(t.oid, 'pg_type'),
       (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum as e where e.enumtypid = t.oid))
   from pg_type as t join pg_namespace as n on n.oid = t.typnamespace
   where n.nspname = any ($1) and n.nspname <> 'auth' and t.typtype in ('c', 'd', 'e', 'r')
     and ${notOfExtension("pg_type", "t.oid")}`,

  `select format('default privileges of %s in %s on %s', d.defaclrole::regrole, coalesce(n.nspname, 'every schema'), d.defaclobjtype),
     (select string_agg(a::text, ',' order by a::text) from unnest(d.defaclacl) as a)
   from pg_default_acl as d left join pg_namespace as n on n.oid = d.defaclnamespace`,

  `select format('extension %s', e.extname), concat_ws(' | ', e.extversion, e.extnamespace::regnamespace)
   from pg_extension as e`,

  `select format('publication %s', p.pubname),
     concat_ws(' | ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
       (select string_agg(r.prrelid::regclass::text, ',' order by r.prrelid::regclass::text)
        from pg_publication_rel as r where r.prpubid = p.oid))
   from pg_publication as p`,

  `select format('cron job %s', j.jobname), concat_ws(' | ', j.schedule, j.command, j.username, j.active)
   from cron.job as j`,
];

/** The rows of every table that has any, without the moments at which they were written and what a tick notes of its last run. */
async function filledTables(sql: Sql, schemas: string[]): Promise<[string, string][]> {
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any (${schemas}) and n.nspname not in ('auth', 'cron') and c.relkind = 'r'
    order by 1`;
  const found: [string, string][] = [];
  for (const { name } of tables) {
    const rows = await sql.unsafe<{ row: string }[]>(
      `select row from (
         select (select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(t)) where key !~ '_at$|^last_')::text as row
         from ${name} as t
       ) as rows order by row collate "C"`,
    );
    if (rows.length > 0) found.push([`rows of ${name}`, rows.map(({ row }) => row).join("\n")]);
  }
  return found;
}

/** What of two catalogs differs, a line each; nothing where they are equal. */
export function catalogDifferences(expected: Catalog, actual: Catalog): string[] {
  const names = [...new Set([...expected.keys(), ...actual.keys()])].sort();
  return names.flatMap((name) => {
    const [a, b] = [expected.get(name), actual.get(name)];
    if (a === b) return [];
    if (a === undefined) return [`only in the second: ${name}`];
    if (b === undefined) return [`only in the first: ${name}`];
    return [`differs: ${name}\n  first:  ${a}\n  second: ${b}`];
  });
}

/**
 * Takes from a test's database, as supabase_admin, what one that was just built from the schemas has not: that it is live, its audit
 * trail of it, and the releases it came by.
 */
export async function makeAsBuilt(admin: Sql): Promise<void> {
  await admin.unsafe(`
    set session_replication_role = replica;
    update billing.settings set mode = default, project_ref = default where id;
    delete from billing.audit_events where action = 'settings.changed';
    delete from billing.releases where release <> billing.version()`);
}
