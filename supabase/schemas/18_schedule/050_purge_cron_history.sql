-- Purging pg_cron's history: it keeps a row of every run for ever, and a job that runs every minute fills it.
-- Writes: cron.job_run_details. Called by: the tick, every day.

create function billing_private.purge_cron_history(p_now timestamptz, p_limit integer default 5000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_cron_history_days from billing.settings as s));
  removed integer;
begin
  delete from cron.job_run_details as d
  where d.runid = any (array(
    select r.runid
    from cron.job_run_details as r
    -- Jobs of the application's are not ours to clean.
    where r.jobid in (select j.jobid from cron.job as j where j.jobname in ('duebase-tick', 'duebase-dunning'))
      and r.end_time < before
    limit p_limit
  ));
  get diagnostics removed = row_count;
  return removed;
end;
$$;

comment on function billing_private.purge_cron_history is
  'Removes what pg_cron notes about runs of our two jobs that ended more than settings.keep_cron_history_days ago, at most p_limit. Run by the tick every day. Returns how many.';
