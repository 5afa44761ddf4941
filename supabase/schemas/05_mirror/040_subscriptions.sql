-- Subscriptions and their items, as in Stripe.
-- Reads: customer.subscription.*. Writes: subscriptions, subscription_items, object_metadata.
-- Called by: projection, refreshes; emails and dunning (product_name_of).

create table billing.subscriptions (
  id text primary key,
  customer text,
  status text not null,
  currency text,
  collection_method text,
  current_period_start timestamptz,
  current_period_end timestamptz,
  trial_start timestamptz,
  trial_end timestamptz,
  cancel_at timestamptz,
  cancel_at_period_end boolean not null,
  canceled_at timestamptz,
  cancellation_details jsonb,
  ended_at timestamptz,
  start_date timestamptz,
  billing_cycle_anchor timestamptz,
  days_until_due integer,
  default_payment_method text,
  latest_invoice text,
  schedule text,
  pause_collection jsonb,
  status_details jsonb,
  pending_update jsonb,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz
);

comment on table billing.subscriptions is 'One row per Stripe subscription. Canceled ones stay, with status canceled.';
comment on column billing.subscriptions.customer is 'Customer (billing.customers.id). No foreign key: Stripe may send the subscription first.';
comment on column billing.subscriptions.status is 'Stripe''s: incomplete, incomplete_expired, trialing, active, past_due, unpaid, paused, canceled, and what Stripe adds.';
comment on column billing.subscriptions.current_period_end is 'End of the billing period (UTC); where items differ, of the item that renews first.';
comment on column billing.subscriptions.cancel_at is
  'When it will end as things stand (UTC): canceled for that day, or a fixed term. Which of them, billing_private.is_canceled_for_later tells.';
comment on column billing.subscriptions.cancel_at_period_end is
  'Canceled for the end of the period, as Stripe has it. Under flexible billing it stays false where a customer cancels in the portal, and cancel_at is set.';
comment on column billing.subscriptions.schedule is 'Subscription schedule (sub_sched_…) that governs it, if one does.';
comment on column billing.subscriptions.pause_collection is 'behavior and resumes_at while collection is paused; the status stays as it is. Not the status paused.';
comment on column billing.subscriptions.metadata is 'Of Stripe''s metadata, what settings.visible_metadata allows the owner to read; all of it is in billing.object_metadata.';
comment on column billing.subscriptions.pending_update is 'What waits for a payment to be applied, as Stripe has it, without the metadata of what it contains.';
comment on column billing.subscriptions.status_details is
  'Stripe''s: paused.subscription.type says why it is paused, paused.transitioned_at since when. Since 2026-09-30.endive; null in older versions.';
comment on column billing.subscriptions.latest_invoice is 'Newest invoice (billing.invoices.id).';

create index subscriptions_by_customer on billing.subscriptions (customer);
-- The newest are what a Stripe key is tried on (see stripe_identity).
create index subscriptions_by_age on billing.subscriptions (created desc);
-- What is paused, whoever did it: few of all (see plan_resumptions).
create index subscriptions_at_rest on billing.subscriptions (customer) where status = 'paused' or pause_collection is not null;
-- Whose trial ends soon (see trial_reminders).
create index subscriptions_by_trial_end on billing.subscriptions (trial_end) where status = 'trialing';

create table billing.subscription_items (
  id text primary key,
  subscription text not null,
  customer text,
  price text,
  product text,
  quantity bigint,
  current_period_start timestamptz,
  current_period_end timestamptz,
  metadata jsonb not null default '{}',
  created timestamptz
);

comment on table billing.subscription_items is 'What a subscription bills, one row per price. Written with its subscription, never alone.';
comment on column billing.subscription_items.customer is
  'Customer (billing.customers.id) of the subscription; decides who reads the row. It stands here so that the items of many owners are found as quickly as those of one.';
comment on column billing.subscription_items.price is 'Price (billing.prices.id).';
comment on column billing.subscription_items.product is 'Product (billing.products.id) of the price.';
comment on column billing.subscription_items.metadata is 'See subscriptions.metadata.';
comment on column billing.subscription_items.quantity is 'Units; null for metered prices.';

create index subscription_items_by_subscription on billing.subscription_items (subscription);
create index subscription_items_by_customer on billing.subscription_items (customer);
create index subscription_items_by_price on billing.subscription_items (price, id);
-- What renews soon (see renewal_reminders).
create index subscription_items_by_renewal on billing.subscription_items (price, current_period_end);
create index subscription_items_by_product on billing.subscription_items (product, id);

alter table billing.subscriptions enable row level security;
create policy members_read on billing.subscriptions
  for select to authenticated
  using (customer = any ((select billing_private.my_customers(false))::text[]));
grant select on billing.subscriptions to authenticated, service_role;

alter table billing.subscription_items enable row level security;
create policy members_read on billing.subscription_items
  for select to authenticated
  using (customer = any ((select billing_private.my_customers(false))::text[]));
grant select on billing.subscription_items to authenticated, service_role;

create function billing_private.save_subscription_items(p_events billing.stripe_events[], p_subscriptions jsonb[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  whole text[] := array[]::text[];
  listed text[];
begin
  with saved as (
    insert into billing.subscription_items as i
      (id, subscription, customer, price, product, quantity, current_period_start, current_period_end, metadata, created)
    select
      item ->> 'id',
      s.o ->> 'id',
      billing_private.stripe_id(s.o -> 'customer'),
      billing_private.item_price(item),
      billing_private.item_product(item),
      (item ->> 'quantity')::bigint,
      coalesce(to_timestamp((item ->> 'current_period_start')::double precision), period.period_start),
      coalesce(to_timestamp((item ->> 'current_period_end')::double precision), period.period_end),
      billing_private.save_metadata(item ->> 'id', item -> 'metadata'),
      to_timestamp((item ->> 'created')::double precision)
    from unnest(p_subscriptions) as s (o)
    cross join lateral billing_private.subscription_period(s.o) as period
    cross join lateral jsonb_array_elements(nullif(s.o #> '{items,data}', 'null')) as item
    on conflict (id) do update
      set
        subscription = excluded.subscription,
        customer = excluded.customer,
        price = excluded.price,
        product = excluded.product,
        quantity = excluded.quantity,
        current_period_start = excluded.current_period_start,
        current_period_end = excluded.current_period_end,
        metadata = excluded.metadata,
        created = excluded.created
    returning i.id
  )
  select coalesce(array_agg(s.id), array[]::text[])
  into listed
  from saved as s;

  for n in 1..cardinality(p_subscriptions) loop
    if p_subscriptions[n] #> '{items,has_more}' = 'true' then
      -- The list is cut off: what it leaves out is not gone. Stripe has to be asked for the rest.
      perform billing_private.enqueue_refresh(p_events[n]);
    else
      whole := whole || (p_subscriptions[n] ->> 'id');
    end if;
  end loop;
  if cardinality(whole) = 0 then
    return;
  end if;
  with gone as (
    delete from billing.subscription_items as i
    where i.subscription = any (whole) and i.id <> all (listed)
    returning i.id
  )
  delete from billing.object_metadata as m using gone where m.object_id = gone.id;
end;
$$;

comment on function billing_private.save_subscription_items is
  'Makes the items of subscriptions those of their snapshots. An item without a period of its own (before 2025-03-31.basil) has its subscription''s.';

create function billing_private.subscription_row(p_id text, p_subscription jsonb)
returns billing.subscriptions
language plpgsql
stable
set search_path = ''
as $$
declare
  o constant jsonb := p_subscription;
  period constant record := billing_private.subscription_period(o);
  subscription billing.subscriptions;
begin
  subscription.id := p_id;
  subscription.customer := billing_private.stripe_id(o -> 'customer');
  subscription.status := o ->> 'status';
  subscription.currency := coalesce(o ->> 'currency', o #>> '{items,data,0,price,currency}', o #>> '{items,data,0,plan,currency}');
  subscription.collection_method := coalesce(o ->> 'collection_method', o ->> 'billing');
  subscription.current_period_start := period.period_start;
  subscription.current_period_end := period.period_end;
  subscription.trial_start := to_timestamp((o ->> 'trial_start')::double precision);
  subscription.trial_end := to_timestamp((o ->> 'trial_end')::double precision);
  subscription.cancel_at := to_timestamp((o ->> 'cancel_at')::double precision);
  subscription.cancel_at_period_end := coalesce((o ->> 'cancel_at_period_end')::boolean, false);
  subscription.canceled_at := to_timestamp((o ->> 'canceled_at')::double precision);
  subscription.cancellation_details := nullif(o -> 'cancellation_details', 'null');
  subscription.ended_at := to_timestamp((o ->> 'ended_at')::double precision);
  subscription.start_date := to_timestamp((o ->> 'start_date')::double precision);
  subscription.billing_cycle_anchor := to_timestamp((o ->> 'billing_cycle_anchor')::double precision);
  subscription.days_until_due := (o ->> 'days_until_due')::integer;
  subscription.default_payment_method := coalesce(billing_private.stripe_id(o -> 'default_payment_method'), billing_private.stripe_id(o -> 'default_source'));
  subscription.latest_invoice := billing_private.stripe_id(o -> 'latest_invoice');
  subscription.schedule := billing_private.stripe_id(o -> 'schedule');
  subscription.pause_collection := nullif(o -> 'pause_collection', 'null');
  subscription.status_details := nullif(o -> 'status_details', 'null');
  subscription.pending_update := billing_private.without_metadata(nullif(o -> 'pending_update', 'null'));
  subscription.metadata := billing_private.visible_metadata(o -> 'metadata');
  subscription.livemode := (o ->> 'livemode')::boolean;
  subscription.created := to_timestamp((o ->> 'created')::double precision);
  return subscription;
end;
$$;

comment on function billing_private.subscription_row is 'A subscription of Stripe''s as the row that shows it.';

create function billing_private.save_subscriptions(p_rows billing.subscriptions[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.subscriptions as s
  select * from unnest(p_rows)
  on conflict (id) do update
    set
      customer = excluded.customer,
      status = excluded.status,
      currency = excluded.currency,
      collection_method = excluded.collection_method,
      current_period_start = excluded.current_period_start,
      current_period_end = excluded.current_period_end,
      trial_start = excluded.trial_start,
      trial_end = excluded.trial_end,
      cancel_at = excluded.cancel_at,
      cancel_at_period_end = excluded.cancel_at_period_end,
      canceled_at = excluded.canceled_at,
      cancellation_details = excluded.cancellation_details,
      ended_at = excluded.ended_at,
      start_date = excluded.start_date,
      billing_cycle_anchor = excluded.billing_cycle_anchor,
      days_until_due = excluded.days_until_due,
      default_payment_method = excluded.default_payment_method,
      latest_invoice = excluded.latest_invoice,
      schedule = excluded.schedule,
      pause_collection = excluded.pause_collection,
      status_details = excluded.status_details,
      pending_update = excluded.pending_update,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created;
end;
$$;

comment on function billing_private.save_subscriptions is 'Stores subscriptions as they are now. Their metadata is kept before.';

create function billing_private.project_subscription(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
begin
  if o is null then
    return;
  end if;
  perform billing_private.store_metadata(p_event.object_id, o -> 'metadata');
  perform billing_private.save_subscriptions(array[billing_private.subscription_row(p_event.object_id, o)]);
  perform billing_private.save_subscription_items(array[p_event], array[o]);
end;
$$;

comment on function billing_private.project_subscription is 'Handler: customer.subscription.*, all of which carry the subscription.';

create function billing_private.project_subscriptions(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  events billing.stripe_events[] := array[]::billing.stripe_events[];
  objects jsonb[] := array[]::jsonb[];
  ids text[] := array[]::text[];
  metadata jsonb[] := array[]::jsonb[];
  subscriptions billing.subscriptions[] := array[]::billing.subscriptions[];
begin
  for applied in select a.n, a.object_id as id, a.object from billing_private.apply_each_if_newest(p_events) as a loop
    events := events || p_events[applied.n];
    objects := objects || array[applied.object];
    ids := ids || applied.id;
    metadata := metadata || array[applied.object -> 'metadata'];
    subscriptions := subscriptions || billing_private.subscription_row(applied.id, applied.object);
  end loop;
  if cardinality(ids) > 0 then
    perform billing_private.keep_metadata(ids, metadata);
    perform billing_private.save_subscriptions(subscriptions);
    perform billing_private.save_subscription_items(events, objects);
  end if;
end;
$$;

comment on function billing_private.project_subscriptions is 'project_subscription for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.project_subscription', 'billing_private.project_subscriptions');

create function billing_private.product_name_of(p_subscription text)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select p.name
    from billing.subscription_items as i
    join billing.products as p on p.id = i.product
    where i.subscription = p_subscription
    order by i.created, i.id
    limit 1
  );
end;
$$;

comment on function billing_private.product_name_of is
  'Name of the product a subscription is to, the first of several; null where it has none that is known.';
