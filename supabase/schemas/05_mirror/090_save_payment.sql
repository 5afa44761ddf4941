-- Computing a payment from its sources. A PaymentIntent counts first; where none is known, its charge; then a payment
-- record; then the invoice that was paid. What was taken of it again: see money_back.
-- Reads: payment_sources. Writes: payments, payment_failures, object_metadata. Called by: projection of payments, invoices,
-- refunds and disputes; customer_accounts.

create function billing_private.payment_from_sources(p_payment_id text)
returns billing.payments
language plpgsql
stable
set search_path = ''
as $$
declare
  source billing_private.payment_sources;
  intent billing_private.payment_sources;
  charge billing_private.payment_sources;
  report billing_private.payment_sources;
  bill billing_private.payment_sources;
  payment billing.payments;
  is_contested boolean := false;
begin
  -- A PaymentIntent has a charge per attempt: the last one read here counts, which is the one that succeeded (or was let
  -- go again), else the newest.
  for source in
    select *
    from billing_private.payment_sources as s
    where s.payment_id = p_payment_id
    order by coalesce(s.status in ('succeeded', 'canceled'), false), s.created, s.object_id collate "C"
  loop
    case source.kind
      when 'payment_intent' then intent := source;
      when 'charge' then charge := source;
      when 'payment_record' then report := source;
      when 'invoice' then bill := source;
      else is_contested := true;
    end case;
  end loop;

  payment.id := p_payment_id;
  payment.customer := coalesce(intent.customer, charge.customer, report.customer, bill.customer);
  payment.invoice_id := coalesce(intent.invoice_id, charge.invoice_id, bill.object_id);
  payment.amount := coalesce(intent.amount, charge.amount, report.amount, bill.amount);
  payment.amount_received := coalesce(intent.amount_received, charge.amount_received, report.amount_received, bill.amount_received);
  payment.currency := coalesce(intent.currency, charge.currency, report.currency, bill.currency);
  payment.status := coalesce(intent.status, billing_private.payment_status_of_charge(charge), report.status, bill.status);
  payment.payment_method := coalesce(intent.payment_method, charge.payment_method, report.payment_method);
  payment.payment_method_type := coalesce(charge.payment_method_type, report.payment_method_type);
  payment.payment_method_name := case when charge.payment_method_type is null then report.payment_method_name end;
  payment.latest_charge := charge.object_id;
  payment.card_brand := coalesce(charge.card_brand, report.card_brand);
  payment.card_last4 := coalesce(charge.card_last4, report.card_last4);
  if intent.amount_received > 0 and charge.status is distinct from 'succeeded' then
    -- Paid, and the charge that did it is not known yet: the newest one was declined.
    payment.payment_method_type := report.payment_method_type;
    payment.payment_method_name := report.payment_method_name;
    payment.card_brand := report.card_brand;
    payment.card_last4 := report.card_last4;
  end if;
  payment.failure_code := coalesce(intent.failure_code, case when intent.payment_id is null then charge.failure_code end);
  payment.receipt_url := charge.receipt_url;
  payment.description := coalesce(intent.description, charge.description, report.description);
  payment.metadata := coalesce(intent.metadata, charge.metadata, report.metadata, '{}');
  payment.livemode := coalesce(intent.livemode, charge.livemode, report.livemode, bill.livemode);
  payment.created := coalesce(intent.created, charge.created, report.created, bill.created);
  payment.canceled_at := intent.canceled_at;
  payment.is_one_time := payment.invoice_id is null;
  if payment.amount_received > 0 then
    payment.paid_at := coalesce(
      case when charge.status = 'succeeded' then charge.created end, bill.created, intent.created, report.created
    );
  end if;
  payment.amount_refunded := coalesce(charge.amount_refunded, report.amount_refunded, 0);
  payment.amount_disputed := 0;
  payment.amount_lost := 0;
  if is_contested then
    select c.amount_refunded, c.amount_disputed, c.amount_lost
    into payment.amount_refunded, payment.amount_disputed, payment.amount_lost
    from billing_private.contested_amounts(payment, charge) as c;
  end if;
  payment.amount_refunded := billing_private.amount_returned(payment);
  payment.outcome := billing_private.payment_outcome(payment);
  return payment;
end;
$$;

comment on function billing_private.payment_from_sources is
  'The payment that its sources add up to: a pure function of payment_sources. amount is null while no source knows of money. failure_code and metadata are as Stripe has them: see hide_from_payer.';

create function billing_private.hide_from_payer(p_payment billing.payments)
returns billing.payments
language plpgsql
set search_path = ''
as $$
declare
  message text;
begin
  if p_payment.failure_code is not null then
    -- Of the intent if it was heard, as in payment_from_sources; else of the charge that counts.
    select s.failure_message
    into message
    from billing_private.payment_sources as s
    where s.payment_id = p_payment.id and s.kind in ('payment_intent', 'charge') and s.failure_code is not null
    order by s.kind = 'payment_intent' desc, s.object_id = p_payment.latest_charge desc
    limit 1;
  end if;
  p_payment.failure_code := billing_private.save_payment_failure(p_payment.id, p_payment.failure_code, message);
  -- One that goes by its invoice's id has none of its own; what is kept under that id is the invoice's.
  if p_payment.id is distinct from p_payment.invoice_id then
    p_payment.metadata := billing_private.save_metadata(p_payment.id, p_payment.metadata);
  end if;
  return p_payment;
end;
$$;

comment on function billing_private.hide_from_payer is
  'Keeps what only servers may read of a payment in payment_failures and object_metadata, and returns the payment with what its payer may.';

create function billing_private.payment_status_of_charge(p_charge billing_private.payment_sources)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_charge.object_id = p_charge.payment_id then p_charge.status
    when p_charge.status = 'pending' then 'processing'
    when p_charge.status = 'failed' then 'requires_payment_method'
    else p_charge.status
  end;
end;
$$;

comment on function billing_private.payment_status_of_charge is
  'Status of a payment as far as its charge tells: the charge''s own, or what a PaymentIntent would say where there is one we have not heard.';

create function billing_private.store_payments(p_rows billing.payments[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.payments as p
  select * from unnest(p_rows)
  on conflict (id) do update
    set
      customer = excluded.customer,
      invoice_id = excluded.invoice_id,
      amount = excluded.amount,
      amount_received = excluded.amount_received,
      amount_refunded = excluded.amount_refunded,
      amount_disputed = excluded.amount_disputed,
      amount_lost = excluded.amount_lost,
      currency = excluded.currency,
      status = excluded.status,
      outcome = excluded.outcome,
      is_one_time = excluded.is_one_time,
      payment_method = excluded.payment_method,
      payment_method_type = excluded.payment_method_type,
      payment_method_name = excluded.payment_method_name,
      latest_charge = excluded.latest_charge,
      card_brand = excluded.card_brand,
      card_last4 = excluded.card_last4,
      failure_code = excluded.failure_code,
      receipt_url = excluded.receipt_url,
      description = excluded.description,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created,
      paid_at = excluded.paid_at,
      canceled_at = excluded.canceled_at;
end;
$$;

comment on function billing_private.store_payments is 'Stores payments as they are now; what only servers may read of them is hidden before.';

create function billing_private.lock_payments(p_payment_ids text[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  if cardinality(p_payment_ids) = 1 then
    perform pg_advisory_xact_lock(hashtextextended(p_payment_ids[1], 7306));
    return;
  end if;
  -- Charges and payment records, which name a payment, before PaymentIntents: see payment_of_source.
  perform pg_advisory_xact_lock(hashtextextended(p.id, 7306))
  from (
    select i.id collate "C" as id from unnest(p_payment_ids) as i (id) group by i.id order by i.id like 'pi\_%', i.id collate "C"
  ) as p;
end;
$$;

comment on function billing_private.lock_payments is
  'The locks of payments (7306), taken in one order and before anything is written of them.';

create function billing_private.save_payment(p_payment_id text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  payment billing.payments;
begin
  -- An invoice payment names no customer whose lock to wait for, so payments have a lock of their own. It is taken
  -- after the customer's and nothing is waited for while it is held: still no two can wait for each other.
  if pg_advisory_xact_lock(hashtextextended(p_payment_id, 7306)) is null then
    return false;
  end if;
  payment := billing_private.payment_from_sources(p_payment_id);
  if payment.amount is null then
    return false;
  end if;
  perform billing_private.store_payments(array[billing_private.hide_from_payer(payment)]);
  return true;
end;
$$;

comment on function billing_private.save_payment is
  'Computes a payment from its sources and stores it. Returns false while no source knows of money.';

create function billing_private.save_payments(p_payment_ids text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  payment billing.payments;
  hidden billing.payments[] := array[]::billing.payments[];
  without_failure text[] := array[]::text[];
  ids text[] := array[]::text[];
  metadata jsonb[] := array[]::jsonb[];
begin
  perform billing_private.lock_payments(p_payment_ids);
  for payment in
    select p.*
    from unnest(p_payment_ids) as i (id)
    cross join lateral billing_private.payment_from_sources(i.id) as p
    where p.amount is not null
  loop
    if payment.failure_code is not null then
      payment := billing_private.hide_from_payer(payment);
    else
      -- As hide_from_payer does, below and for all of them.
      without_failure := without_failure || payment.id;
      if payment.id is distinct from payment.invoice_id then
        ids := ids || payment.id;
        metadata := metadata || array[payment.metadata];
        payment.metadata := billing_private.visible_metadata(payment.metadata);
      end if;
    end if;
    hidden := hidden || payment;
  end loop;
  if cardinality(without_failure) > 0 then
    delete from billing.payment_failures as f where f.payment_id = any (without_failure);
    perform billing_private.keep_metadata(ids, metadata);
  end if;
  if cardinality(hidden) > 0 then
    perform billing_private.store_payments(hidden);
  end if;
end;
$$;

comment on function billing_private.save_payments is 'save_payment for several payments.';
