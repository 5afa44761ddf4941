-- Stand-in for pg_cron: its tables, functions, privileges and row level security. The scheduler is outside the
-- server (scripts/local/cron.ts); it reads cron.job and records each run in cron.job_run_details.

create schema cron;
create sequence cron.jobid_seq;
create sequence cron.runid_seq;

create table cron.job (
  jobid bigint primary key default nextval('cron.jobid_seq'),
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport int not null default inet_server_port(),
  database text not null default current_database(),
  username text not null default current_user,
  active boolean not null default true,
  jobname text,
  constraint jobname_username_uniq unique (jobname, username)
);

create table cron.job_run_details (
  jobid bigint,
  runid bigint primary key default nextval('cron.runid_seq'),
  job_pid integer,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);

alter table cron.job enable row level security;
alter table cron.job_run_details enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

-- A schedule is five cron fields, or an interval of 1 to 59 seconds. `$` is the last day of the month.
create function cron._is_schedule(schedule text) returns boolean
language plpgsql immutable
set search_path = ''
as $$
declare
  fields text[] := regexp_split_to_array(btrim(schedule), '\s+');
  seconds text := substring(lower(btrim(schedule)) from '^(\d{1,2})\s+seconds?$');
  names text[] := array[
    '', '', '', 'jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec', 'sun|mon|tue|wed|thu|fri|sat'];
  lowest int[] := array[0, 0, 1, 1, 0];
  highest int[] := array[59, 23, 31, 12, 7];
  part text;
  bound text;
begin
  if seconds is not null then
    return seconds::int between 1 and 59;
  end if;
  if cardinality(fields) <> 5 then
    return false;
  end if;
  for field in 1..5 loop
    if field = 3 and fields[field] = '$' then
      continue;
    end if;
    foreach part in array string_to_array(lower(fields[field]), ',') loop
      if part !~ '^(\*|[a-z0-9]+(-[a-z0-9]+)?)(/[1-9][0-9]?)?$' then
        return false;
      end if;
      foreach bound in array string_to_array(split_part(part, '/', 1), '-') loop
        if bound = '*' then
          continue;
        elsif bound ~ '^\d{1,2}$' then
          if bound::int not between lowest[field] and highest[field] then
            return false;
          end if;
        elsif bound <> all (string_to_array(names[field], '|')) then
          return false;
        end if;
      end loop;
    end loop;
  end loop;
  return true;
end
$$;

create function cron._require_schedule(schedule text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if schedule is null or not cron._is_schedule(schedule) then
    raise exception 'invalid schedule: %', schedule
      using errcode = 'invalid_parameter_value',
        hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
  end if;
end
$$;

-- The functions anyone calls run as their caller and hand the caller's name to these, which may write cron.job.
-- Nobody else may: as on the platform, the table itself is closed.
create function cron._upsert_job(
  caller name, job_name text, schedule text, command text, database text, active boolean
) returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
  job_id bigint;
begin
  perform cron._require_schedule(schedule);
  if job_name is null then
    insert into cron.job (schedule, command, database, username, active)
    values (schedule, command, database, caller, active)
    returning jobid into job_id;
  else
    insert into cron.job as existing (jobname, schedule, command, database, username, active)
    values (job_name, schedule, command, database, caller, active)
    -- A job that was paused stays so, and stays in its database.
    on conflict on constraint jobname_username_uniq do update
      set schedule = excluded.schedule, command = excluded.command
    returning existing.jobid into job_id;
  end if;
  notify cron_job_changed;
  return job_id;
end
$$;

create function cron._remove_job(caller name, job_id bigint, job_name text) returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
  delete from cron.job
  where username = caller and case when job_id is null then jobname = job_name else jobid = job_id end;
  if not found then
    raise exception 'could not find valid entry for job %', coalesce(quote_literal(job_name), job_id::text);
  end if;
  notify cron_job_changed;
  return true;
end
$$;

create function cron.schedule(schedule text, command text) returns bigint
language plpgsql strict
set search_path = ''
as $$
begin
  return cron._upsert_job(current_user, null, schedule, command, current_database(), true);
end
$$;

create function cron.schedule(job_name text, schedule text, command text) returns bigint
language plpgsql
set search_path = ''
as $$
begin
  if job_name is null or command is null then
    raise exception 'job_name, schedule and command must not be null' using errcode = 'null_value_not_allowed';
  end if;
  return cron._upsert_job(current_user, job_name, schedule, command, current_database(), true);
end
$$;

create function cron.schedule_in_database(
  job_name text, schedule text, command text, database text,
  username text default null, active boolean default true
) returns bigint
language plpgsql
set search_path = ''
as $$
begin
  if username is not null and username <> current_user
    and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    raise exception 'must be superuser to create a job for another role' using errcode = 'insufficient_privilege';
  end if;
  return cron._upsert_job(coalesce(username, current_user::text), job_name, schedule, command, database, active);
end
$$;

create function cron.unschedule(job_id bigint) returns boolean
language plpgsql strict
set search_path = ''
as $$
begin
  return cron._remove_job(current_user, job_id, null);
end
$$;

create function cron.unschedule(job_name text) returns boolean
language plpgsql strict
set search_path = ''
as $$
begin
  return cron._remove_job(current_user, null, job_name);
end
$$;

create function cron._change_job(
  caller name, job_id bigint, new_schedule text, new_command text, new_database text, new_active boolean
) returns void
language plpgsql security definer
set search_path = ''
as $$
begin
  if new_schedule is not null then
    perform cron._require_schedule(new_schedule);
  end if;
  update cron.job
  set schedule = coalesce(new_schedule, schedule),
      command = coalesce(new_command, command),
      database = coalesce(new_database, database),
      active = coalesce(new_active, active)
  where jobid = job_id and username = caller;
  if not found then
    raise exception 'Job % does not exist or you don''t own it', job_id;
  end if;
  notify cron_job_changed;
end
$$;

create function cron.alter_job(
  job_id bigint, schedule text default null, command text default null, database text default null,
  username text default null, active boolean default null
) returns void
language plpgsql
set search_path = ''
as $$
begin
  if username is not null and username <> current_user then
    raise exception 'must be superuser to alter username' using errcode = 'insufficient_privilege';
  end if;
  perform cron._change_job(current_user, job_id, schedule, command, database, active);
end
$$;

revoke all on function cron.alter_job(bigint, text, text, text, text, boolean) from public;
revoke all on function cron.schedule_in_database(text, text, text, text, text, boolean) from public;

grant select on cron.job to public;
grant select, delete on cron.job_run_details to public;
grant select on sequence cron.jobid_seq, cron.runid_seq to public;

select pg_catalog.pg_extension_config_dump('cron.job', '');
select pg_catalog.pg_extension_config_dump('cron.jobid_seq', '');
select pg_catalog.pg_extension_config_dump('cron.job_run_details', '');
select pg_catalog.pg_extension_config_dump('cron.runid_seq', '');
