-- What others may do with the Auth server's tables: `postgres` may read, reference and put triggers on them,
-- but owns none and may create nothing in their schema; the API roles see nothing.

do $$
declare
  auth_table record;
begin
  for auth_table in
    select tablename from pg_catalog.pg_tables where schemaname = 'auth'
  loop
    execute format('alter table auth.%I owner to supabase_auth_admin', auth_table.tablename);
    execute format('alter table auth.%I enable row level security', auth_table.tablename);
  end loop;
end
$$;

grant all on all tables in schema auth to postgres, dashboard_user;
grant all on all sequences in schema auth to postgres, dashboard_user;
grant execute on all functions in schema auth to postgres, dashboard_user;
grant select on all tables in schema auth to postgres with grant option;
revoke create on schema auth from postgres;
