-- Our objects: what a release has put into the database, so that whatever else lies in our schemas or depends on them is known
-- to be the team's, and is not taken away without a word. By PostgreSQL's own books, and not by kinds of objects.
-- Reads: pg_depend. Writes: our_objects, at the end of each release's migration. Called by: upgrade, uninstall.

create table billing_private.our_objects (
  type text not null,
  identity text not null,
  primary key (type, identity)
);

comment on table billing_private.our_objects is
  'Every object that Duebase has made in this database, as PostgreSQL identifies it. Written by the migration of each release. What goes with our schemas and is not listed here is the team''s: `duebase uninstall` stops at it.';
comment on column billing_private.our_objects.type is 'Such as table, function, trigger, table column.';
comment on column billing_private.our_objects.identity is 'Its name with its schema, and its arguments where it has any.';

alter table billing_private.our_objects enable row level security;
create policy nobody_reads on billing_private.our_objects using (false);

create function billing_private.relation_of(p_class oid, p_object oid)
returns oid
language sql
stable
set search_path = ''
as $$
  select case p_class
    when 'pg_catalog.pg_class'::regclass then coalesce((select i.indrelid from pg_catalog.pg_index as i where i.indexrelid = p_object), p_object)
    when 'pg_catalog.pg_trigger'::regclass then (select t.tgrelid from pg_catalog.pg_trigger as t where t.oid = p_object)
    when 'pg_catalog.pg_policy'::regclass then (select p.polrelid from pg_catalog.pg_policy as p where p.oid = p_object)
    when 'pg_catalog.pg_constraint'::regclass then (select k.conrelid from pg_catalog.pg_constraint as k where k.oid = p_object)
    when 'pg_catalog.pg_attrdef'::regclass then (select a.adrelid from pg_catalog.pg_attrdef as a where a.oid = p_object)
    when 'pg_catalog.pg_rewrite'::regclass then (select r.ev_class from pg_catalog.pg_rewrite as r where r.oid = p_object)
    when 'pg_catalog.pg_statistic_ext'::regclass then (select s.stxrelid from pg_catalog.pg_statistic_ext as s where s.oid = p_object)
  end
$$;

comment on function billing_private.relation_of is
  'The table or view that an object of the catalog is, or belongs to: an index, a trigger, a policy, a constraint, a default, a rule, statistics. Null for anything else.';

create function billing_private.objects_of_schemas()
returns table (class oid, object oid, part integer, type text, identity text, relation oid)
language sql
stable
set search_path = ''
as $$
  -- What `drop schema … cascade` would take: whatever depends on what goes; and what something that goes is a part of, such as
  -- the view of a rule. A dependency on one column is not one on the table.
  with recursive reached (classid, objid, objsubid) as (
    select 'pg_catalog.pg_namespace'::regclass::oid, n.oid, 0
    from pg_catalog.pg_namespace as n
    where n.nspname in ('billing', 'billing_private')
    union
    select d.classid, d.objid, d.objsubid
    from reached as r
    cross join lateral (
      select d.classid, d.objid, d.objsubid
      from pg_catalog.pg_depend as d
      where d.refclassid = r.classid and d.refobjid = r.objid and (r.objsubid = 0 or d.refobjsubid = r.objsubid)
      union all
      select d.refclassid, d.refobjid, d.refobjsubid
      from pg_catalog.pg_depend as d
      where d.classid = r.classid and d.objid = r.objid and d.objsubid = r.objsubid and d.deptype in ('i', 'e')
    ) as d
  ),
  told as (
    select r.classid, r.objid, r.objsubid, billing_private.relation_of(r.classid, r.objid) as relation
    from reached as r
    where r.classid <> all (array['pg_catalog.pg_namespace'::regclass::oid, 'pg_catalog.pg_default_acl'::regclass::oid])
      -- A part is told by what it is a part of.
      and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = r.classid and d.objid = r.objid and d.objsubid = r.objsubid and d.deptype in ('i', 'e')
      )
    union
    select 'pg_catalog.pg_class'::regclass::oid, a.attrelid, a.attnum::integer, a.attrelid
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_class as c on c.oid = a.attrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('billing', 'billing_private') and c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped
  )
  select t.classid, t.objid, t.objsubid, i.type, i.identity, t.relation
  from told as t
  cross join lateral pg_catalog.pg_identify_object(t.classid, t.objid, t.objsubid) as i
  left join pg_catalog.pg_class as c on c.oid = t.relation
  -- Partitions come and go by the month, and what a table needs to hold long values is no object of its own.
  where not coalesce(c.relispartition or c.relkind = 't', false)
    -- What Realtime sends is a setting, and nothing that breaks.
    and not (t.classid = 'pg_catalog.pg_publication_rel'::regclass and i.identity like '% in publication supabase_realtime')
$$;

comment on function billing_private.objects_of_schemas is
  'Every object that would go with our two schemas, whoever made it: the columns of tables too, and no partitions. relation: the table or view that it belongs to.';

create function billing_private.foreign_objects()
returns table (type text, identity text)
language sql
stable
set search_path = ''
as $$
  with theirs as (
    select o.*
    from billing_private.objects_of_schemas() as o
    where not exists (
      select from billing_private.our_objects as u where u.type = o.type and u.identity = o.identity
    )
  )
  select distinct t.type, t.identity
  from theirs as t
  -- A table of theirs is told once, without its columns and indexes.
  where not exists (
    select from theirs as w
    where w.class = 'pg_catalog.pg_class'::regclass and w.object = t.relation and w.part = 0 and (t.class, t.object, t.part) <> (w.class, w.object, 0)
  )
  order by t.type, t.identity
$$;

comment on function billing_private.foreign_objects is
  'What of the team''s would go with our two schemas: what lies in them, is attached to our tables, or depends on ours. Empty: nothing.';
