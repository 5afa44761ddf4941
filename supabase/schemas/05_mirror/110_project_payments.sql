-- Projecting payments: what PaymentIntents, charges and payment records say, each kept as a source of its payment.
-- Reads: payment_intent.*, charge.*, payment records. Writes: payment_sources, payments. Called by: projection, refreshes.

create function billing_private.project_payment_intent(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  record_id constant text := billing_private.stripe_id(o -> 'payment_record');
begin
  if o is null then
    return;
  end if;
  if record_id is not null then
    perform billing_private.move_payment_sources(record_id, p_event.object_id);
    insert into billing_private.payment_sources (payment_id, kind, object_id)
    values (p_event.object_id, 'payment_record', record_id)
    on conflict (payment_id, kind, object_id) do nothing;
  end if;
  insert into billing_private.payment_sources as s (
    payment_id, kind, object_id, customer, invoice_id, amount, amount_received, currency, status, payment_method, failure_code,
    failure_message, description, metadata, livemode, created, canceled_at
  )
  values (
    p_event.object_id,
    'payment_intent',
    p_event.object_id,
    billing_private.stripe_id(o -> 'customer'),
    billing_private.payment_invoice(o),
    (o ->> 'amount')::bigint,
    coalesce((o ->> 'amount_received')::bigint, 0),
    o ->> 'currency',
    billing_private.payment_intent_status(o),
    coalesce(billing_private.stripe_id(o -> 'payment_method'), billing_private.stripe_id(o -> 'source')),
    coalesce(o #>> '{last_payment_error,decline_code}', o #>> '{last_payment_error,code}'),
    o #>> '{last_payment_error,message}',
    o ->> 'description',
    coalesce(nullif(o -> 'metadata', 'null'), '{}'),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision),
    to_timestamp((o ->> 'canceled_at')::double precision)
  )
  on conflict (payment_id, kind, object_id) do update
    set
      customer = excluded.customer,
      invoice_id = excluded.invoice_id,
      amount = excluded.amount,
      amount_received = excluded.amount_received,
      currency = excluded.currency,
      status = excluded.status,
      payment_method = excluded.payment_method,
      failure_code = excluded.failure_code,
      failure_message = excluded.failure_message,
      description = excluded.description,
      metadata = excluded.metadata,
      canceled_at = excluded.canceled_at;
  if not billing_private.save_payment(p_event.object_id) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.project_payment_intent is 'Handler: payment_intent.*.';

create function billing_private.project_charge(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  paid_with constant record := billing_private.method_of_charge(o);
  paid constant text := coalesce(billing_private.stripe_id(o -> 'payment_intent'), p_event.object_id);
  -- Radar gives its reasons for what it let through or put up for review, too.
  has_failed constant boolean := billing_private.charge_status(o) = 'failed';
begin
  if o is null then
    return;
  end if;
  perform billing_private.move_payment_sources(p_event.object_id, paid);
  insert into billing_private.payment_sources as s (
    payment_id, kind, object_id, customer, invoice_id, amount, amount_received, amount_refunded, currency, status,
    payment_method, payment_method_type, card_brand, card_last4, failure_code, failure_message, receipt_url, description, metadata, livemode, created,
    as_of
  )
  values (
    paid,
    'charge',
    p_event.object_id,
    billing_private.stripe_id(o -> 'customer'),
    billing_private.payment_invoice(o),
    (o ->> 'amount')::bigint,
    billing_private.amount_of_charge(o),
    coalesce((o ->> 'amount_refunded')::bigint, 0),
    o ->> 'currency',
    billing_private.charge_status(o),
    coalesce(
      billing_private.stripe_id(o -> 'payment_method'), billing_private.stripe_id(o -> 'source'), billing_private.stripe_id(o -> 'card')
    ),
    paid_with.type,
    paid_with.brand,
    paid_with.last4,
    case when has_failed then coalesce(o #>> '{outcome,reason}', o ->> 'failure_code') end,
    case when has_failed then o ->> 'failure_message' end,
    o ->> 'receipt_url',
    o ->> 'description',
    coalesce(nullif(o -> 'metadata', 'null'), '{}'),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision),
    p_event.created
  )
  on conflict (payment_id, kind, object_id) do update
    set
      customer = excluded.customer,
      invoice_id = excluded.invoice_id,
      amount = excluded.amount,
      amount_received = excluded.amount_received,
      amount_refunded = excluded.amount_refunded,
      currency = excluded.currency,
      status = excluded.status,
      payment_method = excluded.payment_method,
      payment_method_type = excluded.payment_method_type,
      card_brand = excluded.card_brand,
      card_last4 = excluded.card_last4,
      failure_code = excluded.failure_code,
      failure_message = excluded.failure_message,
      receipt_url = excluded.receipt_url,
      description = excluded.description,
      metadata = excluded.metadata,
      as_of = excluded.as_of;
  if not billing_private.save_payment(paid) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.project_charge is 'Handler: charge.*, of which a PaymentIntent has one per attempt.';

create function billing_private.project_payment_record(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  details constant jsonb := o -> 'payment_method_details';
  card constant jsonb := billing_private.card_details(details ->> 'type', details);
  paid constant text := billing_private.payment_of_source(p_event.object_id);
begin
  if o is null then
    return;
  end if;
  insert into billing_private.payment_sources as s (
    payment_id, kind, object_id, customer, amount, amount_received, amount_refunded, currency, status, payment_method,
    payment_method_type, payment_method_name, card_brand, card_last4, description, metadata, livemode, created, as_of
  )
  values (
    paid,
    'payment_record',
    p_event.object_id,
    billing_private.stripe_id(o #> '{customer_details,customer}'),
    coalesce(billing_private.minor_units(o -> 'amount_requested'), billing_private.minor_units(o -> 'amount')),
    coalesce(billing_private.minor_units(o -> 'amount_guaranteed'), 0),
    coalesce(billing_private.minor_units(o -> 'amount_refunded'), 0),
    coalesce(o #>> '{amount_requested,currency}', o #>> '{amount,currency}'),
    billing_private.payment_record_status(o),
    details ->> 'payment_method',
    details ->> 'type',
    details #>> '{custom,display_name}',
    billing_private.card_brand(card ->> 'brand'),
    card ->> 'last4',
    o ->> 'description',
    coalesce(nullif(o -> 'metadata', 'null'), '{}'),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision),
    p_event.created
  )
  on conflict (payment_id, kind, object_id) do update
    set
      customer = excluded.customer,
      amount = excluded.amount,
      amount_received = excluded.amount_received,
      amount_refunded = excluded.amount_refunded,
      currency = excluded.currency,
      status = excluded.status,
      payment_method = excluded.payment_method,
      payment_method_type = excluded.payment_method_type,
      payment_method_name = excluded.payment_method_name,
      card_brand = excluded.card_brand,
      card_last4 = excluded.card_last4,
      description = excluded.description,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created,
      as_of = excluded.as_of;
  if not billing_private.save_payment(paid) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.project_payment_record is
  'Handler of payment records read from Stripe, which sends no event of them: money that came by another processor, by transfer, in cash.';
