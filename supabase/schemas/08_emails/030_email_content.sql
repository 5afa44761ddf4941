-- What an email says: whose emails these are, which card it is about, whom it greets, and what was not known yet when it
-- was enqueued.
-- Reads: the owed mail, customers, payments, payment methods, settings. Writes: nothing. Called by: write_emails,
-- invoice_parties, plan_changes, method_removed_emails, dispute_opened_emails.

create function billing_private.email_brand()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'appName', s.app_name, 'appUrl', s.app_url, 'billingUrl', s.billing_url, 'logoUrl', s.logo_url, 'color', s.brand_color,
      'supportEmail', s.support_email, 'postalAddress', s.postal_address, 'timeZone', s.time_zone,
      'defaultLocale', s.default_locale
    )
    from billing.settings as s
  );
end;
$$;

comment on function billing_private.email_brand is 'Whose emails these are, as the templates take it (emails/contract.ts, Brand).';

create function billing_private.type_of_source(p_id text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case when p_id like 'card\_%' then 'card' when p_id like 'ba\_%' then 'us_bank_account' end;
end;
$$;

comment on function billing_private.type_of_source is
  'Type of an older card (card_…) or bank account (ba_…), of which no payment_method event ever tells; null for what is not told by its id.';

create function billing_private.known_card(p_payload jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  kept_method text;
  card jsonb;
begin
  select coalesce(s.default_payment_method, c.default_payment_method)
  into kept_method
  from billing.customers as c
  left join billing.subscriptions as s on s.id = p_payload ->> 'subscription'
  where c.id = p_payload ->> 'customer';

  if not p_payload ?| array['payment', 'invoice'] then
    -- Of what is to be charged it may not be known what it is, only that there is something.
    select jsonb_build_object(
      'type', coalesce(m.type, billing_private.type_of_source(kept.id), 'other'), 'brand', m.card_brand, 'last4', m.card_last4
    )
    into card
    from (select kept_method as id) as kept
    left join billing.payment_methods as m on m.id = kept.id
    where kept.id is not null;
    return card;
  end if;

  select jsonb_build_object(
    'type', y.payment_method_type, 'name', billing_private.plain_line(y.payment_method_name, 80), 'brand', y.card_brand,
    'last4', y.card_last4
  )
  into card
  from billing.payments as y
  where y.payment_method_type is not null
    and case
      when p_payload ? 'payment' then y.id = p_payload ->> 'payment'
      else y.invoice_id = p_payload ->> 'invoice'
    end
    -- A declined card did not pay it, and it may have been paid in another way since.
    and (y.amount_received > 0 or not p_payload ->> 'template' = any (array['payment-receipt', 'payment-recovered', 'refund-issued', 'refund-failed']))
  order by y.amount_received > 0 desc, y.created desc
  limit 1;
  return card;
end;
$$;

comment on function billing_private.known_card is
  'The payment method an email speaks of: of its payment, else of its invoice''s payment, else what the subscription is charged to; null where there is none. Of what was paid only what it was paid with.';

create function billing_private.plain_line(p_text text, p_longest integer)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return nullif(btrim(left(
    regexp_replace(
      p_text,
      '[\s\u0001-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]+', ' ', 'g'
    ),
    p_longest
  )), '');
end;
$$;

comment on function billing_private.plain_line is
  'A text on one line, without controls, invisible characters and what changes the direction of writing; null where nothing is left.';

create function billing_private.greeted_name(p_name text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- Anybody can sign up with another person's address and an advertisement as a name; mail programs turn it into links.
  return case when p_name !~* '://|www\.|@|[[:alnum:]]\.[a-z]{2}' then billing_private.plain_line(p_name, 80) end;
end;
$$;

comment on function billing_private.greeted_name is
  'A customer''s name as a mail may greet them by it; null where it holds what mail programs make a link of.';

create function billing_private.fill_email_props(p_payload jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  props constant jsonb := p_payload -> 'props';
  filled jsonb;
begin
  filled := jsonb_build_object(
    'customerName', (
      select nullif(btrim(c.name), '') from billing.customers as c where c.id = p_payload ->> 'customer'
    ),
    'productName', billing_private.product_name_of(p_payload ->> 'subscription')
  );
  if props -> 'paymentMethod' = 'null' then
    filled := filled || jsonb_build_object('paymentMethod', billing_private.known_card(p_payload));
  end if;
  if props -> 'invoiceNumber' = 'null' then
    filled := filled || jsonb_build_object('invoiceNumber', (
      select i.number
      from billing.payments as y
      join billing.invoices as i on i.id = y.invoice_id
      where y.id = p_payload ->> 'payment'
    ));
  end if;
  if props -> 'unpaid' = 'null' then
    filled := filled || jsonb_build_object('unpaid', billing_private.unpaid_of_subscription(p_payload ->> 'subscription'));
  end if;
  filled := props || coalesce(
    (select jsonb_object_agg(f.key, f.value) from jsonb_each(filled) as f where props -> f.key = 'null'), '{}'
  );
  return filled
    || case when filled ? 'customerName' then jsonb_build_object('customerName', billing_private.greeted_name(filled ->> 'customerName')) else '{}' end
    || case when filled ? 'productName' then jsonb_build_object('productName', billing_private.plain_line(filled ->> 'productName', 250)) else '{}' end;
end;
$$;

comment on function billing_private.fill_email_props is
  'The props of an email with what was not at hand when it was enqueued: each that is null there, as it is known by now; names as they may stand in a mail.';
