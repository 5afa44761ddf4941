-- Tick: whose turn it is, and one transaction of a tick after the other.
-- Reads and writes: tick_parts, job_problems; and what the parts do. Called by: cron.

create function billing_private.next_tick_part(p_tick_at timestamptz, p_now timestamptz, p_budget interval)
returns text
-- plpgsql, and not sql: its statement is planned once a session, and not once a call.
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select t.part
    from billing.tick_parts as t
    where t.last_tick_at is distinct from p_tick_at
      and (not t.shares_time or p_now < p_tick_at + p_budget)
      and (
        t.runs_every = interval '1 minute'
        or t.last_started_at is null
        -- Half a minute early: sixty ticks are now and then some milliseconds short of an hour.
        or t.last_started_at <= p_now - t.runs_every + interval '30 seconds'
        -- The clock was set back.
        or t.last_started_at > p_now
      )
    order by t.shares_time, case when t.shares_time then t.last_started_at end nulls first, t.position
    limit 1
  );
end;
$$;

comment on function billing_private.next_tick_part is
  'The part whose turn it is at p_now in the tick that began at p_tick_at: first those that share no time, by position; then, while that tick is not p_budget old, whichever of the others began longest ago. Null: none is due.';

create function billing_private.record_unfinished_tick_parts(p_tick_at timestamptz, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.record_tick_error(
    t.part, jsonb_build_object('message', 'its session ended before it was finished; what it had not committed was undone'), p_now
  )
  from billing.tick_parts as t
  where t.last_tick_at <> p_tick_at and t.last_finished_at is null;
end;
$$;

comment on function billing_private.record_unfinished_tick_parts is
  'Records which parts an earlier tick began and never ended. The caller holds the lock of ticks, so nobody is at them.';

create function billing_private.advance_tick(
  p_tick_at timestamptz, p_now timestamptz default now(), p_budget interval default '20 seconds'
)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  begun constant timestamptz := clock_timestamp();
  current billing.tick_parts;
  outcome text;
  next_part text;
begin
  select * into current from billing.tick_parts as t where t.last_tick_at = p_tick_at and t.last_finished_at is null;
  if found then
    outcome := billing_private.call_tick_part(current, p_now, p_tick_at + p_budget);
    if outcome <> 'ended' then
      return outcome = 'again';
    end if;
  else
    perform billing_private.record_unfinished_tick_parts(p_tick_at, p_now);
    perform billing_private.commit_without_waiting();
  end if;

  next_part := billing_private.next_tick_part(p_tick_at, p_now + (clock_timestamp() - begun), p_budget);
  -- Committed before it begins, so that a part which ends the session every time is not first every time.
  update billing.tick_parts as t
  set
    last_tick_at = p_tick_at,
    last_started_at = p_now + (clock_timestamp() - begun),
    last_finished_at = null,
    last_took = null,
    last_count = 0
  where t.part = next_part;
  return next_part is not null;
end;
$$;

comment on function billing_private.advance_tick is
  'One transaction of the tick that began at p_tick_at: calls the part that is under way, and says which one comes next. A part that raises is recorded, and the next one has its turn. Returns whether to call again, after a commit; false: the tick is over. For one caller at a time, see cron job duebase-tick.';
