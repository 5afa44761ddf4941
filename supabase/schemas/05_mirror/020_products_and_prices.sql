-- Products and prices, as in Stripe: names for emails, amounts for reports.
-- Reads: product.*, price.*. Writes: products, prices. Called by: projection, refreshes.

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
  tiers_mode text,
  tiers jsonb,
  transform_quantity jsonb,
  currency_options jsonb,
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
comment on column billing.prices.billing_scheme is 'per_unit or tiered. A custom price, where the buyer names the amount, has no unit_amount.';
comment on column billing.prices.tiers_mode is 'graduated: each tier''s units at its price; volume: all units at the price of the tier the quantity is in.';
comment on column billing.prices.tiers is 'up_to, unit_amount, flat_amount of each tier, where Stripe was asked for them: events do not carry them. Null: not known.';
comment on column billing.prices.transform_quantity is 'divide_by and round (up, down): units are billed in packages.';
comment on column billing.prices.currency_options is 'Amounts in further currencies, where Stripe was asked for them: events do not carry them. Null: not known.';
comment on column billing.prices.recurring is 'interval, interval_count, usage_type; null for a one-time price.';

create function billing_private.is_long_term(p_recurring jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    coalesce((p_recurring ->> 'interval_count')::integer, 1)
      * case p_recurring ->> 'interval' when 'year' then 365 when 'month' then 30.4 when 'week' then 7 when 'day' then 1 end
      >= 180,
    false
  );
end;
$$;

comment on function billing_private.is_long_term is
  'Whether a price (its recurring) is charged every six months or less often: those are the terms whose renewal is told ahead.';

-- Whose renewals are told ahead (see renewal_reminders).
create index prices_of_long_terms on billing.prices (id) where billing_private.is_long_term(recurring);
create index prices_by_product on billing.prices (product);

alter table billing.products enable row level security;
create policy service_role_reads on billing.products for select to service_role using (true);
grant select on billing.products to service_role;

alter table billing.prices enable row level security;
create policy service_role_reads on billing.prices for select to service_role using (true);
grant select on billing.prices to service_role;

create function billing_private.project_product(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  o jsonb;
begin
  applied := billing_private.apply_if_newest(p_event);
  o := applied.object;
  if o -> 'deleted' = 'true' then
    update billing.products as p set active = false, deleted_at = applied.deleted_at where p.id = p_event.object_id;
  elsif o is not null then
    insert into billing.products as p
      (id, name, description, active, default_price, metadata, livemode, created, updated, deleted_at)
    values (
      p_event.object_id,
      o ->> 'name',
      o ->> 'description',
      (o ->> 'active')::boolean and applied.deleted_at is null,
      billing_private.stripe_id(o -> 'default_price'),
      coalesce(nullif(o -> 'metadata', 'null'), '{}'),
      (o ->> 'livemode')::boolean,
      to_timestamp((o ->> 'created')::double precision),
      to_timestamp((o ->> 'updated')::double precision),
      applied.deleted_at
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

create function billing_private.project_price(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  o jsonb;
begin
  applied := billing_private.apply_if_newest(p_event);
  o := applied.object;
  if o -> 'deleted' = 'true' then
    update billing.prices as p set active = false, deleted_at = applied.deleted_at where p.id = p_event.object_id;
  elsif o is not null then
    insert into billing.prices as p (
      id, product, active, currency, unit_amount, unit_amount_decimal, type, billing_scheme, tiers_mode, tiers, transform_quantity,
      currency_options, recurring, nickname, lookup_key, tax_behavior, metadata, livemode, created, deleted_at
    )
    values (
      p_event.object_id,
      billing_private.stripe_id(o -> 'product'),
      (o ->> 'active')::boolean and applied.deleted_at is null,
      o ->> 'currency',
      (o ->> 'unit_amount')::bigint,
      (o ->> 'unit_amount_decimal')::numeric,
      o ->> 'type',
      o ->> 'billing_scheme',
      o ->> 'tiers_mode',
      nullif(o -> 'tiers', 'null'),
      nullif(o -> 'transform_quantity', 'null'),
      nullif(o -> 'currency_options', 'null'),
      nullif(o -> 'recurring', 'null'),
      o ->> 'nickname',
      o ->> 'lookup_key',
      o ->> 'tax_behavior',
      coalesce(nullif(o -> 'metadata', 'null'), '{}'),
      (o ->> 'livemode')::boolean,
      to_timestamp((o ->> 'created')::double precision),
      applied.deleted_at
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
        tiers_mode = excluded.tiers_mode,
        -- Expanded only when read. Tiers never change; an edit that does not show the currencies takes none away.
        tiers = coalesce(excluded.tiers, p.tiers),
        transform_quantity = excluded.transform_quantity,
        currency_options = coalesce(excluded.currency_options, p.currency_options),
        recurring = excluded.recurring,
        nickname = excluded.nickname,
        lookup_key = excluded.lookup_key,
        tax_behavior = excluded.tax_behavior,
        metadata = excluded.metadata,
        livemode = excluded.livemode,
        created = excluded.created,
        deleted_at = excluded.deleted_at;
    if o ->> 'billing_scheme' = 'tiered'
      and p_event.id is not null
      and applied.deleted_at is null
      and not exists (select from billing.prices as p where p.id = p_event.object_id and p.tiers is not null)
    then
      perform billing_private.enqueue_refresh(p_event, 'tiers');
    end if;
  end if;
end;
$$;

comment on function billing_private.project_price is
  'Handler: price.created, updated, deleted. What a tiered price costs no event tells: its tiers are read from Stripe once.';
