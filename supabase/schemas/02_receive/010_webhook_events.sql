-- Receive: every Stripe event once, every repetition counted, every failed projection kept.
-- Written by: billing.receive_event, receive_events. Read by: projection, retries, operators.

create table billing.webhook_events (
  id text primary key,
  type text not null,
  api_version text,
  livemode boolean not null,
  account text,
  created timestamptz not null,
  object_id text,
  customer_id text,
  received_at timestamptz not null,
  constraint id_is_not_blank check (btrim(id) <> '')
);

comment on table billing.webhook_events is 'The ledger: one row per Stripe event that was received. Append-only. What Stripe sent is beside it: billing.stripe_events shows both, as long as the payload is kept.';
comment on column billing.webhook_events.id is 'Stripe''s event id (evt_…). The primary key is the idempotency constraint: a repeated delivery changes nothing.';
comment on column billing.webhook_events.api_version is 'API version in whose shape Stripe sent it; null where Stripe sent none.';
comment on column billing.webhook_events.account is 'Connected account (acct_…) the event belongs to; null for the platform''s own.';
comment on column billing.webhook_events.created is 'When it happened at Stripe. Whole seconds, UTC: two events may share one.';
comment on column billing.webhook_events.object_id is 'Id of data.object; cus_…/entitlements for a customer''s entitlement summary; null for other objects without one, such as an upcoming invoice.';
comment on column billing.webhook_events.customer_id is 'Customer the object belongs to, where the payload says; its events are projected one after another.';
comment on column billing.webhook_events.received_at is 'When we stored it (UTC).';

-- Events of one object in one second are compared with each other (see event order).
create index webhook_events_by_object on billing.webhook_events (object_id, created);
create index webhook_events_by_customer on billing.webhook_events (customer_id, created);
-- Rows arrive in this order, so each goes to the end of it: "the newest" and "the last hour" cost inserts next to nothing.
create index webhook_events_by_arrival on billing.webhook_events (received_at);

create trigger webhook_events_are_append_only
  before update or delete or truncate on billing.webhook_events
  for each statement execute function billing_private.tg_append_only();

create table billing.webhook_duplicates (
  id bigint generated always as identity primary key,
  event_id text not null,
  received_at timestamptz not null
);

comment on table billing.webhook_duplicates is
  'One row per repeated delivery of an event already stored. The idempotency hit rate is read from here. No foreign key: its check would cost a repetition more than everything else about it.';

create index webhook_duplicates_by_event on billing.webhook_duplicates (event_id);
-- Short ranges: the tick counts the last hour every minute.
create index webhook_duplicates_by_arrival on billing.webhook_duplicates using brin (received_at) with (autosummarize = on, pages_per_range = 8);

create trigger webhook_duplicates_are_append_only
  before update or delete or truncate on billing.webhook_duplicates
  for each statement execute function billing_private.tg_append_only();

create table billing.failed_webhooks (
  event_id text primary key references billing.webhook_events (id),
  status text not null,
  attempts integer not null,
  error jsonb not null,
  first_failed_at timestamptz not null,
  last_failed_at timestamptz not null,
  next_attempt_at timestamptz,
  resolved_at timestamptz,
  constraint status_is_known check (status in ('retrying', 'dead', 'resolved', 'quarantined')),
  constraint attempts_are_not_negative check (attempts >= 0),
  constraint only_the_retrying_have_a_next_attempt check ((status = 'retrying') = (next_attempt_at is not null)),
  constraint only_the_resolved_have_an_end check ((status = 'resolved') = (resolved_at is not null))
);

comment on table billing.failed_webhooks is
  'Events whose projection failed or was withheld. The rows with status dead are the dead letter queue; billing.replay_failed_webhook(event_id) runs one again.';
comment on column billing.failed_webhooks.status is
  'retrying: will be tried at next_attempt_at. dead: out of retries, waits for the operator. resolved: projected after all. quarantined: of the wrong livemode or account, never tried.';
comment on column billing.failed_webhooks.attempts is
  'Failed projections that count: the first and up to three retries. Lost races (deadlock, lock timeout, no time left under a lock) do not.';
comment on column billing.failed_webhooks.error is 'Of the last failure: sqlstate, message, detail, hint, context (where in which function).';
comment on column billing.failed_webhooks.next_attempt_at is 'Earliest time of the next retry (UTC).';

create index failed_webhooks_due on billing.failed_webhooks (next_attempt_at) where status = 'retrying';
-- What operators look at: how many failed in an hour, and what waits for them.
create index failed_webhooks_by_time on billing.failed_webhooks (first_failed_at);
create index failed_webhooks_open on billing.failed_webhooks (status, last_failed_at) where status in ('dead', 'quarantined');

-- Unlogged: a crash loses a minute of a statistic, and an event writes nothing more to the log.
create unlogged table billing_private.slow_events (
  id bigint generated always as identity primary key,
  received_at timestamptz not null,
  milliseconds integer not null,
  events integer not null
);

comment on table billing_private.slow_events is
  'Transactions that brought events and took longer than 10 milliseconds until all was written. The tick counts them by the hour (billing.hourly_metrics.slow) and takes them away. What is quicker writes nothing here.';
comment on column billing_private.slow_events.received_at is 'As of its events (UTC).';
comment on column billing_private.slow_events.milliseconds is 'From the beginning of the transaction, which is received_at.';
comment on column billing_private.slow_events.events is 'How many events it stored.';

alter table billing_private.slow_events enable row level security;
create policy nobody_reads on billing_private.slow_events using (false);

create function billing_private.note_slow_events(p_received_at timestamptz, p_events integer)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing_private.slow_events (received_at, milliseconds, events)
  values (p_received_at, least(extract(epoch from clock_timestamp() - now()) * 1000, 2000000000), p_events);
end;
$$;

comment on function billing_private.note_slow_events is
  'Notes how long this transaction has taken so far for the events it stored. Called where that is longer than 10 milliseconds.';

create table billing.event_handlers (
  event_type text not null,
  handler text not null,
  position integer not null default 100,
  enabled boolean not null default true,
  description text,
  primary key (event_type, handler),
  constraint handler_is_a_qualified_name check (handler ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$')
);

comment on table billing.event_handlers is
  'Which functions project which event type, in order of position. Add a row to run a function of your own, schema.name(billing.stripe_events) returning void, in the same transaction as ours.';
comment on column billing.event_handlers.event_type is 'Stripe''s event type, exactly.';
comment on column billing.event_handlers.handler is
  'Qualified name of the function. It must be safe to run twice on one event; if it raises, the event''s whole projection is undone and retried.';
comment on column billing.event_handlers.position is 'Smaller runs first. Duebase''s own use 10 to 50.';

create function billing_private.tg_event_handlers__before_write()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if to_regprocedure(new.handler || '(billing.stripe_events)') is null then
    perform billing_private.raise_error(
      'DU005', format('no function %s(billing.stripe_events) for event type %s', new.handler, new.event_type)
    );
  end if;
  return new;
end;
$$;

comment on function billing_private.tg_event_handlers__before_write is
  'Refuses a handler that does not exist (DU005), so that a typing mistake shows now and not as failed events.';

create trigger event_handlers_exist
  before insert or update on billing.event_handlers
  for each row execute function billing_private.tg_event_handlers__before_write();

alter table billing.webhook_events enable row level security;
create policy service_role_reads on billing.webhook_events for select to service_role using (true);
grant select on billing.webhook_events to service_role;

alter table billing.webhook_duplicates enable row level security;
create policy service_role_reads on billing.webhook_duplicates for select to service_role using (true);
grant select on billing.webhook_duplicates to service_role;

alter table billing.failed_webhooks enable row level security;
create policy service_role_reads on billing.failed_webhooks for select to service_role using (true);
grant select on billing.failed_webhooks to service_role;

alter table billing.event_handlers enable row level security;
create policy service_role_reads on billing.event_handlers for select to service_role using (true);
grant select on billing.event_handlers to service_role;
