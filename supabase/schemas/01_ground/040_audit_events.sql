-- The audit trail: facts worth an auditor's time, written beside the state they tell of, never changed.
-- Written by: projection, linking, people's actions. Read by: operators.

create table billing.audit_events (
  id bigint generated always as identity primary key,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null,
  action text not null,
  actor text not null,
  subject_id text,
  customer_id text,
  event_id text,
  detail jsonb not null default '{}',
  constraint actor_is_known check (actor in ('stripe', 'system', 'operator', 'user')),
  constraint a_stripe_fact_names_its_event check (actor <> 'stripe' or event_id is not null)
);

comment on table billing.audit_events is
  'Append-only: what happened to money and access, when, and which event said so. Update, delete and truncate are refused to everybody but the purge, ten years later (settings.keep_audit_years).';
comment on column billing.audit_events.occurred_at is 'When it happened: the event''s created, or the clock of the action (UTC).';
comment on column billing.audit_events.recorded_at is 'When the row was written (UTC); later than occurred_at for a late event.';
comment on column billing.audit_events.action is 'What happened. Stripe''s event type where a Stripe event says it, else subject.verb such as customer.linked.';
comment on column billing.audit_events.actor is 'Who did it: stripe, system (Duebase itself), operator (a person at the database), user.';
comment on column billing.audit_events.subject_id is 'The object it happened to, usually a Stripe id.';
comment on column billing.audit_events.customer_id is 'Stripe customer concerned, if any.';
comment on column billing.audit_events.event_id is 'Stripe event that said so; one row per event and action, so a replay adds nothing.';
comment on column billing.audit_events.detail is 'The fact in short: amounts in minor units, statuses before and after. No card data, no addresses.';

create unique index audit_events_once_per_event on billing.audit_events (event_id, action) where event_id is not null;
-- Rows are recorded in this order: the oldest are found at almost no cost to inserts.
create index audit_events_by_age on billing.audit_events using brin (recorded_at);
create index audit_events_by_subject on billing.audit_events (subject_id, occurred_at);
create index audit_events_by_customer on billing.audit_events (customer_id, occurred_at);
-- Whose a customer was before the account was deleted.
create index audit_events_by_former_owner on billing.audit_events ((detail ->> 'former_owner_id')) where action = 'customer.unlinked';

create trigger audit_events_are_append_only
  before update or delete or truncate on billing.audit_events
  for each statement execute function billing_private.tg_append_only();

alter table billing.audit_events enable row level security;
create policy service_role_reads on billing.audit_events for select to service_role using (true);
grant select on billing.audit_events to service_role;

create function billing_private.audit(
  p_action text,
  p_actor text,
  p_subject_id text,
  p_customer_id text,
  p_detail jsonb,
  p_occurred_at timestamptz,
  p_event_id text default null
)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.audit_events (occurred_at, recorded_at, action, actor, subject_id, customer_id, event_id, detail)
  values (p_occurred_at, now(), p_action, p_actor, p_subject_id, p_customer_id, p_event_id, coalesce(p_detail, '{}'))
  on conflict (event_id, action) where event_id is not null do nothing;
  return found;
end;
$$;

comment on function billing_private.audit is
  'Records one fact. Facts that a Stripe event tells are recorded once per event and action, however often it is replayed. Returns whether it was new.';
