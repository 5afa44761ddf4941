-- What the roles of the Data API hold, read from the catalog: a new object counts from the moment it is made.
begin;
select plan(11);

create temporary view api_roles as select unnest(array['anon', 'authenticated', 'service_role']) as role;
create temporary view relations as
select c.oid, c.relkind, n.nspname || '.' || c.relname as name
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('billing', 'billing_private') and c.relkind in ('r', 'p', 'v', 'm', 'f');

select cmp_ok((select count(*) from relations), '>', 30::bigint, 'there is something to look at');
select is(has_schema_privilege('anon', 'billing', 'usage'), false, 'anon does not even enter the schema');
select is_empty(
  $$ select role from api_roles where has_schema_privilege(role, 'billing_private', 'usage, create') $$, 'nobody enters the internals'
);
select is_empty(
  $$ select role from api_roles where has_schema_privilege(role, 'billing', 'create') $$, 'and nobody makes anything in billing'
);
select is_empty(
  $$
    select a.role, t.name, p.privilege
    from api_roles as a, relations as t, unnest(array['insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as p (privilege)
    where has_table_privilege(a.role, t.oid, p.privilege)
  $$,
  'no role of the API writes to a table or view'
);
select is_empty(
  $$
    select a.role, t.name, c.attname, p.privilege
    from api_roles as a, relations as t, unnest(array['insert', 'update', 'references']) as p (privilege), pg_attribute as c
    where c.attrelid = t.oid and c.attnum > 0 and not c.attisdropped and has_column_privilege(a.role, t.oid, c.attnum, p.privilege)
  $$,
  'nor to a single column'
);
select is_empty(
  $$ select t.name from relations as t where has_any_column_privilege('anon', t.oid, 'select') $$, 'anon reads no column of any'
);
select is_empty(
  $$
    select t.name
    from relations as t
    where has_any_column_privilege('authenticated', t.oid, 'select')
      and t.relkind = 'r'
      and not exists (
        select
        from pg_policy as p
        where p.polrelid = t.oid and p.polcmd = 'r' and 'authenticated'::regrole = any (p.polroles)
          and pg_get_expr(p.polqual, p.polrelid) ~ 'billing_private\.(my_owner_array|my_customers)\('
      )
  $$,
  'a signed-in user reads only tables whose policy asks who it is'
);
select is_empty(
  $$ select p.polrelid::regclass, p.polname from pg_policy as p join relations as t on t.oid = p.polrelid where p.polcmd in ('a', 'w', 'd') $$,
  'no policy lets anybody write'
);
select is_empty(
  $$ select t.name from relations as t join pg_class as c on c.oid = t.oid where t.relkind = 'v' and not c.reloptions @> array['security_invoker=true'] $$,
  'a view shows nobody more than its tables do'
);
select is_empty(
  $$
    select a.role, s.oid::regclass
    from api_roles as a, pg_class as s
    where s.relkind = 'S' and s.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and has_sequence_privilege(a.role, s.oid, 'usage, select, update')
  $$,
  'no sequence is read or moved'
);

select * from finish();
rollback;
