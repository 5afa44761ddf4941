-- Readers of what a payment was made with, in every API version (see stripe_shapes).
-- Reads: the object it is given. Writes: nothing. Called by: projection of payments and payment methods.

create function billing_private.card_details(p_type text, p_holder jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- Cards in an online form and cards at a terminal; a bank account has four last digits too, and is no card.
  return case when p_type in ('card', 'card_present', 'interac_present') then nullif(p_holder -> p_type, 'null') end;
end;
$$;

comment on function billing_private.card_details is
  'The card of a payment method, or of what describes one (brand, last4, …): under card, card_present or interac_present by its type. Null for what is no card.';

create function billing_private.card_brand(p_brand text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case lower(p_brand) when 'american express' then 'amex' when 'diners club' then 'diners' else lower(p_brand) end;
end;
$$;

comment on function billing_private.card_brand is 'Brand of a card as payment methods write it: visa, amex. The older card objects write Visa, American Express.';

create function billing_private.method_of_charge(p_charge jsonb, out type text, out brand text, out last4 text)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  details constant jsonb := nullif(p_charge -> 'payment_method_details', 'null');
  source constant jsonb := coalesce(nullif(p_charge -> 'source', 'null'), nullif(p_charge -> 'card', 'null'));
  card jsonb;
begin
  if details ->> 'type' is not null then
    type := details ->> 'type';
    card := billing_private.card_details(type, details);
  elsif source ->> 'type' = 'three_d_secure' then
    -- A card of which the bank has asked its holder.
    type := 'card';
    card := nullif(source -> 'three_d_secure', 'null');
  elsif source ->> 'object' = 'source' then
    type := source ->> 'type';
    card := billing_private.card_details(type, source);
  else
    type := case source ->> 'object' when 'card' then 'card' when 'bank_account' then 'ach_debit' end;
    card := case when type = 'card' then source end;
  end if;
  brand := billing_private.card_brand(card ->> 'brand');
  last4 := card ->> 'last4';
end;
$$;

comment on function billing_private.method_of_charge is
  'What a charge was paid with: payment_method_details since 2018; source before, a card, a bank account or a Source; card before 2015-02-18. brand and last4 of cards only.';
