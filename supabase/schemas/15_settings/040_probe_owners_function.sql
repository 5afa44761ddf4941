-- Probe: the owners function is tried every minute, because nobody reads anything while it cannot be called.
-- Reads: settings, the application's function. Writes: job_problems. Called by: the tick.

create function billing_private.probe_owners_function(p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  name constant text := (select s.owners_function from billing.settings as s);
  problem text;
begin
  if name is not null then
    problem := billing_private.owners_function_problem(name);
  end if;
  perform billing_private.record_job_problem('owners_function', problem, p_now);
  return problem is not null;
end;
$$;

comment on function billing_private.probe_owners_function is
  'Calls settings.owners_function with an id of nobody and keeps in job_problems what is wrong with it, until it is right. Run by the tick every minute. Returns whether something is.';
