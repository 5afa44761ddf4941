-- Calling a part of the tick: what it raises is its own affair, and is recorded.
-- Reads and writes: tick_parts, job_problems; and what the parts do. Called by: the tick.

create function billing_private.record_tick_error(p_part text, p_error jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.tick_parts as t
  set
    last_finished_at = greatest(p_now, t.last_started_at),
    last_took = greatest(p_now, t.last_started_at) - t.last_started_at,
    failures = t.failures + 1,
    last_failed_at = p_now,
    last_error = p_error
  where t.part = p_part;
  perform billing_private.record_job_problem(p_part, concat(p_error ->> 'message', ' (' || (p_error ->> 'sqlstate') || ')'), p_now);
end;
$$;

comment on function billing_private.record_tick_error is
  'Ends a part''s run with an error, {sqlstate, message, context}, which job_problems shows until a run succeeds.';

create function billing_private.commit_without_waiting()
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform set_config('synchronous_commit', 'off', true);
end;
$$;

comment on function billing_private.commit_without_waiting is
  'The commit of this transaction does not wait for the disk. For transactions that only note how parts went: a crash of the server in the second after may lose that, and an idle minute costs next to nothing.';

create function billing_private.call_tick_part(p_part billing.tick_parts, p_now timestamptz, p_until timestamptz)
returns text
language plpgsql
set search_path = ''
-- Longer than any request of the API may take: only what somebody does not let go of ends a part, and the others run.
set lock_timeout = '10s'
as $$
declare
  begun constant timestamptz := clock_timestamp();
  done integer;
  ended_at timestamptz;
  error_state text;
  error_message text;
  error_context text;
begin
  begin
    execute format('select coalesce((%s($1))::integer, 0)', p_part.function_name) into done using p_now;
    -- What the commit would refuse is refused here, where it is caught.
    set constraints all immediate;
  -- A cancel, by a person or by a timeout, and a failed assertion are not among "others".
  exception when query_canceled or assert_failure or others then
    get stacked diagnostics
      error_state = returned_sqlstate,
      error_message = message_text,
      error_context = pg_exception_context;
    perform billing_private.record_tick_error(
      p_part.part,
      jsonb_build_object('sqlstate', error_state, 'message', error_message, 'context', error_context),
      p_now + (clock_timestamp() - begun)
    );
    return case error_state when '57014' then 'canceled' else 'ended' end;
  end;

  ended_at := p_now + (clock_timestamp() - begun);
  if done = 0 then
    perform billing_private.commit_without_waiting();
  end if;
  if p_part.repeats and done > 0 and ended_at < p_until then
    update billing.tick_parts as t set last_count = t.last_count + done, last_active_at = p_now where t.part = p_part.part;
    return 'again';
  end if;
  update billing.tick_parts as t
  set
    last_count = t.last_count + done,
    last_active_at = case when done > 0 then p_now else t.last_active_at end,
    last_finished_at = greatest(ended_at, t.last_started_at),
    last_took = greatest(ended_at, t.last_started_at) - t.last_started_at,
    failures = 0
  where t.part = p_part.part;
  if p_part.failures > 0 then
    perform billing_private.record_job_problem(p_part.part, null, p_now);
  end if;
  return 'ended';
end;
$$;

comment on function billing_private.call_tick_part is
  'Calls a part''s function once, with p_now, and records what it did or which error it raised. Returns ended; again, where it repeats, found something and p_until has not come; or canceled, where the whole tick is to end.';
