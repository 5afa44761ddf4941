-- Projecting payments: what PaymentIntents, charges and payment records say, each kept as a source of its payment.
-- Reads: payment_intent.*, charge.*, payment records. Writes: payment_sources, payments. Called by: projection, refreshes.

create function billing_private.intent_source(p_id text, p_intent jsonb)
returns billing_private.payment_sources
language plpgsql
immutable
set search_path = ''
as $$
declare
  source billing_private.payment_sources;
begin
  source.payment_id := p_id;
  source.kind := 'payment_intent';
  source.object_id := p_id;
  source.customer := billing_private.stripe_id(p_intent -> 'customer');
  source.invoice_id := billing_private.payment_invoice(p_intent);
  source.amount := (p_intent ->> 'amount')::bigint;
  source.amount_received := coalesce((p_intent ->> 'amount_received')::bigint, 0);
  source.currency := p_intent ->> 'currency';
  source.status := billing_private.payment_intent_status(p_intent);
  source.payment_method := coalesce(
    billing_private.stripe_id(p_intent -> 'payment_method'), billing_private.stripe_id(p_intent -> 'source')
  );
  source.failure_code := coalesce(p_intent #>> '{last_payment_error,decline_code}', p_intent #>> '{last_payment_error,code}');
  source.failure_message := p_intent #>> '{last_payment_error,message}';
  source.description := p_intent ->> 'description';
  source.metadata := coalesce(nullif(p_intent -> 'metadata', 'null'), '{}');
  source.livemode := (p_intent ->> 'livemode')::boolean;
  source.created := to_timestamp((p_intent ->> 'created')::double precision);
  source.canceled_at := to_timestamp((p_intent ->> 'canceled_at')::double precision);
  return source;
end;
$$;

comment on function billing_private.intent_source is 'What a PaymentIntent says about its payment.';

create function billing_private.charge_source(p_id text, p_charge jsonb, p_as_of timestamptz)
returns billing_private.payment_sources
language plpgsql
stable
set search_path = ''
as $$
declare
  source billing_private.payment_sources;
  paid_with constant record := billing_private.method_of_charge(p_charge);
  -- Radar gives its reasons for what it let through or put up for review, too.
  has_failed constant boolean := billing_private.charge_status(p_charge) = 'failed';
begin
  source.payment_id := coalesce(billing_private.stripe_id(p_charge -> 'payment_intent'), p_id);
  source.kind := 'charge';
  source.object_id := p_id;
  source.customer := billing_private.stripe_id(p_charge -> 'customer');
  source.invoice_id := billing_private.payment_invoice(p_charge);
  source.amount := (p_charge ->> 'amount')::bigint;
  source.amount_received := billing_private.amount_of_charge(p_charge);
  source.amount_refunded := coalesce((p_charge ->> 'amount_refunded')::bigint, 0);
  source.currency := p_charge ->> 'currency';
  source.status := billing_private.charge_status(p_charge);
  source.payment_method := coalesce(
    billing_private.stripe_id(p_charge -> 'payment_method'),
    billing_private.stripe_id(p_charge -> 'source'),
    billing_private.stripe_id(p_charge -> 'card')
  );
  source.payment_method_type := paid_with.type;
  source.card_brand := paid_with.brand;
  source.card_last4 := paid_with.last4;
  source.failure_code := case when has_failed then coalesce(p_charge #>> '{outcome,reason}', p_charge ->> 'failure_code') end;
  source.failure_message := case when has_failed then p_charge ->> 'failure_message' end;
  source.receipt_url := p_charge ->> 'receipt_url';
  source.description := p_charge ->> 'description';
  source.metadata := coalesce(nullif(p_charge -> 'metadata', 'null'), '{}');
  source.livemode := (p_charge ->> 'livemode')::boolean;
  source.created := to_timestamp((p_charge ->> 'created')::double precision);
  source.as_of := p_as_of;
  return source;
end;
$$;

comment on function billing_private.charge_source is 'What a charge says about the payment that it belongs to: its PaymentIntent''s, else its own.';

create function billing_private.save_payment_sources(p_rows billing_private.payment_sources[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Of payments that no customer is known of yet, others tell at the same time.
  perform billing_private.lock_payments(array(select r.payment_id from unnest(p_rows) as r));
  insert into billing_private.payment_sources as s
  select * from unnest(p_rows)
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
      canceled_at = excluded.canceled_at,
      as_of = excluded.as_of;
end;
$$;

comment on function billing_private.save_payment_sources is
  'Stores what PaymentIntents and charges say as they say it now. What the row of either kind does not have is null in both.';

create function billing_private.name_payment_record(p_payment_id text, p_record_id text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_record_id is null then
    return;
  end if;
  perform billing_private.move_payment_sources(p_record_id, p_payment_id);
  insert into billing_private.payment_sources (payment_id, kind, object_id)
  values (p_payment_id, 'payment_record', p_record_id)
  on conflict (payment_id, kind, object_id) do nothing;
end;
$$;

comment on function billing_private.name_payment_record is 'A PaymentIntent says which payment record is of it, if one is.';

create function billing_private.project_payment_intent(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
begin
  if o is null then
    return;
  end if;
  perform billing_private.name_payment_record(p_event.object_id, billing_private.stripe_id(o -> 'payment_record'));
  perform billing_private.save_payment_sources(array[billing_private.intent_source(p_event.object_id, o)]);
  if not billing_private.save_payment(p_event.object_id) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.project_payment_intent is 'Handler: payment_intent.*.';

create function billing_private.project_payment_intents(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  source billing_private.payment_sources;
  sources billing_private.payment_sources[] := array[]::billing_private.payment_sources[];
  paid text[] := array[]::text[];
begin
  for applied in select a.object_id as id, a.object from billing_private.apply_each_if_newest(p_events) as a loop
    perform billing_private.name_payment_record(applied.id, billing_private.stripe_id(applied.object -> 'payment_record'));
    source := billing_private.intent_source(applied.id, applied.object);
    sources := sources || source;
    paid := paid || source.payment_id;
  end loop;
  if cardinality(paid) > 0 then
    perform billing_private.save_payment_sources(sources);
    perform billing_private.save_payments(paid);
  end if;
end;
$$;

comment on function billing_private.project_payment_intents is 'project_payment_intent for many.';

create function billing_private.project_charge(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  source billing_private.payment_sources;
begin
  if o is null then
    return;
  end if;
  source := billing_private.charge_source(p_event.object_id, o, p_event.created);
  perform billing_private.move_payment_sources(p_event.object_id, source.payment_id);
  perform billing_private.save_payment_sources(array[source]);
  if not billing_private.save_payment(source.payment_id) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.project_charge is 'Handler: charge.*, of which a PaymentIntent has one per attempt.';

create function billing_private.project_charges(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  source billing_private.payment_sources;
  sources billing_private.payment_sources[] := array[]::billing_private.payment_sources[];
  paid text[] := array[]::text[];
begin
  for applied in
    select a.object_id as id, a.created, a.object from billing_private.apply_each_if_newest(p_events) as a
  loop
    source := billing_private.charge_source(applied.id, applied.object, applied.created);
    perform billing_private.move_payment_sources(applied.id, source.payment_id);
    sources := sources || source;
    paid := paid || source.payment_id;
  end loop;
  if cardinality(paid) > 0 then
    perform billing_private.save_payment_sources(sources);
    perform billing_private.save_payments(paid);
  end if;
end;
$$;

comment on function billing_private.project_charges is 'project_charge for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.project_payment_intent', 'billing_private.project_payment_intents'),
  ('billing_private.project_charge', 'billing_private.project_charges');

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
