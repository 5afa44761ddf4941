-- Email prices: what a subscription will be charged, as far as it can be told to the person who pays.
-- Reads: the subscription as Stripe sent it, its events and items, prices. Writes: nothing. Called by: emails about subscriptions.

create function billing_private.price_of_item(p_item jsonb)
returns billing.prices
language plpgsql
stable
set search_path = ''
as $$
declare
  price constant jsonb := nullif(p_item -> 'price', 'null');
  -- Before prices there were plans.
  plan constant jsonb := nullif(p_item -> 'plan', 'null');
  known billing.prices;
  item_price billing.prices;
begin
  item_price := jsonb_populate_record(null::billing.prices, jsonb_build_object(
    'id', coalesce(price, plan) -> 'id',
    'currency', coalesce(price, plan) -> 'currency',
    'unit_amount', coalesce(price -> 'unit_amount', plan -> 'amount'),
    'unit_amount_decimal', coalesce(price -> 'unit_amount_decimal', plan -> 'amount_decimal'),
    'billing_scheme', coalesce(price, plan) -> 'billing_scheme',
    'tiers_mode', coalesce(price, plan) -> 'tiers_mode',
    'tiers', coalesce(price, plan) -> 'tiers',
    'transform_quantity', coalesce(price -> 'transform_quantity', plan -> 'transform_usage'),
    'currency_options', price -> 'currency_options',
    'tax_behavior', price -> 'tax_behavior',
    'recurring', coalesce(price -> 'recurring', jsonb_build_object(
      'interval', plan -> 'interval', 'interval_count', plan -> 'interval_count', 'usage_type', plan -> 'usage_type'
    ))
  ));
  -- Tiers and other currencies no event carries: they were read from Stripe, if anything was.
  select * into known from billing.prices as p where p.id = item_price.id;
  item_price.tiers := coalesce(nullif(item_price.tiers, 'null'), known.tiers);
  item_price.currency_options := coalesce(nullif(item_price.currency_options, 'null'), known.currency_options);
  item_price.transform_quantity := nullif(item_price.transform_quantity, 'null');
  return item_price;
end;
$$;

comment on function billing_private.price_of_item is 'The price of an item of a subscription as the item tells it, of any API version, with what only a read of the price can tell.';

create function billing_private.discounted(p_subscription jsonb, p_amount numeric, p_at timestamptz)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  amount numeric := p_amount;
  discount jsonb;
  coupon jsonb;
begin
  for discount in
    select d.value
    from jsonb_array_elements(
      case jsonb_typeof(p_subscription -> 'discounts') when 'array' then p_subscription -> 'discounts' else '[]' end
    ) as d
    union all
    -- The one discount there was before there could be several; where both are told, it is one of them.
    select p_subscription -> 'discount'
    where jsonb_typeof(p_subscription -> 'discount') = 'object'
      and not exists (
        select
        from jsonb_array_elements(
          case jsonb_typeof(p_subscription -> 'discounts') when 'array' then p_subscription -> 'discounts' else '[]' end
        ) as d
        where jsonb_typeof(d.value) = 'object'
      )
  loop
    if jsonb_typeof(discount) = 'string' and jsonb_typeof(p_subscription -> 'discount') = 'object'
      and discount #>> '{}' = p_subscription #>> '{discount,id}'
    then
      continue; -- its object comes after the list
    end if;
    -- source.coupon since 2025-09-30.clover, coupon before; an id alone tells no amount.
    coupon := coalesce(discount #> '{source,coupon}', discount -> 'coupon');
    if jsonb_typeof(coupon) is distinct from 'object' or coalesce(coupon -> 'applies_to', 'null') <> 'null' then
      return null;
    elsif billing_private.unix_time(nullif(discount -> 'end', 'null')) <= p_at then
      continue;
    elsif (coupon ->> 'percent_off') is not null then
      amount := amount * (1 - (coupon ->> 'percent_off')::numeric / 100);
    elsif (coupon ->> 'amount_off') is not null and coupon ->> 'currency' = p_subscription ->> 'currency' then
      amount := greatest(amount - (coupon ->> 'amount_off')::numeric, 0);
    else
      return null;
    end if;
  end loop;
  return amount;
end;
$$;

comment on function billing_private.discounted is
  'An amount of a subscription (minor units) less its discounts that are in force at p_at; null where one of them cannot be told, such as one that is only named by its id.';

create function billing_private.adds_tax(p_subscription jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select
      (
        p_subscription #> '{automatic_tax,enabled}' = 'true'
        and exists (
          select
          from jsonb_array_elements(p_subscription #> '{items,data}') as i (item)
          where coalesce(i.item #>> '{price,tax_behavior}', '') <> 'inclusive'
        )
      )
      or exists (
        select
        from (
          select jsonb_path_query(p_subscription, 'lax $.default_tax_rates[*]', silent => true) as rate
          union all
          select jsonb_path_query(p_subscription, 'lax $.items.data[*].tax_rates[*]', silent => true)
        ) as r
        where r.rate -> 'inclusive' = 'false'
      )
  );
end;
$$;

comment on function billing_private.adds_tax is 'Whether tax comes on top of the prices of a subscription: by a rate that is not inclusive, or worked out by Stripe.';

create function billing_private.email_price(p_subscription jsonb, p_at timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  items constant jsonb := p_subscription #> '{items,data}';
  sums record;
  amount numeric;
begin
  if jsonb_typeof(items) is distinct from 'array' or p_subscription #> '{items,has_more}' = 'true' then
    return null;
  end if;
  select
    sum(billing.price_amount(i.price, i.quantity, p_subscription ->> 'currency')) as amount,
    bool_and(
      billing.price_amount(i.price, i.quantity, p_subscription ->> 'currency') is not null
      -- Discounts and trial offers of single items: what they make of it is not price.
      and coalesce(nullif(i.item -> 'discounts', '[]'), 'null') = 'null'
      and coalesce(i.item -> 'current_trial', 'null') = 'null'
    ) as is_told,
    count(distinct (i.price).recurring ->> 'interval') = 1 as has_one_interval,
    min(coalesce((i.price).recurring ->> 'interval_count', '1')) as least_count,
    max(coalesce((i.price).recurring ->> 'interval_count', '1')) as most_count,
    min((i.price).recurring ->> 'interval') as interval
  into sums
  from (
    select e.item, billing_private.price_of_item(e.item) as price, (e.item ->> 'quantity')::bigint as quantity
    from jsonb_array_elements(items) as e (item)
  ) as i;
  if not coalesce(sums.is_told and sums.has_one_interval and sums.least_count = sums.most_count, false) then
    return null;
  end if;
  amount := billing_private.discounted(p_subscription, sums.amount, p_at);
  if amount is null then
    return null;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'amount', round(amount)::bigint,
    'currency', coalesce(p_subscription ->> 'currency', (billing_private.price_of_item(items -> 0)).currency),
    'interval', sums.interval,
    'intervalCount', sums.least_count::integer,
    'plusTax', case when billing_private.adds_tax(p_subscription) then true end
  ));
end;
$$;

comment on function billing_private.email_price is
  'What a subscription will be charged per interval at p_at, as emails name it (minor units): quantities, packages, tiers and discounts counted, tax only spoken of. Null where no single amount can be named: metered, several intervals, a discount that is only named by its id.';

create function billing_private.email_price_of_newest_event(p_subscription text, p_at timestamptz)
returns jsonb
language sql
stable
set search_path = ''
as $$
  with shown as (
    -- Before prices there were plans; both have the id.
    select jsonb_agg(jsonb_build_object('price', i.price, 'quantity', i.quantity) order by i.price, i.quantity) as items
    from billing.subscription_items as i
    where i.subscription = p_subscription
  ),
  newest as (
    select e.payload #> '{data,object}' as subscription
    from billing.stripe_events as e
    where e.object_id = p_subscription
      and e.created = (select max(n.created) from billing.webhook_events as n where n.object_id = p_subscription)
  ),
  named as (
    select
      billing_private.email_price(n.subscription, p_at) as price,
      (
        select
          jsonb_agg(
            jsonb_build_object('price', t.price, 'quantity', t.quantity) order by t.price, t.quantity
          )
        from (
          select coalesce(i.item #>> '{price,id}', i.item #>> '{plan,id}') as price, (i.item ->> 'quantity')::bigint as quantity
          from jsonb_array_elements(case jsonb_typeof(n.subscription #> '{items,data}') when 'array' then n.subscription #> '{items,data}' else '[]' end) as i (item)
        ) as t
      ) as items
    from newest as n
  )
  select case when count(distinct coalesce(n.price::text, '')) = 1 and bool_and(n.items = s.items) then min(n.price::text)::jsonb end
  from named as n
  cross join shown as s;
$$;

comment on function billing_private.email_price_of_newest_event is
  'email_price of a subscription that was read rather than told of: by its newest event, as a row does not keep discounts and taxes. Null where that event is of other items than are shown, or where two of its second name two prices.';
