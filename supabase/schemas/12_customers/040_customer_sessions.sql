-- Customer sessions: what duebase-portal and duebase-checkout need to know before they ask Stripe for a page to send a
-- signed-in user to.
-- Reads: settings, customers, subscriptions, subscription_items, products, prices, trials_had. Writes: nothing.
-- Called by: duebase-portal and duebase-checkout, with the id of an owner that the signed-in user manages (my_owners).

create function billing.read_app_addresses()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('app_url', s.app_url, 'billing_url', s.billing_url)
    from billing.settings as s
  );
end;
$$;

comment on function billing.read_app_addresses is
  'app_url and billing_url of settings: the origins that may call from a browser, and that Stripe''s pages may lead back to.';

create function billing_private.customer_of_owner(p_owner_id uuid, p_subscription text default null)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select c.id
    from billing.settings as t
    -- A database that changed from test to live keeps its old customers, whom the other key does not know.
    join billing.customers as c on coalesce(c.livemode, t.livemode) = t.livemode
    left join billing.subscriptions as s on s.customer = c.id
    where c.owner_id = p_owner_id
      and c.deleted_at is null
      and (p_subscription is null or s.id = p_subscription)
    group by c.id
    order by
      bool_or(s.status in ('past_due', 'unpaid')) is true desc,
      bool_or(s.status in ('active', 'trialing', 'paused')) is true desc,
      c.created desc nulls last,
      c.id
    limit 1
  );
end;
$$;

comment on function billing_private.customer_of_owner is
  'The customer an owner is. Of several: the one whose subscription is overdue, as that is what somebody has come for; else one with a running subscription; else the newest. With p_subscription: the one that has it. Null: none.';

create function billing.find_portal_customer(p_owner_id uuid, p_subscription text default null)
returns jsonb
language plpgsql
stable
-- Definer: see receive_event. Only service_role may call it: p_owner_id is taken at its word.
security definer
set search_path = ''
as $$
begin
  perform billing_private.require_live_mode();
  return (
    select jsonb_build_object(
      'customer', billing_private.customer_of_owner(p_owner_id, p_subscription),
      'account', s.stripe_account
    )
    from billing.settings as s
  );
end;
$$;

comment on function billing.find_portal_customer is
  'For duebase-portal: {customer, account}, the customer of an owner whose portal is to be shown and the connected account it is of. customer is null where the owner is no customer, or has no subscription p_subscription. Raises DU080 in mirror mode.';

create function billing_private.trial_days(p_owner_id uuid, p_price billing.prices)
returns integer
language plpgsql
stable
set search_path = ''
as $$
declare
  offered constant text := coalesce(
    nullif(btrim(p_price.metadata ->> 'trial_period_days'), ''), p_price.recurring ->> 'trial_period_days'
  );
begin
  -- Stripe takes 730 days at most.
  if p_price.recurring is null or offered is null or offered !~ '^[0-9]{1,3}$' or offered::integer not between 1 and 730 then
    return null;
  elsif (select s.one_trial_per_product from billing.settings as s) and billing_private.has_had_trial(p_owner_id, p_price) then
    return null;
  end if;
  return offered::integer;
end;
$$;

comment on function billing_private.trial_days is
  'Days of trial that a subscription to a price begins with for an owner: what the price offers, unless settings allow one trial per product and the owner has had it. Null: none.';

create function billing.prepare_checkout(p_owner_id uuid, p_price text)
returns jsonb
language plpgsql
stable
-- Definer: see find_portal_customer.
security definer
set search_path = ''
as $$
begin
  perform billing_private.require_live_mode();
  return (
    select jsonb_build_object(
      'customer', billing_private.customer_of_owner(p_owner_id),
      'account', s.stripe_account,
      'price', (
        select jsonb_build_object(
          'type', p.type, 'usage_type', p.recurring ->> 'usage_type', 'product', p.product,
          'trial_days', billing_private.trial_days(p_owner_id, p)
        )
        from billing.prices as p
        left join billing.products as d on d.id = p.product
        where p.id = p_price
          and p.active
          and d.active is distinct from false
          and coalesce(p.livemode, s.livemode) = s.livemode
          and (s.checkout_prices is null or p.id = any (s.checkout_prices))
      ),
      'subscribed', exists (
        select
        from billing.customers as c
        join billing.subscriptions as b on b.customer = c.id
        join billing.subscription_items as i on i.subscription = b.id
        where c.owner_id = p_owner_id
          and coalesce(c.livemode, s.livemode) = s.livemode
          and (
            i.price = p_price
            or i.product = (select p.product from billing.prices as p where p.id = p_price and p.type = 'recurring')
          )
          and b.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused')
      )
    )
    from billing.settings as s
  );
end;
$$;

comment on function billing.prepare_checkout is
  'For duebase-checkout: {customer, account, price: {type, usage_type, product, trial_days}, subscribed}. customer is null for a new one; price is null unless it is active, of an active product, and allowed by settings.checkout_prices; trial_days is null for none; subscribed: the owner has a running subscription to this price, or to another price of its product. Raises DU080 in mirror mode.';

grant execute on function
  billing.read_app_addresses(),
  billing.find_portal_customer(uuid, text),
  billing.prepare_checkout(uuid, text)
to service_role;
