-- The email that a card runs out before it is charged next.
-- Reads: invoice.upcoming, payment_methods, subscriptions, customers. Writes: outbox. Called by: projection.

create function billing_private.method_to_charge(p_invoice jsonb)
returns billing.payment_methods
language plpgsql
stable
set search_path = ''
as $$
declare
  method billing.payment_methods;
begin
  select m.*
  into method
  from billing.payment_methods as m
  where m.detached_at is null
    and m.id = coalesce(
      billing_private.stripe_id(p_invoice -> 'default_payment_method'),
      (
        select s.default_payment_method
        from billing.subscriptions as s
        where s.id = billing_private.invoice_subscription(p_invoice)
      ),
      (
        select c.default_payment_method from billing.customers as c where c.id = billing_private.stripe_id(p_invoice -> 'customer')
      )
    );
  return method;
end;
$$;

comment on function billing_private.method_to_charge is
  'Payment method an invoice will be charged to: its own default, else the subscription''s, else the customer''s; null where it is not known.';

create function billing_private.card_is_good_until(p_method billing.payment_methods)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_method.card_exp_month between 1 and 12 and p_method.card_exp_year between 1900 and 9999 then
    return (make_date(p_method.card_exp_year, p_method.card_exp_month, 1) + interval '1 month') at time zone 'UTC';
  end if;
  return null;
end;
$$;

comment on function billing_private.card_is_good_until is
  'The moment a card stops being good: the end of the month it names (UTC); null for what is no card, or names none.';

create function billing_private.enqueue_card_expiring_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  charged_at constant timestamptz := coalesce(
    billing_private.unix_time(o -> 'next_payment_attempt'), billing_private.unix_time(o -> 'period_end')
  );
  method billing.payment_methods;
begin
  if coalesce((o ->> 'amount_due')::bigint, 0) <= 0 or o ->> 'collection_method' = 'send_invoice' then
    return;
  end if;
  method := billing_private.method_to_charge(o);
  if coalesce(billing_private.card_is_good_until(method) > charged_at, true) then
    return;
  end if;
  perform billing_private.enqueue_email(
    p_event, 'card-expiring', format('card-expiring:%s:%s-%s', method.id, method.card_exp_year, method.card_exp_month),
    jsonb_build_object('subscription', billing_private.invoice_subscription(o), 'to', o ->> 'customer_email'),
    jsonb_build_object(
      'customerName', nullif(o ->> 'customer_name', ''), 'productName', null,
      'paymentMethod', jsonb_build_object('type', method.type, 'brand', method.card_brand, 'last4', method.card_last4),
      'expMonth', method.card_exp_month,
      'expYear', method.card_exp_year,
      'nextPaymentAt', charged_at
    )
  );
end;
$$;

comment on function billing_private.enqueue_card_expiring_email is
  'Handler: invoice.upcoming, which Stripe sends some days before. Once per card and expiry, where the card will not be good any more when it is charged.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('invoice.upcoming', 'billing_private.enqueue_card_expiring_email', 40, 'email: card expires before the next payment');
