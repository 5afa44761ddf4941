-- Starting the daily run: at the hour that settings say, and by a watchdog where a day's run is missing.
-- Reads: settings, dunning_runs, invoices. Writes: job_problems. Called by: cron; the tick; a trigger on settings.

create function billing_private.start_dunning(p_now timestamptz default now())
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  return billing_private.start_function('duebase-dunning', p_now);
end;
$$;

comment on function billing_private.start_dunning is
  'Calls duebase-dunning. Run by cron once a day. Returns whether it called; where it cannot, or the function does not answer as it should, job_problems says why.';

create function billing_private.missing_dunning_run(p_now timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  scheduled timestamptz;
begin
  select date_trunc('day', p_now, 'UTC') + s.dunning_hour * interval '1 hour' into scheduled from billing.settings as s;
  if scheduled > p_now then
    scheduled := scheduled - interval '24 hours';
  end if;
  if p_now < scheduled + interval '15 minutes'
    or exists (select from billing.dunning_runs as r where r.started_at >= scheduled - interval '24 hours' and r.finished_at >= scheduled)
    -- Without an open invoice there is nothing to do.
    or not exists (select from billing.invoices as i where i.status = 'open')
  then
    return null;
  end if;
  return scheduled;
end;
$$;

comment on function billing_private.missing_dunning_run is
  'When the daily run should have begun that has not finished a quarter of an hour later (UTC); null: it has, or there is nothing to do.';

create function billing_private.is_dunning_run_overdue(p_scheduled timestamptz, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_now > p_scheduled + interval '2 hours'
    -- On the day of installation no run was missed yet.
    and (
      (select min(r.started_at) from billing.dunning_runs as r) < p_scheduled
      or (select min(c.opened_at) from billing.dunning_cases as c where c.status = 'open') < p_scheduled
    );
end;
$$;

comment on function billing_private.is_dunning_run_overdue is
  'Whether a run that is missing is so late, two hours, that the operator is to be told.';

create function billing_private.start_missed_dunning_run(p_now timestamptz default now())
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  scheduled constant timestamptz := billing_private.missing_dunning_run(p_now);
begin
  if scheduled is null
    -- One is under way, or was tried a moment ago.
    or exists (select from billing.dunning_runs as r where r.started_at > p_now - interval '10 minutes')
  then
    return false;
  end if;
  if billing_private.is_dunning_run_overdue(scheduled, p_now) then
    perform billing_private.alert('dunning_did_not_run', jsonb_build_object('scheduled', scheduled), p_now);
  end if;
  return billing_private.start_dunning(p_now);
end;
$$;

comment on function billing_private.start_missed_dunning_run is
  'Starts the daily run where the day''s has not finished a quarter of an hour after its time, and alerts after two hours. Run by the tick every minute. Returns whether it started one.';

create function billing_private.schedule_dunning()
returns bigint
language plpgsql
-- Definer: a job belongs to the role that scheduled it, and must go on belonging to the same one.
security definer
set search_path = ''
as $$
begin
  return cron.schedule(
    'duebase-dunning', format('0 %s * * *', (select s.dunning_hour from billing.settings as s)), 'select billing_private.start_dunning()'
  );
end;
$$;

comment on function billing_private.schedule_dunning is 'Sets the daily run to the hour in settings. Returns the job''s id.';

create function billing_private.tg_settings__after_hour()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.schedule_dunning();
  return null;
end;
$$;

comment on function billing_private.tg_settings__after_hour is 'Trigger function: the daily run follows the hour in settings.';

create trigger settings_schedule_dunning
  after update of dunning_hour on billing.settings
  for each row
  when (new.dunning_hour <> old.dunning_hour)
  execute function billing_private.tg_settings__after_hour();
