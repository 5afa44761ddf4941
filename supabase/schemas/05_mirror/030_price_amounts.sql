-- Price amounts: what a quantity costs at a price, tiers and packages included.
-- Reads: the price it is given. Writes: nothing. Called by: emails, overviews, operators.

create function billing_private.decimal_amount(p_holder jsonb, p_field text)
returns numeric
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce((p_holder ->> p_field)::numeric, (p_holder ->> (p_field || '_decimal'))::numeric);
end;
$$;

comment on function billing_private.decimal_amount is
  'An amount of a price or tier: <field>, else <field>_decimal, which has fractions of a minor unit where <field> is null.';

create function billing_private.tiered_amount(p_tiers jsonb, p_mode text, p_quantity numeric)
returns numeric
language plpgsql
immutable
set search_path = ''
as $$
declare
  tier record;
  below numeric := 0;
  total numeric := 0;
begin
  for tier in
    select
      (t.value ->> 'up_to')::numeric as up_to,
      coalesce(billing_private.decimal_amount(t.value, 'unit_amount'), 0) as unit_amount,
      coalesce(billing_private.decimal_amount(t.value, 'flat_amount'), 0) as flat_amount
    from jsonb_array_elements(case when jsonb_typeof(p_tiers) = 'array' then p_tiers end) as t
    order by 1 nulls last
  loop
    if p_mode = 'volume' then
      total := tier.unit_amount * p_quantity + tier.flat_amount;
    else
      total := total + tier.unit_amount * greatest(least(p_quantity, coalesce(tier.up_to, p_quantity)) - below, 0) + tier.flat_amount;
      below := tier.up_to;
    end if;
    if tier.up_to is null or p_quantity <= tier.up_to then
      return total;
    end if;
  end loop;
  return null;
end;
$$;

comment on function billing_private.tiered_amount is
  'What a quantity costs in tiers (minor units), as Stripe counts: graduated adds up each tier that is reached, volume takes the tier the quantity is in; a flat amount is due once its tier applies, the first one''s even for nothing. Null where no tier holds the quantity, or none is known.';

create function billing.price_amount(p_price billing.prices, p_quantity bigint, p_currency text)
returns numeric
language plpgsql
immutable
-- Definer: the overviews are read by service_role, who has no way into billing_private. It reads its arguments only.
security definer
set search_path = ''
as $$
declare
  divide_by constant numeric := (p_price.transform_quantity ->> 'divide_by')::numeric;
  units numeric := p_quantity;
  holder jsonb;
begin
  if p_price.recurring ->> 'usage_type' = 'metered' then
    return null; -- costs what will be used
  elsif p_price.unit_amount is not null and p_price.currency = coalesce(p_currency, p_price.currency)
    and p_price.transform_quantity is null and p_price.billing_scheme is distinct from 'tiered' then
    return p_price.unit_amount * units; -- as most are, and without making JSON of it
  elsif p_currency is null or p_currency = p_price.currency then
    holder := jsonb_build_object(
      'unit_amount', p_price.unit_amount, 'unit_amount_decimal', p_price.unit_amount_decimal, 'tiers', p_price.tiers
    );
  else
    holder := p_price.currency_options -> p_currency;
  end if;
  if divide_by > 0 then
    units := case when p_price.transform_quantity ->> 'round' = 'down' then floor(units / divide_by) else ceil(units / divide_by) end;
  end if;
  if p_price.billing_scheme = 'tiered' then
    return billing_private.tiered_amount(holder -> 'tiers', p_price.tiers_mode, units);
  end if;
  return billing_private.decimal_amount(holder, 'unit_amount') * units;
end;
$$;

comment on function billing.price_amount is
  'What a quantity of a price costs per period in a currency, before discounts and tax (minor units, with fractions). Null where that cannot be told: metered, a price the buyer names, tiers or another currency''s amounts that Stripe was not asked for.';

grant execute on function billing.price_amount(billing.prices, bigint, text) to service_role;
