-- What an extension holds belongs to the superuser even where the platform lets `postgres` create it; what
-- `postgres` may do with it is granted by the superuser the moment it is created, here as there.

create or replace function extensions.grant_pg_cron_access() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if exists (
    select from pg_event_trigger_ddl_commands() as command
    join pg_catalog.pg_extension as extension on command.objid = extension.oid
    where command.classid = 'pg_catalog.pg_extension'::regclass and extension.extname = 'pg_cron'
  ) then
    grant usage on schema cron to postgres with grant option;
    grant all on all functions in schema cron to postgres with grant option;
    grant all on all tables in schema cron to postgres with grant option;
    -- Jobs are changed through cron.schedule and its siblings only.
    revoke all on table cron.job from postgres;
    grant select on table cron.job to postgres with grant option;
    revoke trigger on cron.job_run_details from postgres;
  end if;
end
$$;

create or replace function extensions.grant_pg_net_access() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog
as $$
begin
  if exists (
    select from pg_event_trigger_ddl_commands() as command
    join pg_catalog.pg_extension as extension on command.objid = extension.oid
    where command.classid = 'pg_catalog.pg_extension'::regclass and extension.extname = 'pg_net'
  ) then
    grant usage on schema net to postgres, anon, authenticated, service_role;
  end if;
end
$$;

-- The Data API caches the schema and reads it anew when told so on channel `pgrst`. Temporary tables, which a
-- function may make on every call, and Auth's own are no change to it.
create or replace function extensions.pgrst_ddl_watch() returns event_trigger
language plpgsql
as $$
begin
  if exists (
    select from pg_event_trigger_ddl_commands() as command
    where coalesce(command.schema_name, '') not in ('pg_temp', 'auth')
      and coalesce(command.object_identity, '') not like '% pg\_temp.%'
  ) then
    notify pgrst, 'reload schema';
  end if;
end
$$;

create or replace function extensions.pgrst_drop_watch() returns event_trigger
language plpgsql
as $$
begin
  if exists (
    select from pg_event_trigger_dropped_objects() as dropped
    where not dropped.is_temporary and coalesce(dropped.schema_name, '') <> 'auth'
  ) then
    notify pgrst, 'reload schema';
  end if;
end
$$;

drop event trigger if exists issue_pg_cron_access;
create event trigger issue_pg_cron_access on ddl_command_end
  when tag in ('CREATE EXTENSION')
  execute function extensions.grant_pg_cron_access();

drop event trigger if exists issue_pg_net_access;
create event trigger issue_pg_net_access on ddl_command_end
  when tag in ('CREATE EXTENSION')
  execute function extensions.grant_pg_net_access();

drop event trigger if exists pgrst_ddl_watch;
create event trigger pgrst_ddl_watch on ddl_command_end
  execute function extensions.pgrst_ddl_watch();

drop event trigger if exists pgrst_drop_watch;
create event trigger pgrst_drop_watch on sql_drop
  execute function extensions.pgrst_drop_watch();
