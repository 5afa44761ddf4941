-- Project: an event stored is an event projected, in the same transaction; or it is stored with the reason why not.
-- Reads: event_handlers, settings. Writes: webhook_events, webhook_duplicates, failed_webhooks, and through the
-- handlers all billing state. Called by: duebase-stripe-webhook and reconcile, through the Data API.

create function billing_private.lock_customer(p_event billing.webhook_events)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- One lock and only one, so that no two projections can wait for each other.
  return pg_advisory_xact_lock(hashtextextended(coalesce(p_event.customer_id, p_event.object_id, p_event.id), 7305)) is not null;
end;
$$;

comment on function billing_private.lock_customer is
  'Makes projections of one customer take turns until commit; events without a customer take turns by object. 7305 keeps the keys apart from other users of advisory locks. Returns true once the turn has come.';

create function billing_private.lock_customers(p_customer_ids text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  one text;
begin
  for one in select distinct c.id collate "C" from unnest(p_customer_ids) as c (id) order by 1 loop
    perform pg_advisory_xact_lock(hashtextextended(one, 7305));
  end loop;
end;
$$;

comment on function billing_private.lock_customers is
  'The turns of several customers, for what concerns them and is no event of theirs. Taken in one order, and before anything else.';

create function billing_private.quarantine_reason(p_event billing.webhook_events)
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

-- Dispatch: the rows of event_handlers as code. Looking the handlers up and planning their calls anew would cost
-- every event a tenth of its time, so the function that calls them is written again whenever the rows change.

create function billing_private.dispatch_event(p_event billing.webhook_events)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  return false;
end;
$$;

comment on function billing_private.dispatch_event is
  'Takes the customer''s turn and calls the handlers of an event''s type in order. Written by the trigger on event_handlers; returns false for a type nobody handles.';

create function billing_private.dispatch_source()
returns text
language sql
stable
set search_path = ''
as $$
  with types as (
    select
      split_part(h.event_type, '.', 1) as family,
      h.event_type,
      -- One statement a type: what a handler writes, the next one's own statements read.
      format(
        E'    when %L then\n      perform billing_private.lock_customer(p_event), %s;\n',
        h.event_type,
        string_agg(h.handler || '(p_event)', ', ' order by h.position, h.handler)
      ) as branch
    from billing.event_handlers as h
    where h.enabled
    group by h.event_type
  ),
  families as (
    select
      format(
        E'  when %L then\n    case p_event.type\n%s    else return false;\n    end case;\n',
        t.family,
        string_agg(t.branch, '' order by t.event_type)
      ) as branch
    from types as t
    group by t.family
  )
  select case count(*)
    when 0 then E'begin\n  return false;\nend;'
    else
      E'begin\n  case split_part(p_event.type, ''.'', 1)\n' || string_agg(f.branch, '' order by f.branch)
      || E'  else return false;\n  end case;\n  return true;\nend;'
  end
  from families as f;
$$;

comment on function billing_private.dispatch_source is
  'Body of dispatch_event for the rows of event_handlers as they are: by the first word of the type, then by the type.';

create function billing_private.tg_event_handlers__after_write()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- Of two edits at once the second waits, and then sees the first one's rows.
  perform pg_advisory_xact_lock(7307);
  execute format(
    'create or replace function billing_private.dispatch_event(p_event billing.webhook_events) returns boolean '
    'language plpgsql set search_path = '''' as %L',
    billing_private.dispatch_source()
  );
  return null;
end;
$$;

comment on function billing_private.tg_event_handlers__after_write is
  'Trigger function: writes dispatch_event anew for the rows as they are. Handler names are checked by event_handlers, so nothing else gets into the code.';

create trigger event_handlers_are_dispatched
  after insert or update or delete or truncate on billing.event_handlers
  for each statement execute function billing_private.tg_event_handlers__after_write();

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
  p_event billing.webhook_events, p_error jsonb, p_now timestamptz, p_took interval default null
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
  'Keeps why a projection failed and when it is tried again; after the first try and three retries the event is dead and an alert is owed. Returns the status.';

create function billing_private.may_retry_at_once(p_sqlstate text, p_constraint text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_sqlstate = '40P01'
    or (
      p_sqlstate = '23503'
      and exists (
        select from pg_catalog.pg_constraint as c where c.conname = p_constraint and c.contype = 'f' and c.confrelid = 'auth.users'::regclass
      )
    );
end;
$$;

comment on function billing_private.may_retry_at_once is
  'Whether a failed projection may run again at once: after a deadlock, or where the user was deleted at the same time. Deleting an account locks its row before any trigger can take the customers'' turns, which events take first: these two locks are the only pair that is taken in two orders. The event is projected again at once, and finds no user.';

create function billing_private.project_event(p_event billing.webhook_events, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
-- Waiting for another projection must end well before the API's statement timeout (8 s) ends the whole transaction.
set lock_timeout = '3s'
as $$
declare
  error_state text;
  error_message text;
  error_detail text;
  error_hint text;
  error_context text;
  error_constraint text;
  begun constant timestamptz := clock_timestamp();
begin
  for try in 1..2 loop
    begin
      if coalesce(
        p_event.payload #>> '{data,object,customer_account}', p_event.payload #>> '{data,previous_attributes,customer_account}'
      ) is not null then
        p_event := billing_private.fill_in_customer(p_event);
        perform billing_private.dispatch_event(p_event);
        perform billing_private.move_account_to_customer(p_event);
      else
        perform billing_private.dispatch_event(p_event);
      end if;
      return 'processed';
    -- A statement timeout and a failed assertion are not among "others", and must not lose the event either.
    exception when query_canceled or assert_failure or others then
      get stacked diagnostics
        error_state = returned_sqlstate,
        error_message = message_text,
        error_detail = pg_exception_detail,
        error_hint = pg_exception_hint,
        error_context = pg_exception_context,
        error_constraint = constraint_name;
    end;
    exit when not billing_private.may_retry_at_once(error_state, error_constraint);
  end loop;
  return billing_private.record_failure(
    p_event,
    jsonb_build_object(
      'sqlstate', error_state, 'message', error_message, 'detail', nullif(error_detail, ''),
      'hint', nullif(error_hint, ''), 'context', error_context
    ),
    p_now,
    clock_timestamp() - begun
  );
end;
$$;

comment on function billing_private.project_event is
  'Projects one event in a subtransaction, under its customer''s lock: its handlers'' work is kept whole (processed) or undone whole, with the failure recorded (retrying, dead). One that lost to a deadlock, or to the deletion of its user''s account, has a second try at once.';

create function billing_private.quarantine(p_event billing.webhook_events, p_reason text, p_now timestamptz)
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
  'Withholds an event that does not belong here, with the reason, and owes an alert from the first one on: one per cause (mode, account) and hour.';

create function billing_private.tg_webhook_events__after_insert()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  event billing.webhook_events := new;
  reason text;
  outcome text;
begin
  -- Stored payloads are compressed; the handlers get one that was unpacked once.
  event.payload := new.payload #> '{}';
  reason := billing_private.quarantine_reason(event);
  if reason is null then
    outcome := billing_private.project_event(event, event.received_at);
  else
    perform billing_private.quarantine(event, reason, event.received_at);
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_webhook_events__after_insert is 'Trigger function: projects the event just stored, or quarantines it.';

create trigger webhook_events_are_projected
  after insert on billing.webhook_events
  for each row execute function billing_private.tg_webhook_events__after_insert();

create function billing_private.read_event(p_event jsonb, p_now timestamptz)
returns billing.webhook_events
language plpgsql
set search_path = ''
as $$
declare
  row_read billing.webhook_events;
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

comment on function billing_private.read_event is 'A Stripe event as a row of webhook_events. Raises DU001 naming what is missing, DU031 for a thin event.';

create function billing.receive_event(event jsonb, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: service_role may write no billing table, so that this function is the only way in.
security definer
set search_path = ''
as $$
declare
  incoming billing.webhook_events;
begin
  -- A repeated event is recognized by its id, before anything else of it is read.
  if not exists (select from billing.webhook_events as e where e.id = event ->> 'id') then
    incoming := billing_private.read_event(event, p_now);
    if billing_private.is_forgotten(incoming.customer_id, event #> '{data,object}') then
      incoming.payload := billing_private.redact(event);
    end if;
    insert into billing.webhook_events values (incoming.*) on conflict (id) do nothing;
    if found then
      if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true); -- a repetition before it may have waived this
      end if;
      return coalesce(
        (
          select case f.status when 'quarantined' then 'quarantined' else 'failed' end
          from billing.failed_webhooks as f
          where f.event_id = incoming.id
        ),
        'processed'
      );
    end if;
  end if;

  -- The event itself is on disk already. A crash may lose this count and nothing else,
  -- so the answer does not wait for the disk again, unless the transaction has written something else.
  if pg_current_xact_id_if_assigned() is null then
    perform set_config('synchronous_commit', 'off', true);
  end if;
  insert into billing.webhook_duplicates (event_id, received_at) values (event ->> 'id', p_now);
  return 'duplicate';
end;
$$;

comment on function billing.receive_event is
  'The only way in. Stores a Stripe event once and projects it. Returns processed, duplicate, quarantined, or failed (stored; projection will be retried). Raises DU001 for what is not an event, DU031 for a thin one. The caller may acknowledge once this has committed.';

grant execute on function billing.receive_event(jsonb, timestamptz) to service_role;
