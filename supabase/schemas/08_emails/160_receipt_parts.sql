-- Receipt parts: what a paid invoice of Stripe's says of its lines, discounts and taxes, in any API version.
-- Reads: the invoice, products, prices. Writes: nothing. Called by: payment_emails.

create function billing_private.line_product(p_line jsonb)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(
      billing_private.product_named_by_line(p_line),
      (select p.product from billing.prices as p where p.id = billing_private.line_price(p_line))
    )
  );
end;
$$;

comment on function billing_private.line_product is 'Product (prod_…) that a line of an invoice bills, or null where it bills none that is known.';

create function billing_private.line_description(p_line jsonb)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(
      nullif(btrim(p_line ->> 'description'), ''),
      (select nullif(btrim(p.name), '') from billing.products as p where p.id = billing_private.line_product(p_line)),
      nullif(btrim(coalesce(p_line #>> '{price,nickname}', p_line #>> '{plan,nickname}')), '')
    )
  );
end;
$$;

comment on function billing_private.line_description is
  'What a line of an invoice is called: by Stripe or the merchant, else by its product, else by its price; null where nobody has named it.';

create function billing_private.receipt_lines(p_invoice jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(
      jsonb_agg(
        jsonb_build_object(
          'description', billing_private.line_description(l.line),
          'quantity', case when jsonb_typeof(l.line -> 'quantity') = 'number' then l.line -> 'quantity' end,
          'amount', (l.line ->> 'amount')::bigint,
          'periodStart', billing_private.unix_time(l.line #> '{period,start}'),
          'periodEnd', billing_private.unix_time(l.line #> '{period,end}')
        )
        order by l.position
      ),
      '[]'
    )
    from jsonb_array_elements(
      case jsonb_typeof(p_invoice #> '{lines,data}') when 'array' then p_invoice #> '{lines,data}' else '[]' end
    ) with ordinality as l (line, position)
  );
end;
$$;

comment on function billing_private.receipt_lines is 'The lines of an invoice that it came with, as emails/contract.ts has them (minor units).';

create function billing_private.discount_label(p_invoice jsonb, p_discount jsonb)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select nullif(btrim(coalesce(
      -- source.coupon since 2025-09-30.clover, coupon before; either may be the id alone, which is nobody's name.
      d.discount #>> '{source,coupon,name}', d.discount #>> '{coupon,name}'
    )), '')
    from (
      select p_discount as discount
      union all
      select e.discount
      from jsonb_array_elements(
        case jsonb_typeof(p_invoice -> 'discounts') when 'array' then p_invoice -> 'discounts' else '[]' end
          || case jsonb_typeof(p_invoice -> 'discount') when 'object' then jsonb_build_array(p_invoice -> 'discount') else '[]' end
      ) as e (discount)
      where e.discount ->> 'id' = billing_private.stripe_id(p_discount)
    ) as d
    where jsonb_typeof(d.discount) = 'object'
    limit 1
  );
end;
$$;

comment on function billing_private.discount_label is 'Name of the coupon behind a discount of an invoice, where the invoice tells it.';

create function billing_private.receipt_discounts(p_invoice jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(jsonb_build_object('label', named.label, 'amount', named.amount) order by named.position)
    from (
      select billing_private.discount_label(p_invoice, d.part -> 'discount') as label, sum((d.part ->> 'amount')::bigint) as amount, min(d.position) as position
      from jsonb_array_elements(
        case jsonb_typeof(p_invoice -> 'total_discount_amounts') when 'array' then p_invoice -> 'total_discount_amounts' else '[]' end
      ) with ordinality as d (part, position)
      group by 1
    ) as named
    where named.amount <> 0
  );
end;
$$;

comment on function billing_private.receipt_discounts is
  'Discounts of an invoice by name, those of single items too (total_discount_amounts has both), as emails/contract.ts has them (minor units); null where there are none.';

create function billing_private.tax_rate_of(p_invoice jsonb, p_tax jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Only its id stands in total_taxes; the rate itself among the invoice's or, before 2025-03-31.basil, its lines'.
  return (
    select r.rate
    from (select coalesce(nullif(p_tax #> '{tax_rate_details,tax_rate}', 'null'), p_tax -> 'tax_rate') as rate) as named
    cross join lateral (
      select named.rate
      union all
      select e.rate
      from jsonb_array_elements(
        case jsonb_typeof(p_invoice -> 'default_tax_rates') when 'array' then p_invoice -> 'default_tax_rates' else '[]' end
      ) as e (rate)
      union all
      select e.rate
      from jsonb_array_elements(
        case jsonb_typeof(p_invoice #> '{lines,data}') when 'array' then p_invoice #> '{lines,data}' else '[]' end
      ) as l (line)
      cross join lateral jsonb_array_elements(
        case jsonb_typeof(l.line -> 'tax_rates') when 'array' then l.line -> 'tax_rates' else '[]' end
      ) as e (rate)
    ) as r
    where jsonb_typeof(r.rate) = 'object' and r.rate ->> 'id' = billing_private.stripe_id(named.rate)
    limit 1
  );
end;
$$;

comment on function billing_private.tax_rate_of is 'The tax rate (txr_…) behind a tax of an invoice, where the invoice brings it along; else null.';

create function billing_private.receipt_taxes(p_invoice jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(
      jsonb_build_object('label', named.label, 'rate', named.rate, 'amount', named.amount, 'inclusive', named.inclusive) order by named.position
    )
    from (
      select
        nullif(btrim(r.rate ->> 'display_name'), '') as label,
        (r.rate ->> 'percentage')::numeric as rate,
        coalesce((t.part ->> 'inclusive')::boolean, t.part ->> 'tax_behavior' = 'inclusive', false) as inclusive,
        sum((t.part ->> 'amount')::bigint) as amount,
        min(t.position) as position
      -- total_taxes since 2025-03-31.basil, total_tax_amounts before.
      from jsonb_array_elements(coalesce(
        nullif(p_invoice -> 'total_taxes', 'null'), nullif(p_invoice -> 'total_tax_amounts', 'null'), '[]'
      )) with ordinality as t (part, position)
      cross join lateral (select billing_private.tax_rate_of(p_invoice, t.part) as rate) as r
      group by 1, 2, 3
    ) as named
    where named.amount <> 0
  );
end;
$$;

comment on function billing_private.receipt_taxes is
  'Taxes of an invoice by name and rate (percent), as emails/contract.ts has them (minor units); null where there are none.';

create function billing_private.email_receipt_props(p_invoice jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'currency', p_invoice ->> 'currency',
    'invoiceNumber', p_invoice ->> 'number',
    'lines', billing_private.receipt_lines(p_invoice),
    'lineCount', p_invoice #> '{lines,total_count}',
    'moreLines', coalesce(p_invoice #> '{lines,has_more}' = 'true', false),
    'discounts', billing_private.receipt_discounts(p_invoice),
    'shipping', coalesce(p_invoice #>> '{shipping_cost,amount_subtotal}', p_invoice ->> 'amount_shipping')::bigint,
    'taxes', billing_private.receipt_taxes(p_invoice),
    'billingCredits', (
      select sum((c ->> 'amount')::bigint)
      from jsonb_array_elements(
        case jsonb_typeof(p_invoice -> 'total_pretax_credit_amounts') when 'array' then p_invoice -> 'total_pretax_credit_amounts' else '[]' end
      ) as c
      where c ->> 'type' = 'credit_balance_transaction' -- the other type, discount, stands among the discounts
    ),
    'total', (p_invoice ->> 'total')::bigint,
    'creditNotes', (p_invoice ->> 'pre_payment_credit_notes_amount')::bigint,
    'balanceBefore', (p_invoice ->> 'starting_balance')::bigint,
    -- Null until it is finalized; then nothing of the balance has been used.
    'balanceAfter', coalesce(p_invoice ->> 'ending_balance', p_invoice ->> 'starting_balance')::bigint,
    'amountPaid', billing_private.invoice_amount_paid(p_invoice),
    'hostedInvoiceUrl', p_invoice ->> 'hosted_invoice_url',
    'invoicePdf', p_invoice ->> 'invoice_pdf'
  ) || billing_private.invoice_parties(p_invoice);
end;
$$;

comment on function billing_private.email_receipt_props is 'What a receipt says of a paid invoice (minor units), and of whom it bills and who sells, as emails/contract.ts has it.';
