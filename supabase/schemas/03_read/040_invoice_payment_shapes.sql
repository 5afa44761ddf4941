-- Readers of what was paid of an invoice and by what, in every API version (see stripe_shapes).
-- Reads: the object it is given. Writes: nothing. Called by: projection of invoices and payments, emails about payments.

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
