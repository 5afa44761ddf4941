-- Recovery emails: the mail that a late payment has come, instead of its receipt, and what to say where it came too late.
-- Reads: invoices, subscriptions, dunning_actions, emails, webhook_events, settings. Writes: outbox.
-- Called by: closing, ends, resuming, write_emails.

create function billing_private.withdraw_receipt(p_invoice text, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  update billing.outbox as o
  set
    status = 'canceled', finished_at = p_now,
    last_error = jsonb_build_object('code', 'not_wanted', 'message', 'the mail that a late payment has come is its receipt too')
  where o.dedupe_key = 'receipt:' || p_invoice and o.status = 'pending' and o.attempts = 0;
  return not exists (select from billing.outbox as o where o.dedupe_key = 'receipt:' || p_invoice and o.status <> 'canceled');
end;
$$;

comment on function billing_private.withdraw_receipt is
  'Takes back the receipt of an invoice that another mail tells of. Returns whether none has left: one that has cannot be taken back.';

create function billing_private.enqueue_recovery_email(p_case billing.dunning_cases, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  invoice billing.invoices;
begin
  -- Of several invoices one whose payment no receipt has told of.
  select i.*
  into invoice
  from billing.dunning_case_invoices as k
  join billing.invoices as i on i.id = k.invoice
  left join billing.outbox as r on r.dedupe_key = 'receipt:' || i.id and r.status <> 'canceled'
  where k.case_id = p_case.id and i.status = 'paid'
  order by i.amount_paid > 0 desc, r.id is not null and r.status <> 'pending', i.paid_at desc nulls last, i.id
  limit 1;
  if exists (select from billing.outbox as o where o.dedupe_key = 'recovered:' || p_case.id)
    or 'payment-recovered' = any ((select s.emails_off from billing.settings as s)::text[])
    or not billing_private.withdraw_receipt(invoice.id, p_now)
  then
    return;
  end if;
  perform billing_private.enqueue_email_to(
    p_case.customer, p_now, 'payment-recovered', 'recovered:' || p_case.id,
    jsonb_build_object(
      'subscription', p_case.subscription, 'invoice', invoice.id, 'after_failure_mail_of', p_case.id,
      'tells', jsonb_build_array('receipt:' || invoice.id)
    ),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'amountPaid', invoice.amount_paid,
      'currency', invoice.currency,
      'paidAt', coalesce(invoice.paid_at, p_now),
      'invoiceNumber', invoice.number,
      'hostedInvoiceUrl', invoice.hosted_invoice_url,
      'invoicePdf', invoice.invoice_pdf,
      -- Nothing goes on where nothing was subscribed to, or is any more.
      'leaving', not exists (
        select from billing.subscriptions as s where s.id = p_case.subscription and not billing_private.is_canceled_for_later(s)
      )
    ) || billing_private.invoice_parties(billing_private.invoice_of_newest_event(invoice.id)),
    p_now
  );
end;
$$;

comment on function billing_private.enqueue_recovery_email is
  'Owes the mail that a payment has come through after all, which is its receipt too: no other is sent. Without a mail about the failure it leaves as a receipt (see prepare_email).';

create function billing_private.is_resumption_email_expected(p_case billing.dunning_cases)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select billing_private.is_paused_for_nonpayment(p_case.subscription)
      or exists (
        select
        from billing.webhook_events as e
        where e.object_id = p_case.subscription
          and e.type = 'customer.subscription.resumed'
          and e.created >= (
            select max(i.paid_at)
            from billing.dunning_case_invoices as k
            join billing.invoices as i on i.id = k.invoice
            where k.case_id = p_case.id
          )
      )
  );
end;
$$;

comment on function billing_private.is_resumption_email_expected is
  'Whether a mail says, or has said since, that the subscription of a case is active again: one mail tells of a payment, not two.';

create function billing_private.failure_mail_state(p_case_id bigint, p_now timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  if exists (select from billing.dunning_actions as d where d.case_id = p_case_id and d.kind <> 'end' and d.status = 'sent') then
    return 'sent';
  elsif exists (
    select
    from billing.dunning_actions as d
    left join billing.emails as e on e.outbox_id = d.outbox_id
    where d.case_id = p_case_id
      and d.kind <> 'end'
      -- Under way, or of an attempt whose outcome Resend's report may still tell.
      and (d.status = 'planned' or e.unknown_since > p_now - interval '15 minutes')
  ) then
    return 'unknown';
  end if;
  return 'none';
end;
$$;

comment on function billing_private.failure_mail_state is
  'Whether a customer was told of the failure a case is about: sent; none; unknown, a mail is under way, or was a moment ago.';

create function billing_private.alert_paid_while_ending(p_case billing.dunning_cases, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue(
    'alert', 'alert:paid_while_ending:' || p_case.id,
    jsonb_build_object(
      'cause', 'paid_while_ending', 'case', p_case.id, 'customer', p_case.customer, 'subscription', p_case.subscription
    ),
    p_now, least(p_now, clock_timestamp())
  );
  update billing.outbox as o
  set
    status = 'canceled', finished_at = p_now,
    last_error = jsonb_build_object('code', 'not_wanted', 'message', 'the subscription was ended in the same moment')
  where o.dedupe_key = 'recovered:' || p_case.id
    and o.status = 'pending'
    -- What was paid has its receipt all the same.
    and billing_private.turn_into_receipt(o) is null;
end;
$$;

comment on function billing_private.alert_paid_while_ending is
  'Enqueues the alert that a debt was paid while the subscription was being ended, once for each case, and withdraws the recovery mail.';
