-- Invoice parties: whom an invoice bills and who sells, with addresses and tax ids, as far as the invoice tells.
-- Reads: the invoice, stripe_events, settings. Writes: nothing. Called by: emails about paid invoices.

create function billing_private.printed_line(p_text text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_text !~* '://|www\.|@'
    -- Mail programs make a link of evil.com; "St. Gallen" is how one writes it anyway.
    then billing_private.plain_line(regexp_replace(p_text, '([[:alnum:]])\.([[:alpha:]]{2})', '\1. \2', 'g'), 80)
  end;
end;
$$;

comment on function billing_private.printed_line is
  'A line that a customer wrote, of an address say, as it may stand in a mail: on one line, and nothing in it that mail programs make a link of.';

create function billing_private.party_address(p_address jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return nullif(jsonb_strip_nulls(jsonb_build_object(
    'line1', billing_private.printed_line(p_address ->> 'line1'),
    'line2', billing_private.printed_line(p_address ->> 'line2'),
    'city', billing_private.printed_line(p_address ->> 'city'),
    'postalCode', billing_private.printed_line(p_address ->> 'postal_code'),
    'state', billing_private.printed_line(p_address ->> 'state'),
    'country', case when p_address ->> 'country' ~ '^[A-Z]{2}$' then p_address ->> 'country' end
  )), '{}');
end;
$$;

comment on function billing_private.party_address is 'An address of Stripe''s as emails/contract.ts has it; null where nothing is known of it.';

create function billing_private.party_tax_ids(p_tax_ids jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(jsonb_build_object('type', coalesce(nullif(t.id ->> 'type', ''), 'unknown'), 'value', t.value) order by t.position)
    from (
      select e.id, e.position, billing_private.printed_line(e.id ->> 'value') as value
      from jsonb_array_elements(case jsonb_typeof(p_tax_ids) when 'array' then p_tax_ids else '[]' end)
        with ordinality as e (id, position)
      -- One that is named by its id alone (txi_…) or was deleted tells nothing.
      where jsonb_typeof(e.id) = 'object'
    ) as t
    where t.value is not null and t.position <= 5
  );
end;
$$;

comment on function billing_private.party_tax_ids is
  'Tax ids of an invoice that are told, [{type, value}]: customer_tax_ids are, account_tax_ids only where they are expanded. Null where there are none.';

create function billing_private.invoice_parties(p_invoice jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'billedTo', nullif(jsonb_strip_nulls(jsonb_build_object(
        'name', billing_private.printed_line(p_invoice ->> 'customer_name'),
        'address', billing_private.party_address(p_invoice -> 'customer_address'),
        'taxIds', billing_private.party_tax_ids(p_invoice -> 'customer_tax_ids')
      )), '{}'),
      'soldBy', nullif(jsonb_strip_nulls(jsonb_build_object(
        'name', billing_private.plain_line(p_invoice ->> 'account_name', 80),
        'taxIds', coalesce(
          billing_private.party_tax_ids(p_invoice -> 'account_tax_ids'),
          (
            select jsonb_build_array(jsonb_build_object('type', 'eu_vat', 'value', v.id))
            from billing.settings as s
            cross join lateral (select billing_private.plain_line(s.vat_id, 80) as id) as v
            where v.id is not null
          )
        )
      )), '{}')
    )
  );
end;
$$;

comment on function billing_private.invoice_parties is
  'Whom an invoice bills and who sells, as emails/contract.ts has them: {billedTo, soldBy}, each null where the invoice tells nothing. The same fields in every API version since 2019-12-03; an invoice older than that tells less.';

create function billing_private.invoice_of_newest_event(p_invoice text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select e.payload #> '{data,object}'
    from billing.stripe_events as e
    where e.object_id = p_invoice and e.type like 'invoice.%'
    order by e.created desc, e.id desc
    limit 1
  );
end;
$$;

comment on function billing_private.invoice_of_newest_event is
  'An invoice as the newest event about it tells it, for what its row does not keep; null where there is none.';
