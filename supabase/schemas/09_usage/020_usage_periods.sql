-- Usage periods: the open rows of subscription_usage follow what is projected, so they are a function of it.
-- Reads: subscriptions, items, prices, products, customers. Writes: subscription_usage, limits_in_force, changed_features.
-- Called by: projection, and the link of a customer to an owner.

create table billing_private.limits_in_force (
  object_id text primary key,
  limits jsonb not null
);

comment on table billing_private.limits_in_force is
  'Limits that a price or product gave when subscription_usage last followed it; no row for one that never gave any. Tells an edit of limits from any other.';

comment on column billing_private.limits_in_force.limits is 'As usage_limits reads them.';

alter table billing_private.limits_in_force enable row level security;
create policy nobody_reads on billing_private.limits_in_force using (false);

create function billing_private.lock_plans_shared(p_subscriptions text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  plan record;
begin
  -- The lock that events of a price or product take alone. Prices before products, as refresh_usage_of_plan does.
  for plan in
    select distinct o.kind, o.id
    from billing.subscription_items as i
    cross join lateral (values (1, i.price), (2, i.product)) as o (kind, id)
    where i.subscription = any (p_subscriptions) and o.id is not null
    order by o.kind, o.id
  loop
    perform pg_advisory_xact_lock_shared(hashtextextended(plan.id, 7305));
  end loop;
end;
$$;

comment on function billing_private.lock_plans_shared is
  'Waits for events of these subscriptions'' prices and products, and lets none begin before this transaction ends: of two that cannot see each other''s work, one would be missed.';

create function billing_private.lock_plans_of_customers_shared(p_customer_ids text[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_customer_ids <> '{}' then
    perform billing_private.lock_plans_shared(array(select s.id from billing.subscriptions as s where s.customer = any (p_customer_ids)));
  end if;
end;
$$;

comment on function billing_private.lock_plans_of_customers_shared is
  'lock_plans_shared for all subscriptions of these customers: for whoever links several, because it comes before any owner''s lock.';

create function billing_private.open_usage_period(p_period billing.subscription_usage, p_open billing.subscription_usage[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- The same period under another end: a trial was extended, or the renewal is told of a period already in use.
  update billing.subscription_usage as u
  set period_end = p_period.period_end
  where u.id = (
    select other.id
    from billing.subscription_usage as other
    where other.subscription = p_period.subscription
      and other.metric = p_period.metric
      and other.period_start = p_period.period_start
      and not exists (
        select
        from unnest(p_open) as o
        where (o.subscription, o.metric, o.period_start) = (other.subscription, other.metric, other.period_start)
          and o.period_end is not distinct from other.period_end
      )
    order by other.used desc, other.id
    limit 1
  );
  if not found then
    insert into billing.subscription_usage (owner_id, subscription, metric, period_start, period_end, usage_limit, used, is_open)
    values (
      p_period.owner_id, p_period.subscription, p_period.metric, p_period.period_start, p_period.period_end, p_period.usage_limit, 0, true
    )
    on conflict do nothing;
  end if;
end;
$$;

comment on function billing_private.open_usage_period is
  'Opens one period. What was used is kept where a row of the same start has an end that nobody tells any longer.';

create function billing_private.refresh_usage(p_subscriptions text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  allowed billing.subscription_usage[];
  period billing.subscription_usage;
  is_complete boolean;
begin
  -- Most applications count nothing: theirs is to be cheap.
  if not exists (select from billing.subscription_usage as u where u.subscription = any (p_subscriptions))
    and not exists (
      select
      from billing.subscription_items as i
      where i.subscription = any (p_subscriptions)
        and exists (select from billing_private.limits_in_force as f where f.object_id in (i.price, i.product))
    )
  then
    return;
  end if;

  -- Again until nothing is missing: a period that another product's event has just opened brings its limits with it.
  loop
    -- Whoever is recording usage holds these rows. They are taken in the order in which recording takes them.
    perform from billing.subscription_usage as u where u.subscription = any (p_subscriptions) order by u.id for update;
    allowed := array(select a from billing_private.allowed_usage(p_subscriptions) as a);
    is_complete := true;
    for period in
      select a.*
      from unnest(allowed) as a
      where not exists (
        select
        from billing.subscription_usage as u
        where (u.subscription, u.metric, u.period_start) = (a.subscription, a.metric, a.period_start)
          and u.period_end is not distinct from a.period_end
      )
      order by a.subscription, a.metric, a.period_start, a.period_end
    loop
      is_complete := false;
      perform billing_private.open_usage_period(period, allowed);
    end loop;
    exit when is_complete;
  end loop;

  update billing.subscription_usage as u
  set owner_id = now_is.owner_id, usage_limit = now_is.usage_limit, is_open = now_is.is_open
  from (
    select
      old.id,
      (
        select c.owner_id
        from billing.subscriptions as s
        join billing.customers as c on c.id = s.customer
        where s.id = old.subscription
      ) as owner_id,
      case when a.subscription is null then old.usage_limit else a.usage_limit end as usage_limit,
      a.subscription is not null as is_open
    from billing.subscription_usage as old
    left join unnest(allowed) as a
      on (a.subscription, a.metric, a.period_start) = (old.subscription, old.metric, old.period_start)
      and a.period_end is not distinct from old.period_end
    where old.subscription = any (p_subscriptions)
  ) as now_is
  where u.id = now_is.id and (u.owner_id, u.usage_limit, u.is_open) is distinct from (now_is.owner_id, now_is.usage_limit, now_is.is_open);

  delete from billing.subscription_usage as u
  where u.subscription = any (p_subscriptions) and not u.is_open and u.used = 0;
end;
$$;

comment on function billing_private.refresh_usage is
  'Makes the usage rows of these subscriptions what is projected: opens and closes periods, follows limits and the owner, and keeps what was used.';

create function billing_private.refresh_usage_of_subscription(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.lock_plans_shared(array[p_event.object_id]);
  perform billing_private.refresh_usage(array[p_event.object_id]);
end;
$$;

comment on function billing_private.refresh_usage_of_subscription is
  'Handler: customer.subscription.*: usage periods open, change and close with the subscription.';

create function billing_private.refresh_usage_of_customer(p_customer_id text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  theirs constant text[] := array(select s.id from billing.subscriptions as s where s.customer = p_customer_id order by s.id);
begin
  if theirs <> '{}' then
    perform billing_private.lock_plans_shared(theirs);
    perform billing_private.refresh_usage(theirs);
  end if;
end;
$$;

comment on function billing_private.refresh_usage_of_customer is
  'Usage goes with the customer to the owner it is linked to, what was used included. Called under the customer''s lock.';

create function billing_private.refresh_usage_of_plan(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  is_price constant boolean := exists (select from billing.prices as p where p.id = p_event.object_id);
  limits jsonb;
  theirs text[];
begin
  select billing_private.usage_limits(m.metadata)
  into limits
  from (
    select p.metadata from billing.prices as p where p.id = p_event.object_id
    union all
    select d.metadata from billing.products as d where d.id = p_event.object_id
  ) as m;
  if coalesce(limits, '{}') = coalesce((select f.limits from billing_private.limits_in_force as f where f.object_id = p_event.object_id), '{}') then
    return;
  end if;
  insert into billing_private.limits_in_force (object_id, limits)
  values (p_event.object_id, coalesce(limits, '{}'))
  on conflict (object_id) do update set limits = excluded.limits;
  -- Those who subscribe are told by the tick, in batches.
  insert into billing_private.changed_features (kind, object_id, changed_at)
  values (case when is_price then 'price' else 'product' end, p_event.object_id, p_event.received_at)
  on conflict (kind, object_id) do update set changed_at = excluded.changed_at, reached = '';

  -- A product's event does not wait for its prices', so a price's waits for the product's.
  if is_price then
    perform pg_advisory_xact_lock(hashtextextended(p.product, 7305)) from billing.prices as p where p.id = p_event.object_id;
  end if;
  for theirs in
    select array_agg(n.id)
    from (
      select i.subscription as id, (row_number() over (order by i.subscription) - 1) / 500 as batch
      from billing.subscription_items as i
      where i.price = p_event.object_id or i.product = p_event.object_id
      group by i.subscription
    ) as n
    group by n.batch
    order by n.batch
  loop
    perform billing_private.refresh_usage(theirs);
  end loop;
end;
$$;

comment on function billing_private.refresh_usage_of_plan is
  'Handler: price.*, product.*: changed limits hold at once for every subscription in a period. An edit of anything else costs one look-up.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, h.position, h.description
from (
  values
    (
      -- Before the entitlements: they take the owner's lock, and this waits for the plans.
      'billing_private.refresh_usage_of_subscription', 25, 'keeps usage periods and their limits',
      array[
        'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
        'customer.subscription.trial_will_end', 'customer.subscription.paused', 'customer.subscription.resumed',
        'customer.subscription.pending_update_applied', 'customer.subscription.pending_update_expired'
      ]
    ),
    (
      'billing_private.refresh_usage_of_plan', 15, 'follows changed usage limits',
      array['product.created', 'product.updated', 'product.deleted', 'price.created', 'price.updated', 'price.deleted']
    )
) as h (handler, position, description, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('subscription', 'billing_private.refresh_usage_of_subscription', 25),
  ('product', 'billing_private.refresh_usage_of_plan', 15),
  ('price', 'billing_private.refresh_usage_of_plan', 15);
