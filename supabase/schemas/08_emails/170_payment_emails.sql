-- Who gets what about payments: receipts, confirmations. For refunds, see refund_emails; overdue payments are dunning's.
-- Reads: the event, what is projected. Writes: outbox, audit_events. Called by: projection.

create function billing_private.receipt_mail_props(p_invoice jsonb, p_event_at timestamptz)
returns jsonb
language plpgsql
stable strict
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'customerName', nullif(p_invoice ->> 'customer_name', ''), 'productName', null, 'paymentMethod', null,
    'paidAt', coalesce(billing_private.unix_time(p_invoice #> '{status_transitions,paid_at}'), p_event_at)
  ) || billing_private.email_receipt_props(p_invoice);
end;
$$;

comment on function billing_private.receipt_mail_props is 'What the receipt of an invoice says, which an event told of at p_event_at, as emails/contract.ts has it.';

create function billing_private.has_recovery_email(p_invoice text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.dunning_case_invoices as k
    join billing.outbox as o on o.dedupe_key = 'recovered:' || k.case_id
    where k.invoice = p_invoice and o.status <> 'canceled' and o.payload ->> 'invoice' = p_invoice
  );
end;
$$;

comment on function billing_private.has_recovery_email is 'Whether the mail that a late payment has come is the receipt of an invoice.';

create function billing_private.has_receipt_email(p_event billing.stripe_events)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(billing_private.invoice_amount_paid(p_event.payload #> '{data,object}'), 0) > 0
    and not billing_private.has_recovery_email(p_event.object_id);
end;
$$;

comment on function billing_private.has_receipt_email is
  'Whether an invoice that was paid has a receipt: not one that cost nothing, nor a late payment that another mail is the receipt of.';

create function billing_private.receipt_mail_about(p_event billing.stripe_events)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'invoice', p_event.object_id,
    'subscription', billing_private.invoice_subscription(p_event.payload #> '{data,object}'),
    'to', p_event.payload #>> '{data,object,customer_email}'
  );
end;
$$;

comment on function billing_private.receipt_mail_about is 'What the receipt of an invoice is about, see enqueue_email_to.';

create function billing_private.enqueue_receipt_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.has_receipt_email(p_event) then
    perform billing_private.enqueue_email(
      p_event, 'payment-receipt', 'receipt:' || p_event.object_id, billing_private.receipt_mail_about(p_event),
      billing_private.receipt_mail_props(p_event.payload #> '{data,object}', p_event.created)
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_receipt_email is
  'Handler: invoice.paid and payment_succeeded, which tell the same. Nothing for an invoice that cost nothing, nor for a late payment that another mail is the receipt of.';

create function billing_private.enqueue_receipt_emails(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.is_email_off('payment-receipt') then
    return;
  end if;
  -- As enqueue_email does: due at once, by the clock that is behind.
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  select 'email', e.key, e.payload, e.due_at, e.due_at
  from (
    select
      'receipt:' || p.object_id as key,
      billing_private.email_payload(
        p.customer_id, p.created, 'payment-receipt', billing_private.receipt_mail_about(p),
        billing_private.receipt_mail_props(p.payload #> '{data,object}', p.created)
      ) as payload,
      least(p.received_at, clock_timestamp()) as due_at
    from unnest(p_events) as p
    where billing_private.has_receipt_email(p)
      and not exists (select from billing.outbox as o where o.dedupe_key = 'receipt:' || p.object_id)
    offset 0
  ) as e
  on conflict (dedupe_key) do nothing;
end;
$$;

comment on function billing_private.enqueue_receipt_emails is 'enqueue_receipt_email for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.enqueue_receipt_email', 'billing_private.enqueue_receipt_emails');

create function billing_private.enqueue_action_required_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if not exists (select from billing.invoices as i where i.id = p_event.object_id and i.status = 'open') then
    return;
  end if;
  perform billing_private.enqueue_email(
    p_event, 'payment-action-required', format('action-required:%s:%s', p_event.object_id, coalesce(o ->> 'attempt_count', '0')),
    jsonb_build_object(
      'invoice', p_event.object_id, 'subscription', billing_private.invoice_subscription(o), 'to', o ->> 'customer_email'
    ),
    jsonb_build_object(
      'customerName', nullif(o ->> 'customer_name', ''), 'productName', null, 'paymentMethod', null,
      'amountDue', (o ->> 'amount_remaining')::bigint,
      'currency', o ->> 'currency',
      'invoiceNumber', o ->> 'number',
      'hostedInvoiceUrl', o ->> 'hosted_invoice_url'
    )
  );
  -- Both events tell of one attempt; what the customer can do about it is this mail. A notice already sent stays sent.
  update billing.outbox as n
  set
    status = 'canceled', finished_at = p_event.received_at,
    last_error = jsonb_build_object('code', 'not_wanted', 'message', 'the customer was asked to confirm the payment instead')
  from billing.dunning_actions as d
  where d.anchor_invoice = p_event.object_id
    and d.kind = 'notice'
    and d.status = 'planned'
    and n.id = d.outbox_id
    and n.status = 'pending'
    and n.attempts = 0;
end;
$$;

comment on function billing_private.enqueue_action_required_email is
  'Handler: invoice.payment_action_required (3-D Secure), once per attempt.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('invoice.paid', 'billing_private.enqueue_receipt_email', 40, 'email: receipt'),
  ('invoice.payment_succeeded', 'billing_private.enqueue_receipt_email', 40, 'email: receipt'),
  ('invoice.payment_action_required', 'billing_private.enqueue_action_required_email', 40, 'email: payment must be confirmed');
