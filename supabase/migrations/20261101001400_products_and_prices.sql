-- Products and prices, as in Stripe: names for emails, amounts for reports.
-- Reads: product.*, price.*. Writes: products, prices.

create table billing.products (
  id text primary key,
  name text,
  description text,
  active boolean,
  default_price text,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  updated timestamptz,
  deleted_at timestamptz
);

comment on table billing.products is 'One row per Stripe product.';
comment on column billing.products.default_price is 'Price (billing.prices.id) used where none is named.';
comment on column billing.products.deleted_at is 'When the product was deleted at Stripe. The row stays: old invoices name it.';

create table billing.prices (
  id text primary key,
  product text,
  active boolean,
  currency text,
  unit_amount bigint,
  unit_amount_decimal numeric,
  type text,
  billing_scheme text,
  recurring jsonb,
  nickname text,
  lookup_key text,
  tax_behavior text,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  deleted_at timestamptz
);

comment on table billing.prices is 'One row per Stripe price.';
comment on column billing.prices.product is 'Product (billing.products.id) it is a price of. No foreign key: Stripe may send the price first.';
comment on column billing.prices.unit_amount is 'Minor units of currency; null for tiered prices and fractions of a minor unit.';
comment on column billing.prices.unit_amount_decimal is 'The same with up to 12 decimals of a minor unit.';
comment on column billing.prices.recurring is 'interval, interval_count, usage_type; null for a one-time price.';

create index prices_by_product on billing.prices (product);

alter table billing.products enable row level security;
alter table billing.prices enable row level security;

create function billing_private.project_product(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  accepted record;
  o jsonb;
begin
  accepted := billing_private.accept_event(p_event);
  o := accepted.object;
  if o -> 'deleted' = 'true' then
    update billing.products as p set active = false, deleted_at = accepted.deleted_at where p.id = p_event.object_id;
  elsif o is not null then
    insert into billing.products as p
      (id, name, description, active, default_price, metadata, livemode, created, updated, deleted_at)
    values (
      p_event.object_id,
      o ->> 'name',
      o ->> 'description',
      (o ->> 'active')::boolean and accepted.deleted_at is null,
      billing_private.stripe_id(o -> 'default_price'),
      coalesce(nullif(o -> 'metadata', 'null'), '{}'),
      (o ->> 'livemode')::boolean,
      to_timestamp((o ->> 'created')::double precision),
      to_timestamp((o ->> 'updated')::double precision),
      accepted.deleted_at
    )
    on conflict (id) do update
      set
        name = excluded.name,
        description = excluded.description,
        active = excluded.active,
        default_price = excluded.default_price,
        metadata = excluded.metadata,
        livemode = excluded.livemode,
        created = excluded.created,
        updated = excluded.updated,
        deleted_at = excluded.deleted_at;
  end if;
end;
$$;

comment on function billing_private.project_product is 'Handler: product.created, updated, deleted.';

create function billing_private.project_price(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  accepted record;
  o jsonb;
begin
  accepted := billing_private.accept_event(p_event);
  o := accepted.object;
  if o -> 'deleted' = 'true' then
    update billing.prices as p set active = false, deleted_at = accepted.deleted_at where p.id = p_event.object_id;
  elsif o is not null then
    insert into billing.prices as p (
      id, product, active, currency, unit_amount, unit_amount_decimal, type, billing_scheme, recurring, nickname,
      lookup_key, tax_behavior, metadata, livemode, created, deleted_at
    )
    values (
      p_event.object_id,
      billing_private.stripe_id(o -> 'product'),
      (o ->> 'active')::boolean and accepted.deleted_at is null,
      o ->> 'currency',
      (o ->> 'unit_amount')::bigint,
      (o ->> 'unit_amount_decimal')::numeric,
      o ->> 'type',
      o ->> 'billing_scheme',
      nullif(o -> 'recurring', 'null'),
      o ->> 'nickname',
      o ->> 'lookup_key',
      o ->> 'tax_behavior',
      coalesce(nullif(o -> 'metadata', 'null'), '{}'),
      (o ->> 'livemode')::boolean,
      to_timestamp((o ->> 'created')::double precision),
      accepted.deleted_at
    )
    on conflict (id) do update
      set
        product = excluded.product,
        active = excluded.active,
        currency = excluded.currency,
        unit_amount = excluded.unit_amount,
        unit_amount_decimal = excluded.unit_amount_decimal,
        type = excluded.type,
        billing_scheme = excluded.billing_scheme,
        recurring = excluded.recurring,
        nickname = excluded.nickname,
        lookup_key = excluded.lookup_key,
        tax_behavior = excluded.tax_behavior,
        metadata = excluded.metadata,
        livemode = excluded.livemode,
        created = excluded.created,
        deleted_at = excluded.deleted_at;
  end if;
end;
$$;

comment on function billing_private.project_price is 'Handler: price.created, updated, deleted.';
