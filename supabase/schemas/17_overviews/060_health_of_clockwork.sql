-- Health of the clockwork: what everything else hangs on, the tick, cron, pg_net and Vault; and what each call through them came to.
-- Reads: tick_parts, cron.job, Vault's names, outbound_calls, job_problems. Called by: check_health.

create function billing_private.last_tick_at()
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select max(t.last_tick_at) from billing.tick_parts as t);
end;
$$;

comment on function billing_private.last_tick_at is 'When the last tick began (UTC); null: there was none.';

create function billing_private.is_tick_late(p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.last_tick_at(), (select max(r.installed_at) from billing.releases as r), '-infinity'
  ) < p_now - interval '5 minutes';
end;
$$;

comment on function billing_private.is_tick_late is
  'Whether no tick began for five minutes: whoever else can tell the operator does so then. In the first five minutes of an installation none is missed.';

create function billing_private.health_of_tick(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  last_at constant timestamptz := billing_private.last_tick_at();
  age constant interval := p_now - coalesce(last_at, (select max(r.installed_at) from billing.releases as r), p_now);
  failing record;
begin
  return next billing_private.health_row(
    'tick', billing_private.light(age > interval '3 minutes', age > interval '2 minutes' or last_at is null),
    round(extract(epoch from age)), 'seconds', 'every minute',
    case
      when last_at is null then 'the tick has not run yet'
      else format('the tick last ran %s ago', billing_private.in_words(age))
    end,
    coalesce(last_at, p_now),
    'see what cron says: select status, return_message, start_time from cron.job_run_details order by start_time desc limit 5; schedule it anew: select billing_private.schedule_tick(); where nothing runs there at all, restart the database in the dashboard'
  );
  -- What keeps calls from their answer, and what has a row of its own, is told there.
  select count(*) as jobs, min(j.since) as since, string_agg(format('%s: %s', j.job, left(j.problem, 200)), '; ' order by j.job) as problems
  into failing
  from billing.job_problems as j
  where j.job not in ('project', 'missed-webhooks', 'reconcile-run') and j.job not in (select c.job from billing_private.calls_to_watch() as c (job));
  return next billing_private.health_row(
    'jobs', billing_private.light(failing.jobs > 0),
    failing.jobs, 'count', 'none is kept from its work',
    case
      when failing.jobs = 0 then 'every part of the tick does its work'
      else format('%s kept from %s work: %s', billing_private.counted(failing.jobs, 'job is', 'jobs are'), case when failing.jobs = 1 then 'its' else 'their' end, failing.problems)
    end,
    failing.since,
    'the problem says what is missing; of an error, select part, last_error from billing.tick_parts where failures > 0 says where it was raised; it is run again every time it is due'
  );
end;
$$;

comment on function billing_private.health_of_tick is 'Health rows: when the last tick was, and what keeps its parts from their work.';

create function billing_private.calls_to_watch()
returns setof text
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
    select c.job
    from (
      select unnest(array['deliver', 'dunning', 'reconcile', 'alarms'])
      union
      select o.job from billing.outbound_calls as o
    ) as c (job)
    order by array_position(array['deliver', 'dunning', 'reconcile', 'alarms'], c.job), c.job;
end;
$$;

comment on function billing_private.calls_to_watch is 'The jobs that call out through pg_net: ours, and whatever else has called.';

create function billing_private.health_of_calls(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  call record;
begin
  for call in
    select
      w.job, c.asked_at, c.status, c.bad_in_a_row,
      coalesce(j.problem, c.problem) as problem, c.last_bad, coalesce(j.since, c.bad_since) as since
    from billing_private.calls_to_watch() as w (job)
    left join billing.outbound_calls as c on c.job = w.job
    left join billing.job_problems as j on j.job = w.job
  loop
    return next billing_private.health_row(
      'call-' || call.job, billing_private.light(call.problem is not null, call.bad_in_a_row > 0),
      call.status, 'HTTP status', '2xx',
      case
        when call.problem is not null then regexp_replace(call.problem, ': .*$', '')
        when call.asked_at is null then 'it has not been called yet'
        when call.bad_in_a_row > 0 then format('the last call came to nothing, %s ago', billing_private.in_words(p_now - call.asked_at))
        else format('it answered %s to the last call, %s ago', call.status, billing_private.in_words(p_now - call.asked_at))
      end,
      call.since,
      coalesce(substring(call.problem from ': (.*)$'), 'wait for the next call; select * from billing.outbound_calls shows what came back')
    );
  end loop;
end;
$$;

comment on function billing_private.health_of_calls is
  'Health rows: of each job that calls out, what the last call came to. One bad answer that may pass is amber, the second is red.';

create function billing_private.health_of_cron(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  lacking text;
begin
  begin
    select string_agg(format('%s is %s', w.name, case when j.jobid is null then 'not scheduled' else 'paused' end), ' and ' order by w.name)
    into lacking
    from unnest(array['duebase-dunning', 'duebase-tick']) as w (name)
    left join cron.job as j on j.jobname = w.name and j.username = current_user
    where j.jobid is null or not j.active;
  exception when invalid_schema_name or undefined_table then
    lacking := 'pg_cron is not there';
  end;
  return next billing_private.health_row(
    'cron-jobs', billing_private.light(lacking is not null), null, null, 'both are scheduled',
    coalesce(lacking, 'duebase-tick and duebase-dunning are scheduled and active'), p_now,
    'create extension if not exists pg_cron with schema pg_catalog; select billing_private.schedule_tick(), billing_private.schedule_dunning(); of a paused one: select cron.alter_job(jobid, active := true) from cron.job where jobname like ''duebase-%'''
  );
end;
$$;

comment on function billing_private.health_of_cron is 'Health row: whether both cron jobs are scheduled and active, as the role that installed them.';

create function billing_private.health_of_pg_net(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  is_there constant boolean := to_regclass('net.http_request_queue') is not null;
begin
  return next billing_private.health_row(
    'pg-net', billing_private.light(not is_there), null, null, 'there',
    case when is_there then 'pg_net is there' else 'pg_net is not there: nothing is woken but by cron, and no alarm leaves the database' end,
    p_now, 'create extension pg_net with schema extensions'
  );
end;
$$;

comment on function billing_private.health_of_pg_net is 'Health row: whether pg_net is there. Whether it works, the calls tell.';

create function billing_private.health_of_vault(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  names text[];
  lacking text[];
  untold constant timestamptz := (
    select min(a.due_at) from billing.alarms as a where a.due_at <= p_now - interval '10 minutes' and a.name <> 'alarm-address'
  );
begin
  begin
    -- Names alone: nothing is decrypted every minute.
    names := array(select s.name from vault.secrets as s where s.name like 'duebase_%');
  exception when invalid_schema_name or undefined_table or insufficient_privilege then
    names := null;
  end;
  lacking := array(select w.name from unnest(array['duebase_functions_url', 'duebase_cron_secret']) as w (name) where w.name <> all (coalesce(names, array[]::text[])));
  return next billing_private.health_row(
    'vault', billing_private.light(cardinality(lacking) > 0), null, null, 'both names are there',
    case
      when names is null then 'Vault is not there, so the database calls nobody'
      when cardinality(lacking) > 0 then format('Vault has no %s, so the database calls nobody', array_to_string(lacking, ' and no '))
      else 'Vault has the address of the functions and the cron secret'
    end,
    p_now,
    case
      when names is null then 'create extension supabase_vault with schema vault; then npx duebase connect'
      else 'npx duebase connect, or: select vault.create_secret(''value'', ''name'')'
    end
  );
  return next billing_private.health_row(
    'alarm-address',
    billing_private.light(untold is not null, 'duebase_alert_webhook_url' <> all (coalesce(names, array[]::text[]))),
    null, null, 'alarms reach somebody',
    case
      when untold is not null then format('an alarm has waited for %s, and nobody has been told of it', billing_private.in_words(p_now - untold))
      when 'duebase_alert_webhook_url' = any (names) then 'Vault has an address for alarms'
      else 'Vault has no address for alarms: the database tells nobody of what is red'
    end,
    coalesce(untold, p_now),
    'DUEBASE_ALERT_WEBHOOK_URL=<address> npx duebase connect, or: select vault.create_secret(''address'', ''duebase_alert_webhook_url''); see call-alarms for what the address answered'
  );
end;
$$;

comment on function billing_private.health_of_vault is
  'Health rows: whether Vault has what calls need, and an address for alarms; red where an alarm could not be told for ten minutes.';
