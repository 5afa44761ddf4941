-- Usage: how much of what a plan allows has been used, one row per subscription, metric and billing period.
-- A limit is metadata of the price, else of the product: limit_<metric> = 1000, 1000 per unit, or unlimited.
-- Reads: subscriptions, subscription_items, prices, products, customers. Written by: usage periods, recording.
-- Read by: usage periods, recording, the owner whose usage it is.

create table billing.subscription_usage (
  id bigint generated always as identity primary key,
  owner_id uuid,
  subscription text not null,
  metric text not null,
  period_start timestamptz not null,
  period_end timestamptz,
  usage_limit bigint,
  used bigint not null,
  is_open boolean not null,
  constraint used_is_not_negative check (used >= 0),
  constraint usage_limit_is_not_negative check (usage_limit >= 0),
  constraint a_metric_has_one_row_a_period unique nulls not distinct (subscription, metric, period_start, period_end)
);

comment on table billing.subscription_usage is
  'One row per metric and billing period of a subscription: what was used of what the plan allows. A period that ends with nothing used leaves no row.';
comment on column billing.subscription_usage.owner_id is 'The owner of the subscription''s customer; null while that is not known, or the owner is gone.';
comment on column billing.subscription_usage.subscription is 'Subscription (billing.subscriptions.id) whose billing period this is.';
comment on column billing.subscription_usage.metric is 'What is counted: the part of the metadata key after limit_.';
comment on column billing.subscription_usage.period_end is 'End of the period (UTC); null while Stripe has not told of the renewal yet.';
comment on column billing.subscription_usage.usage_limit is 'Sum over the subscription''s items of this period; null: unlimited. Of a closed row, the limit as it last was.';
comment on column billing.subscription_usage.used is 'What billing.record_usage has counted.';
comment on column billing.subscription_usage.is_open is 'Whether the subscription is in this period, by Stripe''s newest word. Closed rows are the record.';

create index subscription_usage_in_force on billing.subscription_usage (owner_id, metric) where is_open;
create index subscription_usage_by_owner on billing.subscription_usage (owner_id, period_start);

alter table billing.subscription_usage enable row level security;
grant select on billing.subscription_usage to authenticated, service_role;

create policy members_read on billing.subscription_usage
  for select to authenticated
  using (owner_id = any ((select billing_private.my_owner_array(false))::uuid[]));

create function billing_private.usage_limits(p_metadata jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    (
      select jsonb_object_agg(substr(m.key, 7), lower(btrim(m.value)))
      from jsonb_each_text(p_metadata) as m
      where m.key ~ '^limit_[a-z0-9_]{1,60}$'
        and lower(btrim(m.value)) ~ '^(unlimited|[0-9]{1,12}( per unit)?)$'
    ),
    '{}'
  );
end;
$$;

comment on function billing_private.usage_limits is
  'Limits that metadata name, {metric: "1000" | "1000 per unit" | "unlimited"}. A value that cannot be read counts as not given.';

create function billing_private.allowed_usage(p_subscriptions text[])
returns setof billing.subscription_usage
language plpgsql
stable
set search_path = ''
-- One plan for all calls: making one for each took longer than running it.
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
    select
      null::bigint,
      c.owner_id,
      s.id,
      l.metric,
      i.current_period_start,
      i.current_period_end,
      case
        when not bool_or(l.value = 'unlimited') then least(
          sum(
            substring(l.value from '^[0-9]+')::numeric * case when l.value like '% per unit' then coalesce(i.quantity, 1) else 1 end
          ),
          1e18
        )::bigint
      end,
      0::bigint,
      true
    from billing.subscriptions as s
    join billing.subscription_items as i on i.subscription = s.id and i.current_period_start is not null
    left join billing.prices as p on p.id = i.price
    left join billing.products as d on d.id = i.product
    left join billing.customers as c on c.id = s.customer
    -- What the price says of a metric goes before what the product says of it.
    cross join lateral jsonb_each_text(
      billing_private.usage_limits(d.metadata) || billing_private.usage_limits(p.metadata)
    ) as l (metric, value)
    where s.id = any (p_subscriptions)
      and s.status not in ('incomplete', 'incomplete_expired', 'canceled')
    group by c.owner_id, s.id, l.metric, i.current_period_start, i.current_period_end;
end;
$$;

comment on function billing_private.allowed_usage is
  'The open rows of subscription_usage that these subscriptions should have by all that is projected: items of one period add up; quantity counts where a limit is per unit.';
