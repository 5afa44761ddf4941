-- Probe: the owners function is tried every minute, because nobody reads anything while it cannot be called.
-- Reads: settings, auth.users, the application's function. Writes: job_problems. Called by: the tick.

create function billing_private.probe_owners_function(p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  name constant text := (select s.owners_function from billing.settings as s);
  known constant text := (select j.problem from billing.job_problems as j where j.job = 'owners_function');
  -- For whom it failed the last time comes first: a problem of few goes when it is mended, and not when others are asked.
  failed constant uuid := billing_private.as_uuid(substring(known from ' for user ([0-9a-f-]{36})$'));
  problem text;
begin
  if name is not null then
    problem := billing_private.owners_function_problem(
      name, array(select u.id from auth.users as u where u.id = failed) || billing_private.sample_users(10)
    );
  end if;
  perform billing_private.record_job_problem('owners_function', problem, p_now);
  return problem is not null;
end;
$$;

comment on function billing_private.probe_owners_function is
  'Calls settings.owners_function with an id of nobody and for ten users, others each minute, and keeps in job_problems what is wrong with it, until it is right for whom it failed. Run by the tick every minute. Returns whether something is.';
