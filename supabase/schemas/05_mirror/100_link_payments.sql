-- Linking payments: whose charge it is, and which invoice it pays, whichever becomes known first. The same money never has
-- two rows.
-- Reads: payment_sources, the invoice. Writes: payment_sources, payments, refunds, disputes, payment_failures, object_metadata.
-- Called by: projection of payments, invoices, refunds and disputes.

create function billing_private.payment_of_source(p_id text)
returns text
language plpgsql
set search_path = ''
as $$
declare
  paid text;
begin
  if p_id is null then
    return null;
  end if;
  -- Taken before reading: whoever tells whose it is holds it until commit (see move_payment_sources), so one of the two sees
  -- the other. The lock of what names a payment comes before that of the payment.
  perform pg_advisory_xact_lock(hashtextextended(p_id, 7306));
  if p_id like 'pi\_%' then
    return p_id;
  end if;
  select s.payment_id
  into paid
  from billing_private.payment_sources as s
  where s.object_id = p_id and s.kind in ('charge', 'payment_record') and s.payment_id <> p_id
  limit 1;
  if not found then
    return p_id;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(paid, 7306));
  return paid;
end;
$$;

comment on function billing_private.payment_of_source is
  'Payment that a charge or payment record belongs to, as far as is known: its PaymentIntent, else itself. Its lock is held until commit, so that what is told of it is written in turn.';

create function billing_private.move_payment_sources(p_id text, p_payment_id text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_id = p_payment_id then
    return;
  end if;
  perform billing_private.lock_payments(array[p_id, p_payment_id]);
  if not exists (select from billing_private.payment_sources as s where s.payment_id = p_id) then
    return;
  end if;
  update billing_private.payment_sources as s
  set payment_id = p_payment_id
  where s.payment_id = p_id
    and not exists (
      select
      from billing_private.payment_sources as t
      where t.payment_id = p_payment_id and t.kind = s.kind and t.object_id = s.object_id
    );
  delete from billing_private.payment_sources as s where s.payment_id = p_id;
  update billing.refunds as r set payment_id = p_payment_id where r.payment_id = p_id;
  update billing.disputes as d set payment_id = p_payment_id where d.payment_id = p_id;
  delete from billing.payments as p where p.id = p_id;
  delete from billing.payment_failures as f where f.payment_id = p_id;
  delete from billing.object_metadata as m where m.object_id = p_id;
end;
$$;

comment on function billing_private.move_payment_sources is
  'A charge or payment record turns out to belong to a PaymentIntent: what was said of it before (a refund, a dispute, an invoice) is the PaymentIntent''s, so that the same money never has two rows.';

create function billing_private.drop_unnamed_payment(p_invoice_id text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  delete from billing_private.payment_sources as s where s.payment_id = p_invoice_id;
  if found then
    delete from billing.payments as p where p.id = p_invoice_id;
  end if;
end;
$$;

comment on function billing_private.drop_unnamed_payment is
  'Takes away the payment that goes by its invoice''s id, once the object that paid the invoice is known.';

create function billing_private.record_payment_link(
  p_payment_id text, p_invoice jsonb, p_invoice_id text, p_amount_paid bigint, p_currency text, p_paid_at timestamptz
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  paid text;
begin
  if p_payment_id is null or p_invoice_id is null then
    return null; -- from the customer's balance
  end if;
  if p_amount_paid is not null then
    -- The invoice's lock: who tells of its money names the payment, or sees that somebody has.
    perform pg_advisory_xact_lock(hashtextextended(p_invoice_id, 7306));
    if p_payment_id <> p_invoice_id then
      perform billing_private.drop_unnamed_payment(p_invoice_id);
    elsif exists (
      select
      from billing.payments as p
      where p.invoice_id = p_invoice_id and p.id <> p_invoice_id and p.amount_received > 0
    ) then
      return null;
    end if;
  end if;
  paid := billing_private.payment_of_source(p_payment_id);
  insert into billing_private.payment_sources as s
    (payment_id, kind, object_id, customer, amount, amount_received, currency, status, livemode, created)
  values (
    paid, 'invoice', p_invoice_id, billing_private.stripe_id(p_invoice -> 'customer'), p_amount_paid, p_amount_paid, p_currency,
    case when p_amount_paid is not null then 'succeeded' end, (p_invoice ->> 'livemode')::boolean, p_paid_at
  )
  on conflict (payment_id, kind, object_id) do update
    set
      customer = coalesce(s.customer, excluded.customer),
      amount = greatest(s.amount, excluded.amount),
      amount_received = greatest(s.amount_received, excluded.amount_received),
      currency = coalesce(s.currency, excluded.currency),
      status = coalesce(s.status, excluded.status),
      created = least(s.created, excluded.created);
  return paid;
end;
$$;

comment on function billing_private.record_payment_link is
  'Records that an invoice names a payment, and returns the payment that is to be computed anew; null: none. p_amount_paid (minor units): what the invoice got by it, so there is a payment even if nothing else ever tells of it; null while it is not paid.';

create function billing_private.link_payment(
  p_payment_id text, p_invoice jsonb, p_invoice_id text, p_amount_paid bigint, p_currency text, p_paid_at timestamptz
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  paid constant text := billing_private.record_payment_link(
    p_payment_id, p_invoice, p_invoice_id, p_amount_paid, p_currency, p_paid_at
  );
begin
  if paid is null or not billing_private.save_payment(paid) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.link_payment is 'Records that an invoice names a payment (see record_payment_link), and computes the payment anew.';
