-- Payments: one row per movement of money, whichever event came first.
-- What each Stripe object says about a payment is kept by itself; the payment is computed from all that was said.
-- A PaymentIntent counts first; where none is known, its charge; then a payment record; then the invoice that was paid.
-- What was taken of it again: see money_back.
-- Reads: payment_intent.*, charge.*, payment records, invoices and invoice payments. Writes: payment_sources, payments.

create table billing.payments (
  id text primary key,
  customer text,
  invoice_id text,
  amount bigint not null,
  amount_received bigint not null,
  amount_refunded bigint not null,
  amount_disputed bigint not null default 0,
  amount_lost bigint not null default 0,
  currency text not null,
  status text not null,
  outcome text not null default 'pending',
  is_one_time boolean not null default true,
  payment_method text,
  payment_method_type text,
  payment_method_name text,
  latest_charge text,
  card_brand text,
  card_last4 text,
  failure_code text,
  receipt_url text,
  description text,
  metadata jsonb not null,
  livemode boolean,
  created timestamptz,
  paid_at timestamptz,
  canceled_at timestamptz,
  constraint outcome_is_known check (
    outcome in ('pending', 'failed', 'canceled', 'paid', 'partially_refunded', 'refunded', 'disputed', 'lost')
  ),
  constraint no_more_is_refunded_than_came_in check (amount_refunded <= amount_received)
);

comment on table billing.payments is
  'One row per movement of money: a PaymentIntent, or what has none: a charge, a payment record, an invoice paid past Stripe. Amounts are in the minor unit of currency.';
comment on column billing.payments.id is 'PaymentIntent (pi_…); where there is none, charge (ch_…, py_…), or payment record of money that came past Stripe; the invoice (in_…) where an API version before 2025-03-31.basil says no more than that it was paid out of band.';
comment on column billing.payments.customer is 'Customer (billing.customers.id); null for a guest.';
comment on column billing.payments.invoice_id is 'Invoice it pays (billing.invoices.id), learnt from whichever event knows it; null for a one-time payment.';
comment on column billing.payments.amount is 'What was asked for.';
comment on column billing.payments.amount_received is 'What came in.';
comment on column billing.payments.amount_refunded is 'What went back, or is on its way. A refund that failed is not in it, nor is a released authorization.';
comment on column billing.payments.amount_disputed is 'What the bank holds back while a dispute is open. An inquiry holds nothing back.';
comment on column billing.payments.amount_lost is 'What lost disputes took, and keep during an appeal.';
comment on column billing.payments.status is 'Of the PaymentIntent: requires_payment_method, requires_action, processing, succeeded, canceled, …; of the charge where there is none.';
comment on column billing.payments.outcome is
  'What became of the money, whatever status says: pending, failed, canceled: nothing came in; paid; partially_refunded, refunded; disputed: a dispute is open; lost: a dispute was.';
comment on column billing.payments.is_one_time is
  'No invoice is known to be paid by it. Since API 2025-03-31.basil only invoice_payment.paid names the invoice. A payment for an invoice without a subscription has that invoice.';
comment on column billing.payments.paid_at is 'When the money came in (UTC): created of its charge, else when its invoice was paid; null while nothing did.';
comment on column billing.payments.payment_method_type is 'Stripe''s type of what it was paid with: card, card_present, us_bank_account, custom, …; null where nothing tells. The card_ columns are null for what is no card.';
comment on column billing.payments.payment_method_name is 'What the operator calls the way it was paid past Stripe, as the payment record has it: Cash, Bank transfer; else null.';
comment on column billing.payments.latest_charge is 'Its charge: the one that succeeded, else the newest.';
comment on column billing.payments.failure_code is 'Why the latest attempt failed, as far as the payer may be told: a code that emails explain, else generic_decline. What Stripe said is in billing.payment_failures.';

comment on column billing.payments.metadata is 'Of Stripe''s metadata, what settings.visible_metadata allows the owner to read; all of it is in billing.object_metadata.';

create index payments_by_customer on billing.payments (customer, created);
create index payments_by_invoice on billing.payments (invoice_id);

create table billing_private.payment_sources (
  payment_id text not null,
  kind text not null,
  object_id text not null,
  customer text,
  invoice_id text,
  amount bigint,
  amount_received bigint,
  amount_refunded bigint,
  currency text,
  status text,
  payment_method text,
  payment_method_type text,
  payment_method_name text,
  card_brand text,
  card_last4 text,
  failure_code text,
  failure_message text,
  receipt_url text,
  description text,
  metadata jsonb,
  livemode boolean,
  created timestamptz,
  canceled_at timestamptz,
  as_of timestamptz,
  primary key (payment_id, kind, object_id),
  constraint kind_is_known check (kind in ('payment_intent', 'charge', 'payment_record', 'invoice', 'refund', 'dispute'))
);

comment on table billing_private.payment_sources is
  'What one Stripe object says about one payment. billing.payments is computed from these rows and from nothing else.';
comment on column billing_private.payment_sources.amount is 'Minor units; null for an invoice that names the payment and is not paid, or a payment record that only names its PaymentIntent: a link and no money yet. Of a refund, what it is about; of a dispute, what is away because of it.';
comment on column billing_private.payment_sources.status is 'Stripe''s; of a dispute whether its money is disputed, lost, or back.';
comment on column billing_private.payment_sources.as_of is 'created of the event that said so (UTC); of charges, refunds and disputes.';

-- Whose charge or payment record is it? See payment_of_source.
create index payment_sources_by_object on billing_private.payment_sources (object_id) where kind in ('charge', 'payment_record');

-- Which customer is it? See move_account_to_customer.
create index payment_sources_of_accounts on billing_private.payment_sources (customer) where customer like 'acct\_%';

alter table billing.payments enable row level security;
create policy owner_reads on billing.payments
  for select to authenticated
  using (customer = any (array(select c.id from billing.customers as c where c.owner_id = (select auth.uid()))));
grant select on billing.payments to authenticated, service_role;

alter table billing_private.payment_sources enable row level security;
create policy nobody_reads on billing_private.payment_sources using (false);

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

create function billing_private.save_payment(p_payment_id text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  payment billing.payments;
begin
  -- An invoice payment names no customer whose turn to wait for, so payments have a turn of their own. It is taken
  -- after the customer's and nothing is waited for while it is held: still no two can wait for each other.
  if pg_advisory_xact_lock(hashtextextended(p_payment_id, 7306)) is null then
    return false;
  end if;
  payment := billing_private.payment_from_sources(p_payment_id);
  if payment.amount is null then
    return false;
  end if;
  payment := billing_private.hide_from_payer(payment);
  insert into billing.payments as p values (payment.*)
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
  return true;
end;
$$;

comment on function billing_private.save_payment is
  'Computes a payment from its sources and stores it. Returns false while no source knows of money.';

create function billing_private.payment_of_source(p_id text)
returns text
language plpgsql
set search_path = ''
as $$
begin
  if p_id is null or p_id like 'pi\_%' then
    return p_id;
  end if;
  -- Taken before reading: whoever tells whose it is holds it until commit (see move_payment_sources), so one of the two sees
  -- the other. The turn of what names a payment comes before that of the payment.
  perform pg_advisory_xact_lock(hashtextextended(p_id, 7306));
  return coalesce(
    (
      select s.payment_id
      from billing_private.payment_sources as s
      where s.object_id = p_id and s.kind in ('charge', 'payment_record') and s.payment_id <> p_id
      limit 1
    ),
    p_id
  );
end;
$$;

comment on function billing_private.payment_of_source is
  'Payment that a charge or payment record belongs to, as far as is known: its PaymentIntent, else itself.';

create function billing_private.move_payment_sources(p_id text, p_payment_id text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_id = p_payment_id or pg_advisory_xact_lock(hashtextextended(p_id, 7306)) is null then
    return;
  elsif not exists (select from billing_private.payment_sources as s where s.payment_id = p_id) then
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

create function billing_private.link_payment(
  p_payment_id text, p_invoice jsonb, p_invoice_id text, p_amount_paid bigint, p_currency text, p_paid_at timestamptz
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  paid text;
begin
  if p_payment_id is null or p_invoice_id is null then
    return; -- from the customer's balance
  end if;
  if p_amount_paid is not null then
    -- The invoice's turn: who tells of its money names the payment, or sees that somebody has.
    perform pg_advisory_xact_lock(hashtextextended(p_invoice_id, 7306));
    if p_payment_id <> p_invoice_id then
      perform billing_private.drop_unnamed_payment(p_invoice_id);
    elsif exists (
      select
      from billing.payments as p
      where p.invoice_id = p_invoice_id and p.id <> p_invoice_id and p.amount_received > 0
    ) then
      return;
    end if;
  end if;
  paid := case when p_payment_id = p_invoice_id then p_payment_id else billing_private.payment_of_source(p_payment_id) end;
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
  if not billing_private.save_payment(paid) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.link_payment is
  'Records that an invoice names a payment. p_amount_paid (minor units): what the invoice got by it, so there is a payment even if nothing else ever tells of it; null while it is not paid.';

create function billing_private.project_payment_intent(p_event billing.webhook_events)
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

create function billing_private.project_charge(p_event billing.webhook_events)
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

create function billing_private.project_payment_record(p_event billing.webhook_events)
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
