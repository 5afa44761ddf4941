-- Receive one: the door in. Reads what of an event is a column, and stores it once.
-- Writes: webhook_events, webhook_payloads, webhook_duplicates.
-- Called by: duebase-stripe-webhook and reconcile, through the Data API.

create function billing_private.read_event(p_event jsonb, p_now timestamptz)
returns billing.stripe_events
language plpgsql
set search_path = ''
as $$
declare
  row_read billing.stripe_events;
  object constant jsonb := p_event #> '{data,object}';
begin
  if p_event ->> 'object' = 'v2.core.event' then
    perform billing_private.raise_error(
      'DU031', format('event %s is thin: snapshot payloads are needed', left(coalesce(p_event ->> 'id', 'null'), 80))
    );
  elsif jsonb_typeof(p_event) is distinct from 'object' or p_event ->> 'object' is distinct from 'event' then
    perform billing_private.raise_error('DU001', format('not a Stripe event: %s', left(coalesce(p_event::text, 'null'), 80)));
  elsif jsonb_typeof(p_event -> 'id') is distinct from 'string' or btrim(p_event ->> 'id') = '' or length(p_event ->> 'id') > 255 then
    perform billing_private.raise_error('DU001', format('event has no usable id: %s', left(coalesce(p_event ->> 'id', 'null'), 80)));
  elsif jsonb_typeof(p_event -> 'type') is distinct from 'string' then
    perform billing_private.raise_error('DU001', format('event %s has no type', p_event ->> 'id'));
  elsif coalesce(p_event ->> 'created', '') !~ '^[0-9]{1,11}$' then
    perform billing_private.raise_error('DU001', format('event %s: created is not a Unix time: %s', p_event ->> 'id', left(p_event ->> 'created', 80)));
  elsif jsonb_typeof(object) is distinct from 'object' then
    perform billing_private.raise_error('DU001', format('event %s has no data.object', p_event ->> 'id'));
  end if;

  row_read.id := p_event ->> 'id';
  row_read.type := p_event ->> 'type';
  row_read.api_version := p_event ->> 'api_version';
  row_read.livemode := coalesce(p_event -> 'livemode' = 'true', false);
  row_read.account := p_event ->> 'account';
  row_read.created := to_timestamp((p_event ->> 'created')::double precision);
  row_read.object_id := coalesce(object ->> 'id', billing_private.summary_id(object));
  row_read.customer_id := billing_private.event_customer(
    billing_private.with_customer(object), p_event #> '{data,previous_attributes}'
  );
  row_read.payload := p_event;
  row_read.received_at := p_now;
  return row_read;
end;
$$;

comment on function billing_private.read_event is 'A Stripe event as a row of stripe_events. Raises DU001 naming what is missing, DU031 for a thin event.';

create function billing_private.store_event(p_event billing.stripe_events)
returns text
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.is_forgotten(p_event.customer_id, p_event.payload #> '{data,object}') then
    p_event.payload := billing_private.redact(p_event.payload);
  end if;
  -- Before the row, which would be waited for too: a batch tries this lock, and so never waits for a row of an event whose
  -- own transaction waits for the batch's locks.
  perform pg_advisory_xact_lock(hashtextextended(p_event.id, 7312));
  insert into billing.webhook_events
    (id, type, api_version, livemode, account, created, object_id, customer_id, received_at)
  values
    (
      p_event.id, p_event.type, p_event.api_version, p_event.livemode, p_event.account, p_event.created,
      p_event.object_id, p_event.customer_id, p_event.received_at
    )
  on conflict (id) do nothing;
  if not found then
    return null;
  end if;
  insert into billing_private.webhook_payloads (event_id, received_at, customer_id, payload)
  values (p_event.id, p_event.received_at, p_event.customer_id, p_event.payload);
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true); -- a repetition before it may have waived this
  end if;
  return billing_private.project_or_quarantine(p_event);
end;
$$;

comment on function billing_private.store_event is
  'Stores an event, redacted where its person is forgotten, and so projects it. Returns processed, quarantined or failed; null where it is stored already.';

create function billing_private.count_duplicate(p_event_id text, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
begin
  -- The event itself is on disk already. A crash may lose this count and nothing else,
  -- so the answer does not wait for the disk again, unless the transaction has written something else.
  if pg_current_xact_id_if_assigned() is null then
    perform set_config('synchronous_commit', 'off', true);
  end if;
  insert into billing.webhook_duplicates (event_id, received_at) values (p_event_id, p_now);
  return 'duplicate';
end;
$$;

comment on function billing_private.count_duplicate is 'Counts a repeated delivery of an event that is stored. Returns duplicate.';

create function billing.receive_event(event jsonb, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: service_role may write no billing table, so that this function and receive_events are the only way in.
security definer
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
declare
  outcome text;
begin
  -- A repeated event is recognized by its id, before anything else of it is read.
  if not exists (select from billing.webhook_events as e where e.id = event ->> 'id') then
    if billing_private.is_probe_event(event) then
      return billing_private.receive_probe_event(event, p_now);
    end if;
    outcome := billing_private.store_event(billing_private.read_event(event, p_now));
    if clock_timestamp() > now() + interval '10 milliseconds' and outcome is not null then
      perform billing_private.note_slow_events(p_now, 1);
    end if;
  end if;
  return coalesce(outcome, billing_private.count_duplicate(event ->> 'id', p_now));
end;
$$;

comment on function billing.receive_event is
  'The only way in, beside receive_events. Stores a Stripe event once and projects it. Returns processed, duplicate, quarantined, or failed (stored; projection will be retried); probed for doctor''s own, of which nothing stays. Raises DU001 for what is not an event, DU031 for a thin one. The caller may acknowledge once this has committed.';

grant execute on function billing.receive_event(jsonb, timestamptz) to service_role;
