-- Trials had: which products a customer has tried. A subscription shows what it bills now, and not what its trial was of
-- before somebody changed the plan.
-- Reads: customer.subscription.*. Writes: trials_had. Called by: projection, refresh; read by trial_days.

create table billing_private.trials_had (
  customer text not null,
  product text not null,
  primary key (customer, product)
);

comment on table billing_private.trials_had is 'Products that a customer was on trial with, as events and reads of subscriptions told. Kept for good.';
comment on column billing_private.trials_had.product is 'Product (prod_…), or the price where an old payload names no product.';

alter table billing_private.trials_had enable row level security;
create policy nobody_reads on billing_private.trials_had using (false);

create function billing_private.record_trial(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if o ->> 'status' <> 'trialing' or p_event.customer_id is null then
    return;
  end if;
  insert into billing_private.trials_had (customer, product)
  select distinct p_event.customer_id, t.product
  from jsonb_array_elements(nullif(o #> '{items,data}', 'null')) as e (item)
  cross join lateral (
    select coalesce(billing_private.item_product(e.item), billing_private.item_price(e.item)) as product
  ) as t
  where t.product is not null
  order by t.product
  on conflict do nothing;
end;
$$;

comment on function billing_private.record_trial is
  'Handler: customer.subscription.*. Keeps what is on trial: a fact of its own, whatever state is shown.';

create function billing_private.has_had_trial(p_owner_id uuid, p_price billing.prices)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.customers as c
    join billing_private.trials_had as t on t.customer = c.id and t.product in (p_price.id, p_price.product)
    where c.owner_id = p_owner_id
  ) or exists (
    -- From before the installation: of a subscription that was read since.
    select
    from billing.customers as c
    join billing.subscriptions as s on s.customer = c.id
    join billing.subscription_items as i on i.subscription = s.id
    where c.owner_id = p_owner_id and s.trial_start is not null and (i.price = p_price.id or i.product = p_price.product)
  );
end;
$$;

comment on function billing_private.has_had_trial is
  'Whether an owner, by any of their customers, was on trial with the product of a price, or has a subscription to it that began with a trial.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, 'billing_private.record_trial', 50, 'keeps what was on trial'
from unnest(array[
  'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.trial_will_end'
]) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('subscription', 'billing_private.record_trial', 50);
