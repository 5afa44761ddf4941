-- Readers of invoices and their lines, in every API version (see stripe_shapes).
-- Reads: the object it is given. Writes: nothing. Called by: projection, emails, dunning, paid_too_much.

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
