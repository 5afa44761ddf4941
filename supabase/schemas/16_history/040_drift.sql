-- Drift: what differed at Stripe though no event told of it. A comparison reads what runs and what is owed, and applies it by
-- the way of any read; what that changed was drift.
-- Reads: subscriptions, items, invoices, failed_webhooks. Writes: drift, compared_objects, and billing state through the
-- handlers. Called by: duebase-reconcile.

create table billing.drift (
  id bigint generated always as identity primary key,
  run_id bigint not null references billing.history_runs (id) on delete cascade,
  object text not null,
  object_id text not null,
  customer text,
  field text not null,
  ours jsonb,
  stripes jsonb,
  why text not null,
  found_at timestamptz not null,
  mended_at timestamptz
);

comment on table billing.drift is
  'What a comparison with Stripe found different, one row per field. Differences are mended as they are found, by what was read. Rows stay for the operator.';
comment on column billing.drift.run_id is 'The comparison (billing.history_runs.id).';
comment on column billing.drift.object is 'Stripe''s object field: subscription or invoice.';
comment on column billing.drift.object_id is 'Id of the object.';
comment on column billing.drift.customer is 'Customer (billing.customers.id) it is of.';
comment on column billing.drift.field is 'Column of its table here; items: what a subscription bills; object: the whole of it, where only one side knows it.';
comment on column billing.drift.ours is 'What was stored; null: nothing.';
comment on column billing.drift.stripes is 'What was read at Stripe, as it is stored since; null: nothing.';
comment on column billing.drift.why is 'Why it differed, as far as is known.';
comment on column billing.drift.found_at is 'When (UTC).';
comment on column billing.drift.mended_at is 'When what was read was applied (UTC); null: it could not be, and a person has to look.';

create index drift_by_object on billing.drift (object_id);
create index drift_open on billing.drift (found_at) where mended_at is null;
create index drift_by_age on billing.drift (found_at);
create index drift_by_run on billing.drift (run_id);
create index drift_by_customer on billing.drift (customer);

alter table billing.drift enable row level security;
create policy service_role_reads on billing.drift for select to service_role using (true);
grant select on billing.drift to service_role;

insert into billing_private.personal_data (table_name, column_name, becomes, about) values
  ('billing.drift', 'ours', 'null', 'customer = any ($1)'),
  ('billing.drift', 'stripes', 'null', 'customer = any ($1)'),
  (
    'billing.history_problems', 'error',
    'jsonb_build_object(''sqlstate'', error -> ''sqlstate'', ''message'', ''removed: the customer is forgotten'')',
    'object_id = any ($1) or object_id = any ($3) or object_id = any ($6)'
  );

create table billing_private.compared_objects (
  object_id text primary key,
  run_id bigint not null
);

comment on table billing_private.compared_objects is
  'Which comparison last read an object: what is stored as running or open and was not in Stripe''s list is read by itself.';
comment on column billing_private.compared_objects.run_id is 'The comparison (billing.history_runs.id).';

alter table billing_private.compared_objects enable row level security;
create policy nobody_reads on billing_private.compared_objects using (false);

create function billing_private.stored_object(p_object text, p_id text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_object = 'subscription' then
    return (
      select to_jsonb(s) || jsonb_build_object('items', (
        select jsonb_agg(to_jsonb(i) order by i.id) from billing.subscription_items as i where i.subscription = s.id
      ))
      from billing.subscriptions as s
      where s.id = p_id
    );
  end if;
  -- What only events tell is nothing to compare.
  return (select to_jsonb(i) - 'first_payment_failed_at' from billing.invoices as i where i.id = p_id);
end;
$$;

comment on function billing_private.stored_object is 'A subscription with its items, or an invoice, as it is stored; null where it is not.';

create function billing_private.reason_of_drift(p_object_id text)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  failure record;
begin
  select f.event_id, f.status
  into failure
  from billing.webhook_events as e
  join billing.failed_webhooks as f on f.event_id = e.id and f.status <> 'resolved'
  where e.object_id = p_object_id
  order by e.created desc
  limit 1;
  if failure.event_id is not null then
    return format('its event %s is %s: see billing.failed_webhooks', failure.event_id, failure.status);
  elsif exists (select from billing.webhook_events as e where e.object_id = p_object_id) then
    return 'no event told of it';
  end if;
  return 'no event ever told of the object';
end;
$$;

comment on function billing_private.reason_of_drift is 'Why an object differed from what is at Stripe, as far as the ledger of events tells.';

create function billing_private.compare_object(p_run_id bigint, p_object jsonb, p_read_at timestamptz, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  incoming constant billing.stripe_events := billing_private.take_read(p_object, p_read_at, p_now);
  kind constant text := p_object ->> 'object';
  before constant jsonb := billing_private.stored_object(kind, incoming.object_id);
  reason constant text := billing_private.reason_of_drift(incoming.object_id);
  outcome constant text := billing_private.order_refresh(incoming);
  after jsonb;
begin
  if kind not in ('subscription', 'invoice') then
    perform billing_private.raise_error('DU008', format('cannot compare %s %s', kind, incoming.object_id));
  end if;
  if before is not null then
    perform billing_private.run_refresh_handlers(incoming, outcome);
  elsif outcome = 'applied' then
    -- Nobody has been told of it, and it may be years old.
    perform billing_private.project_history(incoming);
  end if;
  after := billing_private.stored_object(kind, incoming.object_id);
  insert into billing_private.compared_objects as c (object_id, run_id)
  values (incoming.object_id, p_run_id)
  on conflict (object_id) do update set run_id = excluded.run_id;
  insert into billing.drift (run_id, object, object_id, customer, field, ours, stripes, why, found_at, mended_at)
  select
    p_run_id, kind, incoming.object_id, incoming.customer_id, d.field, nullif(d.ours, 'null'), nullif(d.stripes, 'null'), reason, p_now, p_now
  from (
    select f.field, before -> f.field as ours, after -> f.field as stripes
    from jsonb_object_keys(after) as f (field)
    where before is not null and before -> f.field is distinct from after -> f.field
    union all
    select 'object', null, jsonb_build_object('status', after -> 'status') where before is null and after is not null
  ) as d
  order by d.field;
  perform billing_private.finish_history_read(incoming, p_object, outcome, 'comparison');
  return outcome;
end;
$$;

comment on function billing_private.compare_object is
  'Applies one object that a comparison has read, by the way of any read, and records in drift what differed.';

create function billing.uncompared_objects(p_run_id bigint, p_object text, p_after text, p_limit integer default 100)
returns jsonb
language sql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(u.id order by u.id), '[]')
  from (
    select o.id collate "C" as id
    from (
      select s.id from billing.subscriptions as s where p_object = 'subscription' and s.status not in ('canceled', 'incomplete_expired')
      union all
      select i.id from billing.invoices as i where p_object = 'invoice' and i.status = 'open' and i.deleted_at is null
    ) as o
    where o.id collate "C" > p_after
      and not exists (select from billing_private.compared_objects as c where c.object_id = o.id and c.run_id = p_run_id)
    order by 1
    limit p_limit
  ) as u;
$$;

comment on function billing.uncompared_objects is
  'For duebase-reconcile: the next running subscriptions or open invoices, after p_after, that a comparison has not read yet: Stripe''s list did not have them.';

create function billing.record_object_not_found(p_claim uuid, p_run_id bigint, p_object text, p_id text, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  before constant jsonb := billing_private.stored_object(p_object, p_id);
begin
  perform billing_private.renew_history_lease(p_claim, p_now);
  insert into billing_private.compared_objects as c (object_id, run_id)
  values (p_id, p_run_id)
  on conflict (object_id) do update set run_id = excluded.run_id;
  -- Told once, and not every day.
  insert into billing.drift (run_id, object, object_id, customer, field, ours, why, found_at)
  select
    p_run_id, p_object, p_id, before ->> 'customer', 'object', jsonb_build_object('status', before -> 'status'),
    'Stripe does not find it, and such an object is never deleted: it is of another account or mode, or of a test clock that was deleted',
    p_now
  where not exists (select from billing.drift as d where d.object_id = p_id and d.field = 'object' and d.mended_at is null);
  return found;
end;
$$;

comment on function billing.record_object_not_found is
  'For duebase-reconcile: records in drift that Stripe does not find an object that is never deleted there. Nothing is changed. Returns whether that is new. Raises DU090.';

grant execute on function
  billing.uncompared_objects(bigint, text, text, integer),
  billing.record_object_not_found(uuid, bigint, text, text, timestamptz)
to service_role;
