-- Probe events: how doctor finds out whether an event of Stripe's would get through, without leaving one behind.
-- A probe event has a type that Stripe never sends. It takes the whole way of every other event: it has to be signed, and it is
-- read, stored and projected; then all of it is undone in the same transaction.
-- Writes: nothing that stays. Called by: receive_event.

create function billing_private.is_probe_event(p_event jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(p_event ->> 'type' = 'duebase.probe', false);
end;
$$;

comment on function billing_private.is_probe_event is 'Whether an event is one of doctor''s, of which nothing is kept.';

create function billing_private.receive_probe_event(p_event jsonb, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  outcome text;
begin
  begin
    outcome := billing_private.store_event(billing_private.read_event(p_event, p_now));
    -- Undoes the block: row, payload, whatever a failure or a quarantine would have left, and the wake-up for its alert.
    raise exception 'the probe event is undone' using errcode = 'triggered_action_exception';
  exception when triggered_action_exception then
    null;
  end;
  return case outcome when 'processed' then 'probed' else 'probe_' || outcome end;
end;
$$;

comment on function billing_private.receive_probe_event is
  'Stores and projects an event and undoes it. Returns probed; probe_quarantined or probe_failed where a real one would have come to that.';
