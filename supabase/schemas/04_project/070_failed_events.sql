-- Failed events: why an event was not projected, and when it is tried again; what does not belong here is withheld.
-- Reads: settings. Writes: failed_webhooks, outbox (alerts). Called by: projection, retries.

create function billing_private.quarantine_reason(p_event billing.stripe_events)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  expected record;
begin
  select s.livemode, s.stripe_account into expected from billing.settings as s;
  -- Without its one row the settings are at their defaults: test mode.
  if p_event.livemode <> coalesce(expected.livemode, false) then
    return format(
      'event has livemode %s, this project mirrors livemode %s (billing.settings.livemode)', p_event.livemode, coalesce(expected.livemode, false)
    );
  elsif p_event.account is distinct from expected.stripe_account then
    return format(
      'event belongs to account %s, this project mirrors %s (billing.settings.stripe_account)',
      coalesce(p_event.account, 'of the platform'), coalesce(expected.stripe_account, 'the platform account')
    );
  end if;
  return null;
end;
$$;

comment on function billing_private.quarantine_reason is
  'Why an event must not be projected here, or null: wrong livemode, unexpected account.';

create function billing_private.quarantine(p_event billing.stripe_events, p_reason text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.failed_webhooks as f (event_id, status, attempts, error, first_failed_at, last_failed_at)
  values (p_event.id, 'quarantined', 0, jsonb_build_object('message', p_reason), p_now, p_now)
  on conflict (event_id) do update
    set status = excluded.status, next_attempt_at = null, resolved_at = null, error = excluded.error;
  -- One event may be a stray test; it may also be the first of many.
  perform billing_private.alert(
    case
      when p_event.livemode = coalesce((select s.livemode from billing.settings as s), false) then 'quarantined_account'
      else 'quarantined_livemode'
    end,
    jsonb_build_object('event_id', p_event.id, 'type', p_event.type, 'reason', p_reason),
    p_now
  );
end;
$$;

comment on function billing_private.quarantine is
  'Withholds an event that does not belong here, with the reason, and enqueues an alert from the first one on: one per cause (mode, account) and hour.';

create function billing_private.retry_delay(p_failures integer)
returns interval
language plpgsql
volatile
set search_path = ''
as $$
begin
  return interval '1 minute' * power(5, p_failures - 1) * (1 + random() / 5);
end;
$$;

comment on function billing_private.retry_delay is
  'Time from the nth failed projection to the next try: 1, 5, 25 minutes, and up to a fifth more so that failures of one cause spread out.';

create function billing_private.is_lost_race(p_error jsonb, p_took interval)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_error ->> 'sqlstate'
    -- Serialization failure, deadlock, lock timeout.
    when '40001', '40P01', '55P03' then
      return true;
    when '57014' then
      -- It timed out while it waited for a lock or a row; or its time was used up before that, by the transaction it waited for
      -- or by an earlier one; or somebody canceled it.
      return p_error ->> 'context' ~ '^PL/pgSQL function billing_private\.lock_customer|(^|\n)while [a-z ]+ tuple \('
        or p_took < current_setting('statement_timeout')::interval / 2
        or current_setting('statement_timeout') = '0';
    else
      return false;
  end case;
end;
$$;

comment on function billing_private.is_lost_race is
  'Whether a failure is not the event''s fault: it lost a race, or timed out waiting for a lock. p_took: how long its projection ran. An event that needs most of the statement''s time by itself has not lost a race.';

create function billing_private.record_failure(
  p_event billing.stripe_events, p_error jsonb, p_now timestamptz, p_took interval default null
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  max_failures constant integer := 4; -- the first try and three retries
  counts constant boolean := not billing_private.is_lost_race(p_error, p_took);
  failure billing.failed_webhooks;
  was_dead boolean;
begin
  select * into failure from billing.failed_webhooks as f where f.event_id = p_event.id for update;
  was_dead := coalesce(failure.status = 'dead', false);
  failure.attempts := coalesce(failure.attempts, 0) + counts::integer;
  if failure.status = 'dead' or failure.attempts >= max_failures then
    failure.status := 'dead';
    failure.next_attempt_at := null;
  else
    failure.status := 'retrying';
    failure.next_attempt_at := p_now + billing_private.retry_delay(greatest(failure.attempts, 1));
  end if;

  insert into billing.failed_webhooks as f
    (event_id, status, attempts, error, first_failed_at, last_failed_at, next_attempt_at)
  values
    (p_event.id, failure.status, failure.attempts, p_error, p_now, p_now, failure.next_attempt_at)
  on conflict (event_id) do update
    set
      status = excluded.status,
      attempts = excluded.attempts,
      error = excluded.error,
      last_failed_at = excluded.last_failed_at,
      next_attempt_at = excluded.next_attempt_at,
      resolved_at = null;

  -- A person who replays a dead event in vain knows of it already, so no second alert.
  if failure.status = 'dead' and not was_dead then
    perform billing_private.alert(
      'dead_webhook',
      jsonb_build_object('event_id', p_event.id, 'type', p_event.type, 'error', p_error ->> 'message'),
      p_now
    );
  end if;
  return failure.status;
end;
$$;

comment on function billing_private.record_failure is
  'Keeps why a projection failed and when it is tried again; after the first try and three retries the event is dead and an alert is enqueued. Returns the status.';
