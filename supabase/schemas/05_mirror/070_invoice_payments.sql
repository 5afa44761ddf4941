-- Invoice payments, as in Stripe: which payment pays which invoice, and how much of it.
-- Reads: invoice.*, invoice_payment.paid. Writes: invoice_payments, and the invoice of a payment. Called by: projection, refreshes.

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

alter table billing.invoice_payments enable row level security;
create policy service_role_reads on billing.invoice_payments for select to service_role using (true);
grant select on billing.invoice_payments to service_role;

create function billing_private.link_invoice_payments(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  invoice constant jsonb := p_event.payload #> '{data,object}';
  link record;
begin
  -- The locks of charges and records come before those of PaymentIntents, so that no two wait for each other.
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

create function billing_private.project_invoice_payment(p_event billing.stripe_events)
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
