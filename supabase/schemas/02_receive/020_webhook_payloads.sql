-- Payloads: what Stripe sent, apart from the ledger, so that it can be dropped by age while the ledger stays.
-- A partition is a month of received_at (UTC). They are in billing_private: in an exposed schema each partition would
-- be an endpoint of its own, past the row security of the whole.
-- Written by: billing.receive_event. Read by: projection, retries, emails, through billing.stripe_events.

create function billing_private.references_of(p_value jsonb)
returns text[]
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- Ids of Stripe's have a capital or a digit after the first underscore, its words for states have none.
  return array(
    select distinct lower(substr(n.name, 1, 36)) collate "C"
    from (select r.value #>> '{}' as name from jsonb_path_query(p_value, 'strict $.** ? (@ like_regex "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")') as r (value)) as n
    union
    select r.value #>> '{}'
    from jsonb_path_query(p_value, 'strict $.** ? (@ like_regex "^[a-z]+_[A-Za-z0-9_]*[A-Z0-9][A-Za-z0-9_]*$")') as r (value)
  );
end;
$$;

comment on function billing_private.references_of is
  'Every id that an object names, at any depth and under whatever name, its own among them; ids of users (uuids) too, in lower case.';

create table billing_private.webhook_payloads (
  event_id text not null,
  received_at timestamptz not null,
  customer_id text,
  payload jsonb not null,
  primary key (event_id, received_at)
)
partition by range (received_at);

comment on table billing_private.webhook_payloads is
  'What Stripe sent, a row per event of webhook_events. Never changed, but for what tells who a forgotten customer was (billing.forget_user); dropped by the month.';
comment on column billing_private.webhook_payloads.event_id is 'Event (billing.webhook_events.id). No foreign key: its check would cost every event, and nothing but the door writes here.';
comment on column billing_private.webhook_payloads.received_at is 'As in webhook_events: it tells the partition.';
comment on column billing_private.webhook_payloads.customer_id is 'As in webhook_events: only where it is null is the payload searched for whom it names.';
comment on column billing_private.webhook_payloads.payload is 'The event, as Stripe sent it.';

-- A missing partition is never an error: what has none comes here, see make_payload_partitions.
create table billing_private.webhook_payloads_default partition of billing_private.webhook_payloads default;

comment on table billing_private.webhook_payloads_default is
  'Payloads for whose month no partition was there. Empty as long as partitions are made ahead.';

create table billing_private.kept_payloads (
  event_id text primary key,
  received_at timestamptz not null,
  customer_id text,
  payload jsonb not null
);

comment on table billing_private.kept_payloads is
  'Payloads that are still needed though their month was dropped, see drop_payloads.';
comment on column billing_private.kept_payloads.event_id is 'Event (billing.webhook_events.id).';

-- Reviews, mandates, verifications, refunds, disputes, and objects Stripe may add, name no customer.
create index webhook_payloads_by_reference
  on billing_private.webhook_payloads using gin (billing_private.references_of(payload -> 'data')) where customer_id is null;
create index kept_payloads_by_reference
  on billing_private.kept_payloads using gin (billing_private.references_of(payload -> 'data')) where customer_id is null;

-- Updates are refused in redaction, which knows the one exception.
create trigger webhook_payloads_are_never_truncated
  before truncate on billing_private.webhook_payloads
  for each statement execute function billing_private.tg_append_only();

-- A partition that is named itself does not fire that of the whole.
create trigger payloads_are_never_truncated
  before truncate on billing_private.webhook_payloads_default
  for each statement execute function billing_private.tg_append_only();

create trigger kept_payloads_are_never_truncated
  before truncate on billing_private.kept_payloads
  for each statement execute function billing_private.tg_append_only();

create view billing.stripe_events
with (security_invoker = true)
as
select
  e.id,
  e.type,
  e.api_version,
  e.livemode,
  e.account,
  e.created,
  e.object_id,
  e.customer_id,
  coalesce(p.payload, k.payload) as payload,
  e.received_at
from billing.webhook_events as e
left join billing_private.webhook_payloads as p on p.event_id = e.id and p.received_at = e.received_at
left join billing_private.kept_payloads as k on k.event_id = e.id;

comment on view billing.stripe_events is
  'Every event received, with its payload as long as that is kept. Its row type is what handlers take, schema.name(event billing.stripe_events): columns are added at its end, and none is changed or removed.';
comment on column billing.stripe_events.id is 'Stripe''s event id (evt_…).';
comment on column billing.stripe_events.type is 'Stripe''s event type.';
comment on column billing.stripe_events.api_version is 'API version whose shape the payload has; null where Stripe sent none.';
comment on column billing.stripe_events.livemode is 'Whether it is of live mode.';
comment on column billing.stripe_events.account is 'Connected account (acct_…) the event belongs to; null for the platform''s own.';
comment on column billing.stripe_events.created is 'When it happened at Stripe. Whole seconds, UTC: two events may share one.';
comment on column billing.stripe_events.object_id is 'Id of data.object; null where it has none.';
comment on column billing.stripe_events.customer_id is 'Customer the object belongs to, where the payload says.';
comment on column billing.stripe_events.payload is
  'The event, as Stripe sent it; never null for a handler. Null where it was dropped by age. What tells who a forgotten customer was is taken out (billing.forget_user).';
comment on column billing.stripe_events.received_at is 'When we stored it (UTC).';

alter table billing_private.webhook_payloads enable row level security;
create policy service_role_reads on billing_private.webhook_payloads for select to service_role using (true);
alter table billing_private.webhook_payloads_default enable row level security;
create policy nobody_reads on billing_private.webhook_payloads_default using (false);
alter table billing_private.kept_payloads enable row level security;
create policy service_role_reads on billing_private.kept_payloads for select to service_role using (true);
-- The view reads them as its reader. Without a way into the schema nobody else names them.
grant select on billing_private.webhook_payloads, billing_private.kept_payloads to service_role;
grant select on billing.stripe_events to service_role;
