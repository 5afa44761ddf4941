-- Invoices, as in Stripe.
-- Reads: invoice.*. Writes: invoices, object_metadata. Called by: projection, refreshes.

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

alter table billing.invoices enable row level security;
create policy managers_read on billing.invoices
  for select to authenticated
  using (customer = any ((select billing_private.my_customers(true))::text[]));
grant select on billing.invoices to authenticated, service_role;

create function billing_private.project_invoice(p_event billing.stripe_events)
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

create function billing_private.record_payment_failure(p_event billing.stripe_events)
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
