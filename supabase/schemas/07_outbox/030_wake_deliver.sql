-- Wake: duebase-deliver is called when something is enqueued, and every minute while something is due. A call may be lost, repeated
-- or late, which costs time only: the effects are in the outbox.
-- Reads: outbox, outbound_calls. Writes: job_problems. Called by: the tick; a trigger on the outbox.

create table billing.job_problems (
  job text primary key,
  problem text not null,
  since timestamptz not null,
  last_seen timestamptz not null
);

comment on table billing.job_problems is
  'What keeps a scheduled job from its work right now, one row per job; empty when all is well. A row goes when its cause does.';
comment on column billing.job_problems.job is
  'What could not be done: the name of the function it would have called, or the part of the tick that raised (tick_parts).';
comment on column billing.job_problems.problem is 'What is missing, and where to put it; or the error that was raised.';
comment on column billing.job_problems.since is 'When the job first could not do its work (UTC).';
comment on column billing.job_problems.last_seen is 'When it last tried (UTC).';

alter table billing.job_problems enable row level security;
create policy service_role_reads on billing.job_problems for select to service_role using (true);
grant select on billing.job_problems to service_role;

create function billing_private.record_job_problem(p_job text, p_problem text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_problem is null then
    delete from billing.job_problems as j where j.job = p_job;
  else
    insert into billing.job_problems as j (job, problem, since, last_seen)
    values (p_job, p_problem, p_now, p_now)
    on conflict (job) do update set problem = excluded.problem, last_seen = excluded.last_seen;
    raise notice 'duebase: %: %', p_job, p_problem;
  end if;
end;
$$;

comment on function billing_private.record_job_problem is 'Keeps what stands in the way of a job in job_problems; null: nothing does.';

create function billing_private.report_copy(p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  caller constant text := coalesce(billing_private.calling_project(), 'a project that does not say which');
  original constant text := (select s.project_ref from billing.settings as s);
begin
  perform billing_private.record_job_problem(
    'project',
    format(
      'Functions of %s work on this database, which is live as %s: it is a copy, and nothing is sent or done. Where it is the original now: select billing.go_live(''its reference'')',
      caller, original
    ),
    p_now
  );
  -- Once a copy, and not once an hour: nothing is wrong with it.
  perform billing_private.enqueue(
    'alert', format('alert:copy:%s:%s', original, caller),
    jsonb_build_object('cause', 'copy', 'project', caller, 'original', original), p_now
  );
end;
$$;

comment on function billing_private.report_copy is
  'Shows in job_problems, and tells the operator once, that the caller''s project is not the one that went live.';

create function billing_private.wake_deliver(p_now timestamptz default now())
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select
    from billing.outbox as o
    where o.status in ('pending', 'claimed') and coalesce(o.locked_until, o.run_after) <= p_now
  ) then
    return false;
  end if;
  return billing_private.start_function('duebase-deliver', p_now);
end;
$$;

comment on function billing_private.wake_deliver is
  'Calls duebase-deliver if an effect is due at p_now. Run by the tick every minute. Returns whether it called; where it should and cannot, or the function does not answer as it should, job_problems says why.';

create function billing_private.tg_outbox__after_insert()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  transaction_id constant text := pg_current_xact_id()::text;
  problem text;
begin
  -- Once a transaction: the call goes out after commit and finds everything that was enqueued by then.
  if current_setting('duebase.deliver_woken_in', true) = transaction_id then
    return null;
  end if;
  begin
    if exists (select from enqueued as o where o.status = 'pending' and o.run_after <= clock_timestamp()) then
      perform set_config('duebase.deliver_woken_in', transaction_id, true);
      problem := billing_private.call_function('duebase-deliver');
      if problem is not null then
        raise warning 'duebase: deliver could not be woken: %', problem;
      end if;
    end if;
  -- Only a wake-up: without it the minute tick finds the row, and it must not undo what was decided.
  exception when others then
    raise warning 'duebase: deliver could not be woken: % (%)', sqlerrm, sqlstate;
  end;
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_insert is
  'Trigger function: wakes duebase-deliver for what was just enqueued. Never fails the transaction that owes it.';

create trigger outbox_wakes_deliver
  after insert on billing.outbox
  referencing new table as enqueued
  for each statement execute function billing_private.tg_outbox__after_insert();
