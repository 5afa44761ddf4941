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
create index invoices_of_no_subscription on billing.invoices (id) where subscription is null;

alter table billing.invoices enable row level security;
create policy managers_read on billing.invoices
  for select to authenticated
  using (customer = any ((select billing_private.my_customers(true))::text[]));
grant select on billing.invoices to authenticated, service_role;

create function billing_private.invoice_row(p_id text, p_invoice jsonb, p_deleted_at timestamptz)
returns billing.invoices
language plpgsql
stable
set search_path = ''
as $$
declare
  invoice billing.invoices;
  transitions constant jsonb := p_invoice -> 'status_transitions';
begin
  invoice.id := p_id;
  invoice.customer := billing_private.stripe_id(p_invoice -> 'customer');
  invoice.subscription := billing_private.invoice_subscription(p_invoice);
  invoice.number := p_invoice ->> 'number';
  invoice.status := billing_private.invoice_status(p_invoice);
  invoice.collection_method := coalesce(p_invoice ->> 'collection_method', p_invoice ->> 'billing');
  invoice.billing_reason := p_invoice ->> 'billing_reason';
  invoice.currency := p_invoice ->> 'currency';
  invoice.subtotal := (p_invoice ->> 'subtotal')::bigint;
  invoice.discount := billing_private.invoice_discount(p_invoice);
  invoice.tax := billing_private.invoice_tax(p_invoice);
  invoice.total := (p_invoice ->> 'total')::bigint;
  invoice.amount_due := (p_invoice ->> 'amount_due')::bigint;
  invoice.amount_paid := billing_private.invoice_amount_paid(p_invoice);
  invoice.amount_remaining := billing_private.invoice_amount_remaining(p_invoice);
  invoice.attempt_count := (p_invoice ->> 'attempt_count')::integer;
  invoice.attempted := (p_invoice ->> 'attempted')::boolean;
  invoice.auto_advance := (p_invoice ->> 'auto_advance')::boolean;
  invoice.next_payment_attempt := to_timestamp((p_invoice ->> 'next_payment_attempt')::double precision);
  invoice.due_date := to_timestamp((p_invoice ->> 'due_date')::double precision);
  invoice.period_start := to_timestamp((p_invoice ->> 'period_start')::double precision);
  invoice.period_end := to_timestamp((p_invoice ->> 'period_end')::double precision);
  invoice.finalized_at := to_timestamp(coalesce(transitions ->> 'finalized_at', p_invoice ->> 'finalized_at')::double precision);
  invoice.paid_at := to_timestamp((transitions ->> 'paid_at')::double precision);
  invoice.voided_at := to_timestamp((transitions ->> 'voided_at')::double precision);
  invoice.marked_uncollectible_at := to_timestamp((transitions ->> 'marked_uncollectible_at')::double precision);
  invoice.default_payment_method := billing_private.stripe_id(p_invoice -> 'default_payment_method');
  invoice.hosted_invoice_url := p_invoice ->> 'hosted_invoice_url';
  invoice.invoice_pdf := p_invoice ->> 'invoice_pdf';
  invoice.metadata := billing_private.visible_metadata(p_invoice -> 'metadata');
  invoice.livemode := (p_invoice ->> 'livemode')::boolean;
  invoice.created := to_timestamp((p_invoice ->> 'created')::double precision);
  invoice.deleted_at := p_deleted_at;
  return invoice;
end;
$$;

comment on function billing_private.invoice_row is
  'An invoice of Stripe''s as the row that shows it, without when its payment first failed (see record_payment_failure).';

create function billing_private.save_invoices(p_rows billing.invoices[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.invoices as i
  select * from unnest(p_rows)
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

comment on function billing_private.save_invoices is 'Stores invoices as they are now. Their metadata is kept before.';

create function billing_private.project_invoice(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied constant record := billing_private.apply_if_newest(p_event);
begin
  if applied.object is null then
    return;
  elsif applied.object -> 'deleted' = 'true' then
    update billing.invoices as i set deleted_at = applied.deleted_at where i.id = p_event.object_id;
    return;
  end if;
  perform billing_private.store_metadata(p_event.object_id, applied.object -> 'metadata');
  perform billing_private.save_invoices(
    array[billing_private.invoice_row(p_event.object_id, applied.object, applied.deleted_at)]
  );
end;
$$;

comment on function billing_private.project_invoice is 'Handler: invoice.*, all of which carry the invoice; not invoice.upcoming, which has no id.';

create function billing_private.project_invoices(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  ids text[] := array[]::text[];
  metadata jsonb[] := array[]::jsonb[];
  invoices billing.invoices[] := array[]::billing.invoices[];
begin
  for applied in select a.object_id as id, a.object, a.deleted_at from billing_private.apply_each_if_newest(p_events) as a loop
    if applied.object -> 'deleted' = 'true' then
      update billing.invoices as i set deleted_at = applied.deleted_at where i.id = applied.id;
    else
      ids := ids || applied.id;
      metadata := metadata || array[applied.object -> 'metadata'];
      invoices := invoices || billing_private.invoice_row(applied.id, applied.object, applied.deleted_at);
    end if;
  end loop;
  if cardinality(ids) > 0 then
    perform billing_private.keep_metadata(ids, metadata);
    perform billing_private.save_invoices(invoices);
  end if;
end;
$$;

comment on function billing_private.project_invoices is 'project_invoice for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.project_invoice', 'billing_private.project_invoices');

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
