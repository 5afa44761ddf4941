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

create function billing_private.invoice_payment_row(p_id text, p_invoice_payment jsonb)
returns billing.invoice_payments
language plpgsql
immutable
set search_path = ''
as $$
declare
  o constant jsonb := p_invoice_payment;
  link billing.invoice_payments;
begin
  link.id := p_id;
  link.invoice := billing_private.stripe_id(o -> 'invoice');
  link.payment_intent := billing_private.stripe_id(o #> '{payment,payment_intent}');
  link.charge := billing_private.stripe_id(o #> '{payment,charge}');
  link.payment_record := billing_private.stripe_id(o #> '{payment,payment_record}');
  link.amount_paid := (o ->> 'amount_paid')::bigint;
  link.amount_requested := (o ->> 'amount_requested')::bigint;
  link.currency := o ->> 'currency';
  link.status := o ->> 'status';
  link.is_default := (o ->> 'is_default')::boolean;
  link.paid_at := to_timestamp((o #>> '{status_transitions,paid_at}')::double precision);
  link.livemode := (o ->> 'livemode')::boolean;
  link.created := to_timestamp((o ->> 'created')::double precision);
  return link;
end;
$$;

comment on function billing_private.invoice_payment_row is 'An InvoicePayment of Stripe''s as the row that shows it.';

create function billing_private.save_invoice_payments(p_rows billing.invoice_payments[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.invoice_payments as i
  select * from unnest(p_rows)
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
end;
$$;

comment on function billing_private.save_invoice_payments is 'Stores which payments pay which invoices, as it is now.';

create function billing_private.record_invoice_payment(
  p_event billing.stripe_events, p_link billing.invoice_payments, p_invoice_payment jsonb
)
returns text
language plpgsql
set search_path = ''
as $$
begin
  if p_link.payment_intent is null and p_link.charge is null and p_link.payment_record is not null then
    -- No event tells of a payment record: what it was paid with, and what went back of it, is read.
    perform billing_private.enqueue_refresh_of('payment_record', p_link.payment_record, p_event);
  end if;
  return billing_private.record_payment_link(
    billing_private.paying_object(p_invoice_payment -> 'payment'),
    p_invoice_payment,
    p_link.invoice,
    case when p_link.status = 'paid' then coalesce(p_link.amount_paid, p_link.amount_requested) end,
    p_link.currency,
    p_link.paid_at
  );
end;
$$;

comment on function billing_private.record_invoice_payment is
  'What an InvoicePayment says of its payment. Returns the payment that is to be computed anew; null: none.';

create function billing_private.project_invoice_payment(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  link billing.invoice_payments;
  paid text;
begin
  if o is null then
    return;
  end if;
  link := billing_private.invoice_payment_row(p_event.object_id, o);
  perform billing_private.save_invoice_payments(array[link]);
  paid := billing_private.record_invoice_payment(p_event, link, o);
  if paid is null or not billing_private.save_payment(paid) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.project_invoice_payment is 'Handler: invoice_payment.paid.';

create function billing_private.project_invoice_payments(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  applied record;
  link billing.invoice_payments;
  links billing.invoice_payments[] := array[]::billing.invoice_payments[];
  paid text[] := array[]::text[];
begin
  for applied in select a.n, a.object_id as id, a.object from billing_private.apply_each_if_newest(p_events) as a loop
    link := billing_private.invoice_payment_row(applied.id, applied.object);
    links := links || link;
    paid := paid || billing_private.record_invoice_payment(p_events[applied.n], link, applied.object);
  end loop;
  if cardinality(links) > 0 then
    perform billing_private.save_invoice_payments(links);
    perform billing_private.save_payments(array_remove(paid, null));
  end if;
end;
$$;

comment on function billing_private.project_invoice_payments is 'project_invoice_payment for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.project_invoice_payment', 'billing_private.project_invoice_payments');
