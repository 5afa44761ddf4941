-- Payment methods, as in Stripe: what a customer pays with, and until when it is good.
-- Which one is charged is kept where Stripe keeps it: subscriptions.default_payment_method, else that of customers.
-- Reads: payment_method.*. Writes: payment_methods. Called by: projection.

create table billing.payment_methods (
  id text primary key,
  customer text,
  type text,
  card_brand text,
  card_last4 text,
  card_exp_month integer,
  card_exp_year integer,
  card_funding text,
  card_country text,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  detached_at timestamptz
);

comment on table billing.payment_methods is
  'One row per Stripe payment method of a customer. Names and addresses on it are not kept. It is a customer''s default where customers.default_payment_method or subscriptions.default_payment_method names it.';
comment on column billing.payment_methods.customer is 'Customer (billing.customers.id) it belongs to, or belonged to before it was detached. No foreign key: Stripe may send the payment method first.';
comment on column billing.payment_methods.type is 'Stripe''s: card, sepa_debit, us_bank_account, link, paypal, and what Stripe adds. The card_ columns are null for what is no card.';
comment on column billing.payment_methods.card_brand is 'card.brand: visa, mastercard, amex, …; the other card_ columns likewise.';
comment on column billing.payment_methods.card_exp_month is '1 to 12. The card is good until the end of that month.';
comment on column billing.payment_methods.card_exp_year is 'Four digits.';
comment on column billing.payment_methods.card_funding is 'credit, debit, prepaid, unknown.';
comment on column billing.payment_methods.card_country is 'Country of the issuer (ISO 3166, two letters).';
comment on column billing.payment_methods.metadata is 'Of Stripe''s metadata, what settings.visible_metadata allows the owner to read; all of it is in billing.object_metadata.';
comment on column billing.payment_methods.detached_at is 'When it was detached from its customer. The row stays; it can never be charged again.';

create index payment_methods_by_customer on billing.payment_methods (customer);
alter table billing.payment_methods enable row level security;
-- Detached payment methods are kept for accounting, not for the page where a customer chooses one.
create policy managers_read on billing.payment_methods
  for select to authenticated
  using (detached_at is null and customer = any ((select billing_private.my_customers(true))::text[]));
grant select on billing.payment_methods to authenticated, service_role;

create function billing_private.project_payment_method(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  card constant jsonb := billing_private.card_details(o ->> 'type', o);
  -- The customer comes from any event that still names it; detached_at from the first event that does not.
  was_detached constant boolean := billing_private.stripe_id(p_event.payload #> '{data,object,customer}') is null;
begin
  if o is null then
    update billing.payment_methods as m
    set
      customer = coalesce(m.customer, p_event.customer_id),
      detached_at = case when was_detached then least(m.detached_at, p_event.created) else m.detached_at end
    where m.id = p_event.object_id and m.detached_at is not null;
    return;
  end if;
  insert into billing.payment_methods as m (
    id, customer, type, card_brand, card_last4, card_exp_month, card_exp_year, card_funding, card_country, metadata, livemode,
    created, detached_at
  )
  values (
    p_event.object_id,
    coalesce(billing_private.stripe_id(o -> 'customer'), p_event.customer_id),
    o ->> 'type',
    card ->> 'brand',
    card ->> 'last4',
    (card ->> 'exp_month')::integer,
    (card ->> 'exp_year')::integer,
    card ->> 'funding',
    card ->> 'country',
    billing_private.save_metadata(p_event.object_id, o -> 'metadata'),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision),
    case when billing_private.stripe_id(o -> 'customer') is null then p_event.created end
  )
  on conflict (id) do update
    set
      customer = coalesce(excluded.customer, m.customer),
      type = excluded.type,
      card_brand = excluded.card_brand,
      card_last4 = excluded.card_last4,
      card_exp_month = excluded.card_exp_month,
      card_exp_year = excluded.card_exp_year,
      card_funding = excluded.card_funding,
      card_country = excluded.card_country,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created,
      detached_at = case when excluded.detached_at is not null then least(m.detached_at, excluded.detached_at) end;
end;
$$;

comment on function billing_private.project_payment_method is
  'Handler: payment_method.attached, updated, automatically_updated (the bank sent new card data), detached.';
