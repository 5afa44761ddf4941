/**
 * What of the team's depends on our two schemas, by PostgreSQL's own books: `type` and `identity` of each object outside
 * of them. `drop schema … cascade` would take each of these along without asking.
 *
 * Our triggers on tables of schema auth are ours; a trigger of theirs on a table of ours is theirs.
 */
export const DEPENDENTS_SQL = `with ours as (
  select n.oid from pg_catalog.pg_namespace as n where n.nspname in ('billing', 'billing_private')
),
our_objects (classid, objid) as (
  select 'pg_catalog.pg_namespace'::regclass, o.oid from ours as o
  union all
  select 'pg_catalog.pg_class'::regclass, c.oid from pg_catalog.pg_class as c where c.relnamespace in (select oid from ours)
  union all
  select 'pg_catalog.pg_proc'::regclass, p.oid from pg_catalog.pg_proc as p where p.pronamespace in (select oid from ours)
  union all
  select 'pg_catalog.pg_type'::regclass, t.oid from pg_catalog.pg_type as t where t.typnamespace in (select oid from ours)
),
found as (
  select distinct
    -- A view depends by its rule: the view is what a person knows.
    case when r.oid is null then d.classid else 'pg_catalog.pg_class'::regclass::oid end as classid,
    coalesce(r.ev_class, d.objid) as objid,
    case when r.oid is null and d.classid = 'pg_catalog.pg_class'::regclass then d.objsubid else 0 end as objsubid
  from pg_catalog.pg_depend as d
  join our_objects as o on o.classid = d.refclassid and o.objid = d.refobjid
  left join pg_catalog.pg_rewrite as r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
  where d.deptype in ('n', 'a')
),
placed as (
  select f.classid, f.objid, f.objsubid, t.tgfoid,
    coalesce(
      (select c.relnamespace from pg_catalog.pg_class as c
       where c.oid = coalesce(
         case when f.classid = 'pg_catalog.pg_class'::regclass then f.objid end,
         t.tgrelid, p.polrelid, nullif(k.conrelid, 0), a.adrelid)),
      (select n.pronamespace from pg_catalog.pg_proc as n where f.classid = 'pg_catalog.pg_proc'::regclass and n.oid = f.objid),
      (select y.typnamespace from pg_catalog.pg_type as y where f.classid = 'pg_catalog.pg_type'::regclass and y.oid = f.objid)
    ) as namespace
  from found as f
  left join pg_catalog.pg_trigger as t on f.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = f.objid
  left join pg_catalog.pg_policy as p on f.classid = 'pg_catalog.pg_policy'::regclass and p.oid = f.objid
  left join pg_catalog.pg_constraint as k on f.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = f.objid
  left join pg_catalog.pg_attrdef as a on f.classid = 'pg_catalog.pg_attrdef'::regclass and a.oid = f.objid
)
select distinct i.type, i.identity
from placed as d
cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) as i
where d.classid <> all (array['pg_catalog.pg_default_acl'::regclass::oid, 'pg_catalog.pg_namespace'::regclass::oid])
  and case
    when d.tgfoid is not null then not (
      exists (select from pg_catalog.pg_proc as p where p.oid = d.tgfoid and p.pronamespace in (select oid from ours))
      and (d.namespace in (select oid from ours) or d.namespace = pg_catalog.to_regnamespace('auth')))
    when d.classid = 'pg_catalog.pg_publication_rel'::regclass then i.identity not like '% in publication supabase_realtime'
    else d.namespace is null or d.namespace not in (select oid from ours)
  end
order by 1, 2`;
