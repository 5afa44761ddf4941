-- Customer accounts: since 2025-12-15.clover a customer may be an Account (v2), and an object may name it by customer_account
-- and not by customer. Stripe writes both on most objects, and each that has both tells which customer an account is.
-- Until one has, what names the account alone is kept under the account's id, and moved once the customer is known.
-- Reads: the event. Writes: customer_accounts, and whatever was kept under an account's id. Called by: projection.

create table billing_private.customer_accounts (
  customer_account text primary key,
  customer text not null,
  is_moved boolean not null default false
);

comment on table billing_private.customer_accounts is 'Which customer (cus_…) an Account (acct_…) is, as far as objects have told that name both.';
comment on column billing_private.customer_accounts.customer_account is 'Account (acct_…) that Stripe''s objects name by customer_account.';
comment on column billing_private.customer_accounts.customer is 'Customer (billing.customers.id) it is.';
comment on column billing_private.customer_accounts.is_moved is 'Whether what was kept under the account''s id has been moved to the customer.';

alter table billing_private.customer_accounts enable row level security;
create policy nobody_reads on billing_private.customer_accounts using (false);

create index customer_accounts_by_customer on billing_private.customer_accounts (customer);

create function billing_private.with_customer(p_object jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  account constant text := billing_private.stripe_id(p_object -> 'customer_account');
begin
  if account is null or p_object ->> 'object' = 'customer' or billing_private.stripe_id(p_object -> 'customer') is not null then
    return p_object;
  end if;
  return p_object || jsonb_build_object('customer', coalesce(
    (select a.customer from billing_private.customer_accounts as a where a.customer_account = account), account
  ));
end;
$$;

comment on function billing_private.with_customer is
  'An object that names its customer by customer_account alone, with the customer that is, else with the account''s id in its place; any other as it is.';

create function billing_private.fill_in_customer(p_event billing.stripe_events)
returns billing.stripe_events
language plpgsql
set search_path = ''
as $$
declare
  object constant jsonb := p_event.payload #> '{data,object}';
  account constant text := coalesce(
    billing_private.stripe_id(object -> 'customer_account'),
    billing_private.stripe_id(p_event.payload #> '{data,previous_attributes,customer_account}')
  );
  customer constant text := billing_private.event_customer(object, p_event.payload #> '{data,previous_attributes}');
begin
  if account is null then
    return p_event;
  end if;
  -- The account's lock comes before the customer's, in whatever names both: so no two wait for each other.
  perform pg_advisory_xact_lock(hashtextextended(account, 7305));
  if customer <> account then
    insert into billing_private.customer_accounts (customer_account, customer)
    values (account, customer)
    on conflict (customer_account) do nothing;
  else
    p_event.payload := jsonb_set(p_event.payload, '{data,object}', billing_private.with_customer(object));
    p_event.customer_id := coalesce(
      (select a.customer from billing_private.customer_accounts as a where a.customer_account = account), account
    );
  end if;
  return p_event;
end;
$$;

comment on function billing_private.fill_in_customer is
  'An event as handlers take it: where its object names an account alone, with the customer that account is. Learns from an object that names both. What is stored stays as Stripe sent it.';

create function billing_private.readdress_effects(p_account text, p_customer text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  waiting constant bigint[] := array(
    select o.id
    from billing.outbox as o
    where coalesce(
        o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id'
      ) = p_account
      and o.status in ('pending', 'withheld')
  );
begin
  perform billing_private.lock_effects(waiting);
  -- A worker performs what it has claimed meanwhile unchanged: a mail goes to the address in its event.
  update billing.outbox as o
  set payload = jsonb_set(o.payload, '{customer}', to_jsonb(p_customer))
  where o.id = any (waiting) and o.status in ('pending', 'withheld');
end;
$$;

comment on function billing_private.readdress_effects is
  'Rewrites what waits in the outbox for an account so that it concerns its customer: mails go to that customer, and the evaluation is of that customer''s cases.';

create function billing_private.move_account_to_customer(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  account text;
  owner text;
  payment record;
  previous uuid;
begin
  update billing_private.customer_accounts as a
  set is_moved = true
  where a.customer_account = billing_private.stripe_id(p_event.payload #> '{data,object,customer_account}') and not a.is_moved
  returning a.customer_account, a.customer
  into account, owner;
  if account is null then
    return;
  end if;
  for payment in
    -- By the index of those that name an account, which are few.
    select distinct s.payment_id
    from billing_private.payment_sources as s
    where s.customer = account and s.customer like 'acct\_%'
    order by 1
  loop
    perform billing_private.lock_payments(array[payment.payment_id]);
    update billing_private.payment_sources as s set customer = owner where s.payment_id = payment.payment_id and s.customer = account;
    if not billing_private.save_payment(payment.payment_id) then
      continue; -- no source knows of money yet
    end if;
  end loop;
  update billing.subscriptions as s set customer = owner where s.customer = account;
  update billing.subscription_items as i set customer = owner where i.customer = account;
  update billing.invoices as i set customer = owner where i.customer = account;
  update billing.payment_methods as m set customer = owner where m.customer = account;
  update billing.checkout_sessions as s set customer = owner where s.customer = account;
  update billing_private.credit_purchases as p set customer = owner where p.customer = account;
  update billing.dunning_cases as d set customer = owner where d.customer = account;
  insert into billing_private.trials_had (customer, product)
  select owner, t.product from billing_private.trials_had as t where t.customer = account
  on conflict do nothing;
  delete from billing_private.trials_had as t where t.customer = account;
  update billing.dunning_holds as h set customer = owner where h.customer = account;
  update billing_private.customer_owner_hints as c
  set customer_id = owner
  where c.customer_id = account
    and not exists (
      select from billing_private.customer_owner_hints as d where d.customer_id = owner and d.source = c.source
    );
  delete from billing_private.customer_owner_hints as c where c.customer_id = account;
  delete from billing.customers as c where c.id = account returning c.owner_id into previous;
  perform billing_private.readdress_effects(account, owner);
  perform billing_private.link_customer_to_owner(owner, p_event.received_at);
  perform billing_private.refresh_entitlements_of(array[previous], p_event.received_at, owner);
end;
$$;

comment on function billing_private.move_account_to_customer is
  'Once it is known which customer an account is: moves what was kept under the account''s id to the customer. Runs after the event''s own handlers, because it takes the locks of owners.';

create function billing_private.accounts_of(p_customers text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select a.customer_account
    from billing_private.customer_accounts as a
    where a.customer = any (p_customers)
    order by a.customer_account
  );
end;
$$;

comment on function billing_private.accounts_of is
  'Accounts that customers are: events that came before it was known are stored under the account''s id.';
