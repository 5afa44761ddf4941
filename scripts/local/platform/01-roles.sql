-- Supabase's roles. `postgres` owns what migrations create and is no superuser; `supabase_admin`, who made the
-- cluster, is the only one. What the hosted platform refuses because no role is a superuser must be refused here.

do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('postgres', 'nosuperuser createdb createrole login replication bypassrls password ''postgres'''),
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls'),
      ('authenticator', 'login noinherit password ''postgres'''),
      ('supabase_auth_admin', 'login noinherit createrole password ''postgres'''),
      ('dashboard_user', 'nologin createdb createrole replication')
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I', wanted.name);
    end if;
    execute format('alter role %I with %s', wanted.name, wanted.attributes);
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

-- The Data API logs in as `authenticator` and takes the caller's role for one transaction. These limits are
-- what makes a slow statement fail on the platform, so they hold here as well.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

alter role supabase_auth_admin set search_path = auth;
alter role supabase_auth_admin set idle_in_transaction_session_timeout = '60s';
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_admin set search_path = "$user", public, auth, extensions;

-- Settings of a superuser that the platform nevertheless lets `postgres` change.
grant set on parameter
  deadlock_timeout, log_lock_waits, log_min_duration_statement, log_min_messages,
  log_parameter_max_length, log_replication_commands, log_statement, log_temp_files,
  session_replication_role, track_functions, track_io_timing, wal_compression
to postgres;
