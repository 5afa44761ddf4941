-- Customers, as in Stripe. For the user each belongs to see the stage of owners.
-- Reads: customer.*, settings. Writes: customers, object_metadata. Called by: projection, reads of Stripe.

create table billing.customers (
  id text primary key,
  owner_id uuid,
  email text,
  name text,
  preferred_locales text[],
  currency text,
  balance bigint,
  delinquent boolean,
  default_payment_method text,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  deleted_at timestamptz
);

comment on table billing.customers is 'One row per Stripe customer. A row with only an id was named by another object before its own event arrived.';
comment on column billing.customers.id is 'Stripe''s customer id (cus_…).';
comment on column billing.customers.owner_id is 'Who pays as this customer: a user, or a team of the application (an opaque id, see settings.owners_function); decides who reads its rows. Kept from customer_owner_hints.';
comment on column billing.customers.preferred_locales is 'Languages of the customer''s emails, best first (BCP 47).';
comment on column billing.customers.balance is 'Stripe''s customer balance, minor units of currency; negative is credit that lowers the next invoice.';
comment on column billing.customers.default_payment_method is 'What invoices are charged to unless a subscription says otherwise: invoice_settings.default_payment_method, else default_source.';
comment on column billing.customers.metadata is 'Of Stripe''s metadata, what settings.visible_metadata allows the owner to read; all of it is in billing.object_metadata.';
comment on column billing.customers.deleted_at is 'When the customer was deleted at Stripe. The row stays.';

create index customers_by_owner on billing.customers (owner_id);
create index customers_by_email on billing.customers (lower(email));
-- The newest are what a Stripe key is tried on (see stripe_identity).
create index customers_by_age on billing.customers (created desc);
alter table billing.customers enable row level security;
-- Who the caller's owners are stands in an array of a subselect, here and in other policies: it is then asked once a
-- query and not once a row, and the rows are looked up in an index. `in (select …)` would read every row of the table.
create policy managers_read on billing.customers
  for select to authenticated
  using (owner_id = any ((select billing_private.my_owner_array(true))::uuid[]));
grant select on billing.customers to authenticated, service_role;

create function billing_private.my_customers(p_managed_only boolean)
returns text[]
language plpgsql
stable
-- Definer: a member reads what a customer has, and not the customer. For policies; nobody else can name it.
security definer
set search_path = ''
as $$
begin
  return array(
    select c.id
    from billing.customers as c
    where c.owner_id = any ((select billing_private.my_owner_array(p_managed_only))::uuid[])
  );
end;
$$;

comment on function billing_private.my_customers is
  'Customers (billing.customers.id) of the owners the caller belongs to, or of those the caller manages.';

grant execute on function billing_private.my_customers(boolean) to authenticated;

create function billing_private.customer_row(p_id text, p_customer jsonb, p_deleted_at timestamptz)
returns billing.customers
language plpgsql
stable
set search_path = ''
as $$
declare
  customer billing.customers;
begin
  customer.id := p_id;
  customer.email := p_customer ->> 'email';
  customer.name := p_customer ->> 'name';
  customer.preferred_locales := array(select jsonb_array_elements_text(nullif(p_customer -> 'preferred_locales', 'null')));
  customer.currency := p_customer ->> 'currency';
  customer.balance := (coalesce(p_customer ->> 'balance', p_customer ->> 'account_balance'))::bigint;
  customer.delinquent := (p_customer ->> 'delinquent')::boolean;
  customer.default_payment_method := billing_private.default_payment_method(p_customer);
  customer.metadata := billing_private.visible_metadata(p_customer -> 'metadata');
  customer.livemode := (p_customer ->> 'livemode')::boolean;
  customer.created := to_timestamp((p_customer ->> 'created')::double precision);
  customer.deleted_at := p_deleted_at;
  return customer;
end;
$$;

comment on function billing_private.customer_row is 'A customer of Stripe''s as the row that shows it, without its owner.';

create function billing_private.save_customers(p_rows billing.customers[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.customers as c
  select * from unnest(p_rows)
  on conflict (id) do update
    set
      email = excluded.email,
      name = excluded.name,
      preferred_locales = excluded.preferred_locales,
      currency = excluded.currency,
      balance = excluded.balance,
      delinquent = excluded.delinquent,
      default_payment_method = excluded.default_payment_method,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created,
      deleted_at = excluded.deleted_at;
end;
$$;

comment on function billing_private.save_customers is 'Stores customers as they are now; whose they are stays. Their metadata is kept before.';

create function billing_private.project_customer(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied constant record := billing_private.apply_if_newest(p_event);
begin
  if applied.object -> 'deleted' = 'true' then
    update billing.customers as c set deleted_at = applied.deleted_at where c.id = p_event.object_id;
  elsif applied.object is not null then
    perform billing_private.store_metadata(p_event.object_id, applied.object -> 'metadata');
    perform billing_private.save_customers(
      array[billing_private.customer_row(p_event.object_id, applied.object, applied.deleted_at)]
    );
  end if;
end;
$$;

comment on function billing_private.project_customer is 'Handler: customer.created, updated, deleted.';

create function billing_private.project_customers(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  ids text[] := array[]::text[];
  metadata jsonb[] := array[]::jsonb[];
  customers billing.customers[] := array[]::billing.customers[];
begin
  for applied in select a.object_id as id, a.object, a.deleted_at from billing_private.apply_each_if_newest(p_events) as a loop
    if applied.object -> 'deleted' = 'true' then
      update billing.customers as c set deleted_at = applied.deleted_at where c.id = applied.id;
    else
      ids := ids || applied.id;
      metadata := metadata || array[applied.object -> 'metadata'];
      customers := customers || billing_private.customer_row(applied.id, applied.object, applied.deleted_at);
    end if;
  end loop;
  if cardinality(ids) > 0 then
    perform billing_private.keep_metadata(ids, metadata);
    perform billing_private.save_customers(customers);
  end if;
end;
$$;

comment on function billing_private.project_customers is 'project_customer for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.project_customer', 'billing_private.project_customers');
