-- Readers of subscriptions and their items, in every API version (see stripe_shapes).
-- Reads: the object it is given. Writes: nothing. Called by: projection, emails, dunning, trials_had.

create function billing_private.subscription_period(p_subscription jsonb, out period_start timestamptz, out period_end timestamptz)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  holder jsonb := p_subscription;
begin
  if not p_subscription ? 'current_period_end' then
    select item
    into holder
    from jsonb_array_elements(nullif(p_subscription #> '{items,data}', 'null')) as item
    order by (item ->> 'current_period_end')::bigint, item ->> 'id'
    limit 1;
  end if;
  period_start := to_timestamp((holder ->> 'current_period_start')::double precision);
  period_end := to_timestamp((holder ->> 'current_period_end')::double precision);
end;
$$;

comment on function billing_private.subscription_period is
  'Current billing period: on the subscription before 2025-03-31.basil, on its items since; of several items, the one that ends first.';

create function billing_private.pause_cause(p_status_details jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return p_status_details #>> '{paused,subscription,type}';
end;
$$;

comment on function billing_private.pause_cause is
  'Why a subscription has status paused, of its status_details (since 2026-09-30.endive; null before): trial_end_without_payment_method, pause_requested, first_payment_failure, final_payment_failure, system, and what Stripe adds.';

create function billing_private.paused_at(p_status_details jsonb)
returns timestamptz
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return to_timestamp((p_status_details #>> '{paused,transitioned_at}')::double precision);
end;
$$;

comment on function billing_private.paused_at is 'Since when a subscription has status paused, of its status_details; null before 2026-09-30.endive.';

create function billing_private.item_price(p_item jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(billing_private.stripe_id(p_item -> 'price'), billing_private.stripe_id(p_item -> 'plan'));
end;
$$;

comment on function billing_private.item_price is 'Price of a subscription item: price, or plan as payloads before 2020-08-27 had it.';

create function billing_private.item_product(p_item jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_item #> '{price,product}'),
    billing_private.stripe_id(p_item #> '{plan,product}')
  );
end;
$$;

comment on function billing_private.item_product is 'Product of a subscription item, under its price, or its plan before 2020-08-27.';
