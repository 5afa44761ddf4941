-- Reconcile problems: what kept duebase-reconcile from its work. It answers before it works, so nobody hears of it otherwise;
-- and a key that is refused is refused before there is a run that could keep it.
-- Reads: nothing. Writes: job_problems. Called by: duebase-reconcile.

create function billing.note_reconcile_problem(p_problem text default null, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  perform billing_private.record_job_problem('reconcile-run', nullif(left(btrim(p_problem), 500), ''), p_now);
  return true;
end;
$$;

comment on function billing.note_reconcile_problem is
  'For duebase-reconcile, at the end of each call: keeps in job_problems (reconcile-run) what it ended with, or null: nothing stood in its way. Returns true.';

grant execute on function billing.note_reconcile_problem(text, timestamptz) to service_role;
