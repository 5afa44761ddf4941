-- Readers of Stripe's JSON. A payload has the shape of its sender's API version, and fields have moved; here, and
-- nowhere else, is written where each one was and is. All are pure functions of the object; plpgsql, because a
-- SQL function with a search_path is planned anew at every call.
-- "Old" below means before 2025-03-31.basil, "new" that version and later.

create function billing_private.stripe_id(p_reference jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_reference)
    when 'string' then nullif(p_reference #>> '{}', '')
    when 'object' then p_reference ->> 'id'
  end;
end;
$$;

comment on function billing_private.stripe_id is 'Id behind a reference, expanded ({"id": …}) or not ("…"); null for null.';

create function billing_private.names_customer(p_object jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_object -> 'customer'), billing_private.stripe_id(p_object -> 'customer_account')
  ) is not null;
end;
$$;

comment on function billing_private.names_customer is
  'Whether an object says whose it is: by customer, or since 2025-12-15.clover by customer_account, the Account (v2) that is the customer.';

create function billing_private.event_customer(p_object jsonb, p_previous jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_object ->> 'object' = 'customer' then p_object ->> 'id'
    else coalesce(
      billing_private.stripe_id(p_object -> 'customer'),
      billing_private.stripe_id(p_previous -> 'customer'),
      billing_private.stripe_id(p_object -> 'customer_account'),
      billing_private.stripe_id(p_previous -> 'customer_account')
    )
  end;
end;
$$;

comment on function billing_private.event_customer is
  'Customer an object belongs to, else its customer_account (see customer_accounts). A detached payment method names either only in previous_attributes.';

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

create function billing_private.invoice_subscription(p_invoice jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_invoice #> '{parent,subscription_details,subscription}'),
    billing_private.stripe_id(p_invoice -> 'subscription')
  );
end;
$$;

comment on function billing_private.invoice_subscription is
  'Subscription an invoice bills: parent.subscription_details.subscription since 2025-03-31.basil, subscription before; null for a one-time invoice.';

create function billing_private.invoice_status(p_invoice jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(p_invoice ->> 'status', case when p_invoice -> 'paid' = 'true' then 'paid' end);
end;
$$;

comment on function billing_private.invoice_status is 'Invoice status; from the boolean paid (gone since 2025-03-31.basil) where a payload has no status.';

create function billing_private.line_price(p_line jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(billing_private.stripe_id(p_line #> '{pricing,price_details,price}'), billing_private.item_price(p_line));
end;
$$;

comment on function billing_private.line_price is
  'Price of a line of an invoice: pricing.price_details.price since 2025-03-31.basil; price before, and plan before 2020-08-27.';

create function billing_private.product_named_by_line(p_line jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(billing_private.stripe_id(p_line #> '{pricing,price_details,product}'), billing_private.item_product(p_line));
end;
$$;

comment on function billing_private.product_named_by_line is
  'Product that a line of an invoice names: pricing.price_details.product since 2025-03-31.basil; that of its price or plan before.';

create function billing_private.invoice_tax(p_invoice jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    (p_invoice ->> 'tax')::bigint,
    (
      select sum((t ->> 'amount')::bigint)
      from jsonb_array_elements(coalesce(
        nullif(p_invoice -> 'total_taxes', 'null'), nullif(p_invoice -> 'total_tax_amounts', 'null'), '[]'
      )) as t
    ),
    0
  );
end;
$$;

comment on function billing_private.invoice_tax is
  'Tax of an invoice, minor units: sum of total_taxes since 2025-03-31.basil; tax or total_tax_amounts before.';

create function billing_private.invoice_discount(p_invoice jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    (select sum((d ->> 'amount')::bigint) from jsonb_array_elements(nullif(p_invoice -> 'total_discount_amounts', 'null')) as d), 0
  );
end;
$$;

comment on function billing_private.invoice_discount is 'Discount of an invoice, minor units: sum of total_discount_amounts.';

create function billing_private.paying_object(p_payment jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_payment -> 'payment_intent'),
    billing_private.stripe_id(p_payment -> 'charge'),
    billing_private.stripe_id(p_payment -> 'payment_record')
  );
end;
$$;

comment on function billing_private.paying_object is
  'What an invoice payment''s payment names: a PaymentIntent, a charge that has none, or a payment record, by which money came past Stripe.';

create function billing_private.paid_past_stripe(p_invoice jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  if billing_private.invoice_status(p_invoice) is distinct from 'paid' or not p_invoice ? 'paid' then
    return null;
  elsif p_invoice -> 'paid_out_of_band' = 'true' then
    return nullif(coalesce(nullif((p_invoice ->> 'amount_paid')::bigint, 0), (p_invoice ->> 'amount_due')::bigint), 0);
  elsif p_invoice ? 'charge'
    and not p_invoice ? 'paid_out_of_band'
    and coalesce(billing_private.stripe_id(p_invoice -> 'payment_intent'), billing_private.stripe_id(p_invoice -> 'charge')) is null
  then
    return nullif((p_invoice ->> 'amount_paid')::bigint, 0);
  end if;
  return null;
end;
$$;

comment on function billing_private.paid_past_stripe is
  'What an invoice got past Stripe (minor units) as payloads before 2025-03-31.basil tell it: by paid_out_of_band, with amount_paid still 0, or before there was that by naming no payment at all. Null otherwise; since then a payment record pays it.';

create function billing_private.invoice_amount_paid(p_invoice jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return greatest((p_invoice ->> 'amount_paid')::bigint, billing_private.paid_past_stripe(p_invoice));
end;
$$;

comment on function billing_private.invoice_amount_paid is
  'What was paid of an invoice with money, minor units: amount_paid, which before 2025-03-31.basil left out what was paid out of band.';

create function billing_private.invoice_amount_remaining(p_invoice jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.invoice_status(p_invoice) = 'paid' then 0
    else (p_invoice ->> 'amount_remaining')::bigint
  end;
end;
$$;

comment on function billing_private.invoice_amount_remaining is
  'What is still to be paid of an invoice, minor units: nothing of one that is paid, where amount_remaining before 2025-03-31.basil still had what was paid out of band.';

create function billing_private.invoice_payment_links(p_invoice jsonb)
returns table (payment_id text, amount_paid bigint)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  past_stripe bigint;
begin
  -- New: payments.data[].payment, only when expanded; an invoice may have several.
  if jsonb_typeof(p_invoice #> '{payments,data}') = 'array' then
    return query
      select
        billing_private.paying_object(p -> 'payment'),
        case when p ->> 'status' = 'paid' then (p ->> 'amount_paid')::bigint end
      from jsonb_array_elements(p_invoice #> '{payments,data}') as p
      order by 1;
    return;
  end if;
  -- Old: payment_intent, or charge from the time before PaymentIntents. Money past Stripe goes by the invoice's id.
  past_stripe := billing_private.paid_past_stripe(p_invoice);
  payment_id := coalesce(billing_private.stripe_id(p_invoice -> 'payment_intent'), billing_private.stripe_id(p_invoice -> 'charge'));
  if payment_id is not null then
    if billing_private.invoice_status(p_invoice) = 'paid' and past_stripe is null then
      amount_paid := (p_invoice ->> 'amount_paid')::bigint;
    end if;
    return next;
  end if;
  if past_stripe is not null then
    payment_id := p_invoice ->> 'id';
    amount_paid := past_stripe;
    return next;
  end if;
end;
$$;

comment on function billing_private.invoice_payment_links is
  'Payments an invoice names and what each brought it (minor units; null while unpaid): under payments since 2025-03-31.basil, and only when expanded; payment_intent or charge before, and the invoice itself for money that came past Stripe.';

create function billing_private.payment_invoice(p_payment jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return billing_private.stripe_id(p_payment -> 'invoice');
end;
$$;

comment on function billing_private.payment_invoice is
  'Invoice a PaymentIntent or charge pays: its invoice field, gone since 2025-03-31.basil; null there, where invoice_payment.paid tells it.';

create function billing_private.payment_intent_status(p_intent jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case p_intent ->> 'status'
    when 'requires_source' then 'requires_payment_method'
    when 'requires_source_action' then 'requires_action'
    else p_intent ->> 'status'
  end;
end;
$$;

comment on function billing_private.payment_intent_status is
  'Status of a PaymentIntent: requires_payment_method and requires_action were requires_source and requires_source_action before 2019-02-11.';

create function billing_private.charge_status(p_charge jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    -- A released or expired authorization: Stripe calls it succeeded and refunded.
    when p_charge -> 'captured' = 'false' and p_charge -> 'refunded' = 'true' then 'canceled'
    when p_charge ->> 'status' = 'paid' then 'succeeded'
    when p_charge ->> 'status' is null and p_charge ? 'paid' then case when p_charge -> 'paid' = 'true' then 'succeeded' else 'failed' end
    else p_charge ->> 'status'
  end;
end;
$$;

comment on function billing_private.charge_status is
  'Status of a charge: succeeded was called paid before 2015-02-18, and before there was a status only the boolean paid told; canceled for a released authorization.';

create function billing_private.amount_of_charge(p_charge jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.charge_status(p_charge) is distinct from 'succeeded' or p_charge -> 'captured' = 'false' then 0
    else coalesce((p_charge ->> 'amount_captured')::bigint, (p_charge ->> 'amount')::bigint)
  end;
end;
$$;

comment on function billing_private.amount_of_charge is
  'What a charge brought, minor units: amount_captured (since 2020; amount before), and nothing while it is only reserved.';

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

create function billing_private.minor_units(p_amount jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return (p_amount ->> 'value')::bigint;
end;
$$;

comment on function billing_private.minor_units is 'Minor units of an amount that Stripe writes as {value, currency}, as payment records do.';

create function billing_private.payment_record_status(p_record jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.minor_units(p_record -> 'amount_guaranteed') > 0 then 'succeeded'
    when billing_private.minor_units(p_record -> 'amount_canceled') > 0 then 'canceled'
    when billing_private.minor_units(p_record -> 'amount_failed') > 0 then 'failed'
    else 'pending'
  end;
end;
$$;

comment on function billing_private.payment_record_status is
  'Status of a payment record, which has amounts and no status: succeeded once something of it is guaranteed; canceled, failed, pending.';

create function billing_private.payment_of(p_object jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_object -> 'payment_intent'),
    billing_private.stripe_id(p_object #> '{charge,payment_intent}'),
    billing_private.stripe_id(p_object -> 'charge')
  );
end;
$$;

comment on function billing_private.payment_of is
  'Payment a refund or dispute is about: its payment_intent, also where the charge is expanded, else the charge.';

create function billing_private.dispute_movements(p_dispute jsonb, out withdrawn bigint, out reinstated bigint)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  currency constant text := p_dispute ->> 'currency';
  amount constant bigint := (p_dispute ->> 'amount')::bigint;
  moved record;
begin
  select
    coalesce(bool_and(b.value ->> 'currency' = currency), false) as is_comparable,
    count(*) filter (where b.amount < 0) as times_withdrawn,
    count(*) filter (where b.amount > 0) as times_reinstated,
    coalesce(-sum(b.amount) filter (where b.amount < 0), 0) as withdrawn,
    coalesce(sum(b.amount) filter (where b.amount > 0), 0) as reinstated
  into moved
  from (
    select e.value, (e.value ->> 'amount')::bigint as amount
    from jsonb_array_elements(
      case when jsonb_typeof(p_dispute -> 'balance_transactions') = 'array' then p_dispute -> 'balance_transactions' else '[]' end
    ) as e
    where jsonb_typeof(e.value) = 'object'
  ) as b;
  if moved.is_comparable then
    withdrawn := moved.withdrawn;
    reinstated := moved.reinstated;
  else
    -- The balance is in another currency, and its rate moves: all of it went, or came back.
    withdrawn := amount * moved.times_withdrawn;
    reinstated := amount * moved.times_reinstated;
  end if;
end;
$$;

comment on function billing_private.dispute_movements is
  'What a dispute took from the balance and gave back, as its balance_transactions say (minor units of the dispute''s currency, without fees); 0 where they say nothing.';

create function billing_private.default_payment_method(p_customer jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_customer #> '{invoice_settings,default_payment_method}'),
    billing_private.stripe_id(p_customer -> 'default_source')
  );
end;
$$;

comment on function billing_private.default_payment_method is
  'Payment method a customer''s invoices are charged to: invoice_settings.default_payment_method, else the older default_source.';

create function billing_private.summary_id(p_object jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_object ->> 'object' = 'entitlements.active_entitlement_summary'
      then billing_private.stripe_id(p_object -> 'customer') || '/entitlements'
  end;
end;
$$;

comment on function billing_private.summary_id is
  'What an entitlement summary goes by here: cus_…/entitlements. Stripe gives it no id, and a customer has one. Null for anything else.';

create function billing_private.summary_features(p_summary jsonb)
returns text[]
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array(
    select distinct coalesce(nullif(btrim(e ->> 'lookup_key'), ''), billing_private.stripe_id(e -> 'feature')) collate "C"
    from jsonb_array_elements(coalesce(nullif(p_summary #> '{entitlements,data}', 'null'), '[]')) as e
    order by 1
  );
end;
$$;

comment on function billing_private.summary_features is
  'Features in an entitlement summary, by lookup_key (the feature''s id where it has none), in order and each once.';
