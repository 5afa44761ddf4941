-- Invoices and invoice payments, as in Stripe.
-- Reads: invoice.*, invoice_payment.paid. Writes: invoices, invoice_payments, and the invoice of a payment.

create table billing.invoices (
  id text primary key,
  customer text,
  subscription text,
  number text,
  status text,
  collection_method text,
  billing_reason text,
  currency text,
  subtotal bigint,
  discount bigint,
  tax bigint,
  total bigint,
  amount_due bigint,
  amount_paid bigint,
  amount_remaining bigint,
  attempt_count integer,
  attempted boolean,
  auto_advance boolean,
  next_payment_attempt timestamptz,
  due_date timestamptz,
  period_start timestamptz,
  period_end timestamptz,
  finalized_at timestamptz,
  paid_at timestamptz,
  voided_at timestamptz,
  marked_uncollectible_at timestamptz,
  first_payment_failed_at timestamptz,
  default_payment_method text,
  hosted_invoice_url text,
  invoice_pdf text,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  deleted_at timestamptz
);

comment on table billing.invoices is 'One row per Stripe invoice. All amounts are in the minor unit of currency.';
comment on column billing.invoices.customer is 'Customer (billing.customers.id). No foreign key: Stripe may send the invoice first.';
comment on column billing.invoices.subscription is 'Subscription it bills (billing.subscriptions.id); null for a one-time invoice.';
comment on column billing.invoices.status is 'Stripe''s: draft, open, paid, void, uncollectible, and what Stripe adds.';
comment on column billing.invoices.discount is 'Sum of total_discount_amounts.';
comment on column billing.invoices.tax is 'Sum of all taxes.';
comment on column billing.invoices.amount_due is 'What the customer has to pay; amount_remaining is what is still unpaid.';
comment on column billing.invoices.amount_paid is 'The money that came for it, also past Stripe. What a credit note or a balance covered is not in it.';
comment on column billing.invoices.attempt_count is 'Automatic attempts to collect; attempts by hand do not count.';
comment on column billing.invoices.next_payment_attempt is 'When Stripe tries again by itself (UTC); null when it will not, and for send_invoice.';
comment on column billing.invoices.finalized_at is 'status_transitions.finalized_at; paid_at, voided_at, marked_uncollectible_at likewise.';
comment on column billing.invoices.first_payment_failed_at is 'created of the earliest invoice.payment_failed received (UTC).';
comment on column billing.invoices.hosted_invoice_url is 'Stripe''s page to see and pay it; null before it is finalized.';
comment on column billing.invoices.metadata is 'Of Stripe''s metadata, what settings.visible_metadata allows the owner to read; all of it is in billing.object_metadata.';
comment on column billing.invoices.deleted_at is 'When a draft was deleted at Stripe.';

create index invoices_by_customer on billing.invoices (customer, created);
create index invoices_by_subscription on billing.invoices (subscription);
-- What may be overdue: few among many that are paid.
create index invoices_open on billing.invoices (customer) where status = 'open';

create table billing.invoice_payments (
  id text primary key,
  invoice text not null,
  payment_intent text,
  charge text,
  payment_record text,
  amount_paid bigint,
  amount_requested bigint,
  currency text,
  status text not null,
  is_default boolean,
  paid_at timestamptz,
  livemode boolean,
  created timestamptz
);

comment on table billing.invoice_payments is 'Which payment pays which invoice, one row per Stripe InvoicePayment (since API 2025-03-31.basil).';
comment on column billing.invoice_payments.invoice is 'Invoice (billing.invoices.id).';
comment on column billing.invoice_payments.payment_intent is 'Payment (billing.payments.id); null where a charge without one, or a payment record, paid: those are payments under their own id.';
comment on column billing.invoice_payments.payment_record is 'Payment record of money that came past Stripe: by another processor, by transfer, in cash.';
comment on column billing.invoice_payments.amount_paid is 'Minor units of currency.';

create index invoice_payments_by_invoice on billing.invoice_payments (invoice);
create index invoice_payments_by_payment_intent on billing.invoice_payments (payment_intent);

alter table billing.invoices enable row level security;
create policy owner_reads on billing.invoices
  for select to authenticated
  using (customer = any (array(select c.id from billing.customers as c where c.owner_id = (select auth.uid()))));
grant select on billing.invoices to authenticated, service_role;

alter table billing.invoice_payments enable row level security;
create policy service_role_reads on billing.invoice_payments for select to service_role using (true);
grant select on billing.invoice_payments to service_role;

create function billing_private.project_invoice(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  o jsonb;
  transitions jsonb;
begin
  applied := billing_private.apply_if_newest(p_event);
  o := applied.object;
  if o is null then
    return;
  elsif o -> 'deleted' = 'true' then
    update billing.invoices as i set deleted_at = applied.deleted_at where i.id = p_event.object_id;
    return;
  end if;
  transitions := o -> 'status_transitions';

  insert into billing.invoices as i (
    id, customer, subscription, number, status, collection_method, billing_reason, currency, subtotal, discount, tax, total,
    amount_due, amount_paid, amount_remaining, attempt_count, attempted, auto_advance, next_payment_attempt, due_date,
    period_start, period_end, finalized_at, paid_at, voided_at, marked_uncollectible_at, default_payment_method,
    hosted_invoice_url, invoice_pdf, metadata, livemode, created, deleted_at
  )
  values (
    p_event.object_id,
    billing_private.stripe_id(o -> 'customer'),
    billing_private.invoice_subscription(o),
    o ->> 'number',
    billing_private.invoice_status(o),
    coalesce(o ->> 'collection_method', o ->> 'billing'),
    o ->> 'billing_reason',
    o ->> 'currency',
    (o ->> 'subtotal')::bigint,
    billing_private.invoice_discount(o),
    billing_private.invoice_tax(o),
    (o ->> 'total')::bigint,
    (o ->> 'amount_due')::bigint,
    billing_private.invoice_amount_paid(o),
    billing_private.invoice_amount_remaining(o),
    (o ->> 'attempt_count')::integer,
    (o ->> 'attempted')::boolean,
    (o ->> 'auto_advance')::boolean,
    to_timestamp((o ->> 'next_payment_attempt')::double precision),
    to_timestamp((o ->> 'due_date')::double precision),
    to_timestamp((o ->> 'period_start')::double precision),
    to_timestamp((o ->> 'period_end')::double precision),
    to_timestamp(coalesce(transitions ->> 'finalized_at', o ->> 'finalized_at')::double precision),
    to_timestamp((transitions ->> 'paid_at')::double precision),
    to_timestamp((transitions ->> 'voided_at')::double precision),
    to_timestamp((transitions ->> 'marked_uncollectible_at')::double precision),
    billing_private.stripe_id(o -> 'default_payment_method'),
    o ->> 'hosted_invoice_url',
    o ->> 'invoice_pdf',
    billing_private.save_metadata(p_event.object_id, o -> 'metadata'),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision),
    applied.deleted_at
  )
  on conflict (id) do update
    set
      customer = excluded.customer,
      subscription = excluded.subscription,
      number = excluded.number,
      status = excluded.status,
      collection_method = excluded.collection_method,
      billing_reason = excluded.billing_reason,
      currency = excluded.currency,
      subtotal = excluded.subtotal,
      discount = excluded.discount,
      tax = excluded.tax,
      total = excluded.total,
      amount_due = excluded.amount_due,
      amount_paid = excluded.amount_paid,
      amount_remaining = excluded.amount_remaining,
      attempt_count = excluded.attempt_count,
      attempted = excluded.attempted,
      auto_advance = excluded.auto_advance,
      next_payment_attempt = excluded.next_payment_attempt,
      due_date = excluded.due_date,
      period_start = excluded.period_start,
      period_end = excluded.period_end,
      finalized_at = excluded.finalized_at,
      paid_at = excluded.paid_at,
      voided_at = excluded.voided_at,
      marked_uncollectible_at = excluded.marked_uncollectible_at,
      default_payment_method = excluded.default_payment_method,
      hosted_invoice_url = excluded.hosted_invoice_url,
      invoice_pdf = excluded.invoice_pdf,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created,
      deleted_at = excluded.deleted_at;
end;
$$;

comment on function billing_private.project_invoice is 'Handler: invoice.*, all of which carry the invoice; not invoice.upcoming, which has no id.';

create function billing_private.record_payment_failure(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- project_invoice has run: the row is there even when this event was stale.
  update billing.invoices as i
  set first_payment_failed_at = least(i.first_payment_failed_at, p_event.created)
  where i.id = p_event.object_id;
end;
$$;

comment on function billing_private.record_payment_failure is
  'Handler: invoice.payment_failed. The first failure is a fact of its own, whatever state came after it.';

create function billing_private.link_invoice_payments(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  invoice constant jsonb := p_event.payload #> '{data,object}';
  link record;
begin
  -- The turns of charges and records come before those of PaymentIntents, so that no two wait for each other.
  for link in
    select * from billing_private.invoice_payment_links(invoice) as l order by l.payment_id like 'pi\_%', l.payment_id
  loop
    perform billing_private.link_payment(
      link.payment_id, invoice, p_event.object_id, link.amount_paid, invoice ->> 'currency',
      coalesce(
        to_timestamp((invoice #>> '{status_transitions,paid_at}')::double precision),
        -- Versions that told of no such moment: the first event that says it is paid.
        case when link.payment_id = p_event.object_id then p_event.created end
      )
    );
  end loop;
end;
$$;

comment on function billing_private.link_invoice_payments is
  'Handler: invoice.*. Tells the payments an invoice names that they are for it; also from a stale event, as this never changes.';

create function billing_private.project_invoice_payment(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  payment_intent constant text := billing_private.stripe_id(o #> '{payment,payment_intent}');
  charge constant text := billing_private.stripe_id(o #> '{payment,charge}');
  payment_record constant text := billing_private.stripe_id(o #> '{payment,payment_record}');
begin
  if o is null then
    return;
  end if;
  insert into billing.invoice_payments as i
    (
      id, invoice, payment_intent, charge, payment_record, amount_paid, amount_requested, currency, status, is_default, paid_at, livemode,
      created
    )
  values (
    p_event.object_id,
    billing_private.stripe_id(o -> 'invoice'),
    payment_intent,
    charge,
    payment_record,
    (o ->> 'amount_paid')::bigint,
    (o ->> 'amount_requested')::bigint,
    o ->> 'currency',
    o ->> 'status',
    (o ->> 'is_default')::boolean,
    to_timestamp((o #>> '{status_transitions,paid_at}')::double precision),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision)
  )
  on conflict (id) do update
    set
      invoice = excluded.invoice,
      payment_intent = excluded.payment_intent,
      charge = excluded.charge,
      payment_record = excluded.payment_record,
      amount_paid = excluded.amount_paid,
      amount_requested = excluded.amount_requested,
      currency = excluded.currency,
      status = excluded.status,
      is_default = excluded.is_default,
      paid_at = excluded.paid_at,
      livemode = excluded.livemode,
      created = excluded.created;

  if payment_intent is null and charge is null and payment_record is not null then
    -- No event tells of a payment record: what it was paid with, and what went back of it, is read.
    perform billing_private.enqueue_refresh_of('payment_record', payment_record, p_event);
  end if;
  perform billing_private.link_payment(
    billing_private.paying_object(o -> 'payment'),
    o,
    billing_private.stripe_id(o -> 'invoice'),
    case when o ->> 'status' = 'paid' then coalesce((o ->> 'amount_paid')::bigint, (o ->> 'amount_requested')::bigint) end,
    o ->> 'currency',
    to_timestamp((o #>> '{status_transitions,paid_at}')::double precision)
  );
end;
$$;

comment on function billing_private.project_invoice_payment is 'Handler: invoice_payment.paid.';
