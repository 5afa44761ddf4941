-- Tries and alerts: how often an effect is tried, how long it waits in between, and who is told that it is dead or waits.
-- Reads: the effect. Writes: outbox (alerts). Called by: deliver_outbox, and whatever else alerts the operator: receiving,
-- Resend's reports, dunning.

create function billing_private.max_attempts()
returns integer
language sql
immutable parallel safe
set search_path = ''
as $$ select 15 $$;

comment on function billing_private.max_attempts is
  'Tries that count an effect gets before it is dead. With delivery_delay they span about eight hours.';

create function billing_private.was_refused(p_effect billing.outbox)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return p_effect.status = 'dead' and p_effect.attempts - p_effect.excused_attempts < billing_private.max_attempts();
end;
$$;

comment on function billing_private.was_refused is
  'Whether an effect is dead for a final answer, and not because it is out of tries: trying again brings the same answer, until the operator has changed something.';

create function billing_private.delivery_delay(p_attempts integer)
returns interval
language plpgsql
volatile
set search_path = ''
as $$
begin
  return least(interval '30 seconds' * power(2, least(p_attempts, 20) - 1), interval '1 hour') * (1 + random() / 5);
end;
$$;

comment on function billing_private.delivery_delay is
  'Time from the nth failed try to the next: 30 seconds, doubled each time up to an hour, and up to a fifth more so that failures of one cause spread out.';

create function billing_private.alert(p_cause text, p_detail jsonb, p_now timestamptz, p_about text default null)
returns void
language plpgsql
set search_path = ''
as $$
declare
  key text := concat_ws(':', 'alert', p_cause, p_about, to_char(p_now at time zone 'UTC', 'YYYY-MM-DD"T"HH24"Z"'));
begin
  -- All customers may share this key: a transaction that waited for it while it holds a customer's lock could deadlock.
  if not pg_try_advisory_xact_lock(hashtextextended(key, 7311)) then
    key := key || ':' || pg_backend_pid();
  end if;
  perform billing_private.enqueue('alert', key, jsonb_build_object('cause', p_cause) || p_detail, p_now);
end;
$$;

comment on function billing_private.alert is
  'Owes the operator an alert, one per cause and hour: the first tells of it, the tables hold the rest. p_about: the id of what is a matter of its own, and has its own alert. Waits for nobody: of two at the same moment each owes its own.';

create function billing_private.alert_dead_letter(p_effect billing.outbox, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- No alert about an alert: it could not be delivered either.
  if p_effect.kind <> 'alert' then
    perform billing_private.alert(
      'dead_effect',
      jsonb_build_object(
        'outbox_id', p_effect.id, 'kind', p_effect.kind, 'dedupe_key', p_effect.dedupe_key, 'error', p_effect.last_error ->> 'message'
      ),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.alert_dead_letter is 'Owes the alert that an effect is dead.';

create function billing_private.alert_outage(p_effect billing.outbox, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- No alert about an alert: it could not be delivered either.
  if p_effect.kind = 'alert' then
    return;
  elsif p_effect.last_error ->> 'code' in ('wrong_account', 'wrong_mode') then
    perform billing_private.alert(
      'wrong_stripe_key',
      jsonb_build_object('outbox_id', p_effect.id, 'error', p_effect.last_error ->> 'message'),
      p_now
    );
  -- As often as others get tries: after about eight hours, and then twice a day.
  elsif p_effect.excused_attempts % billing_private.max_attempts() = 0 then
    perform billing_private.alert(
      'long_outage',
      jsonb_build_object(
        'outbox_id', p_effect.id, 'kind', p_effect.kind, 'since', p_effect.created_at, 'error', p_effect.last_error ->> 'message'
      ),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.alert_outage is
  'Enqueues the alert that an effect waits for Stripe or Resend: at once where the Stripe key is wrong, else after hours. One per cause and hour.';
