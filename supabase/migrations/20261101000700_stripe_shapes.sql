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

create function billing_private.event_customer(p_object jsonb, p_previous jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_object ->> 'object' = 'customer' then p_object ->> 'id'
    else coalesce(billing_private.stripe_id(p_object -> 'customer'), billing_private.stripe_id(p_previous -> 'customer'))
  end;
end;
$$;

comment on function billing_private.event_customer is
  'Customer an object belongs to. A detached payment method names it only in previous_attributes.';

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

create function billing_private.invoice_payment_links(p_invoice jsonb)
returns table (payment_id text, amount_paid bigint)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- New: payments.data[].payment, only when expanded; an invoice may have several.
  if jsonb_typeof(p_invoice #> '{payments,data}') = 'array' then
    return query
      select
        coalesce(billing_private.stripe_id(p #> '{payment,payment_intent}'), billing_private.stripe_id(p #> '{payment,charge}')),
        case when p ->> 'status' = 'paid' then (p ->> 'amount_paid')::bigint end
      from jsonb_array_elements(p_invoice #> '{payments,data}') as p
      order by 1;
    return;
  end if;
  -- Old: payment_intent, or charge from the time before PaymentIntents. Money out of band did not come by it.
  payment_id := coalesce(billing_private.stripe_id(p_invoice -> 'payment_intent'), billing_private.stripe_id(p_invoice -> 'charge'));
  if payment_id is not null then
    if billing_private.invoice_status(p_invoice) = 'paid' and p_invoice -> 'paid_out_of_band' is distinct from 'true' then
      amount_paid := (p_invoice ->> 'amount_paid')::bigint;
    end if;
    return next;
  end if;
end;
$$;

comment on function billing_private.invoice_payment_links is
  'Payments an invoice names and what each brought it (minor units; null while unpaid): under payments since 2025-03-31.basil, and only when expanded; payment_intent or charge before.';

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

create function billing_private.amount_of_charge(p_charge jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_charge ->> 'status' is distinct from 'succeeded' or p_charge -> 'captured' = 'false' then 0
    else coalesce((p_charge ->> 'amount_captured')::bigint, (p_charge ->> 'amount')::bigint)
  end;
end;
$$;

comment on function billing_private.amount_of_charge is
  'What a charge brought, minor units: amount_captured (since 2020; amount before), and nothing while it is only reserved.';

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
