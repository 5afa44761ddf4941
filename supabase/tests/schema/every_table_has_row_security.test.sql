-- Row security is on from the first migration, so that no grant made by mistake opens a table to everybody.
begin;
select plan(6);

create view pg_temp.our_tables as
  select c.oid, c.oid::regclass::text as name, c.relrowsecurity, c.relowner::regrole::text as owner
  from pg_class as c
  where c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace) and c.relkind in ('r', 'p');

select cmp_ok((select count(*)::integer from pg_temp.our_tables), '>=', 19, 'there are tables to look at');
select is_empty('select name from pg_temp.our_tables where not relrowsecurity', 'row security is enabled on every table');
select is_empty(
  $$ select t.name from pg_temp.our_tables as t where not exists (select from pg_policy as p where p.polrelid = t.oid) $$,
  'every table names by a policy who reads it, so that none looks forgotten'
);
select is_empty(
  $$ select polrelid::regclass, polname from pg_policy as p where p.polrelid in (select oid from pg_temp.our_tables) and p.polcmd not in ('r', '*') $$,
  'no policy lets anybody write'
);
select is_empty(
  $$
    select polrelid::regclass, polname
    from pg_policy as p
    where p.polrelid in (select oid from pg_temp.our_tables) and p.polcmd = '*' and pg_get_expr(p.polqual, p.polrelid) <> 'false'
  $$,
  'a policy for all commands is one that refuses them'
);
select is_empty(
  $$ select c.oid::regclass from pg_class as c where c.relkind = 'v'
     and c.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
     and coalesce(array_to_string(c.reloptions, ','), '') not like '%security_invoker=%' $$,
  'every view reads with the rights of its reader'
);

select * from finish();
rollback;
