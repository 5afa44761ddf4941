-- Who gets what about refunds: each is told once, by the refund itself; one that failed is told too.
-- An endpoint may hear of no refund.* events: then the charge tells, after it was waited for the refund.
-- Reads: refunds, payments, invoices. Writes: outbox. Called by: projection, refreshes.

create function billing_private.refund_mail(p_refund billing.refunds)
returns billing.outbox
language plpgsql
set search_path = ''
as $$
declare
  mail billing.outbox;
begin
  select * into mail from billing.outbox as o where o.dedupe_key = 'refund:' || p_refund.id;
  if found then
    return mail;
  end if;
  -- The charge told of it, without its name.
  select *
  into mail
  from billing.outbox as o
  where o.payload ->> 'charge' = p_refund.charge
    and o.payload ->> 'template' = 'refund-issued'
    and coalesce(o.payload ->> 'refund', p_refund.id) = p_refund.id
    and (o.payload #>> '{props,refundAmount}')::bigint = p_refund.amount
    and o.status <> 'canceled'
  order by o.payload ? 'refund' desc, o.id
  limit 1;
  return mail;
end;
$$;

comment on function billing_private.refund_mail is
  'The mail that tells, or told, of a refund: its own, else one that its charge brought about, of the same amount and of no other refund. Null where there is none.';

create function billing_private.refund_props(p_payment billing.payments, p_amount bigint, p_at timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'customerName', null, 'productName', null, 'paymentMethod', null, 'invoiceNumber', null,
    'refundAmount', p_amount,
    'currency', p_payment.currency,
    'scope', case when p_amount >= p_payment.amount_received then 'full' else 'partial' end,
    'paymentAmount', p_payment.amount_received,
    'issuedAt', p_at,
    'receiptUrl', p_payment.receipt_url
  );
end;
$$;

comment on function billing_private.refund_props is 'What an email says of a refund (minor units), as emails/contract.ts has it.';

create function billing_private.refund_about(p_payment billing.payments, p_charge text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'payment', p_payment.id, 'charge', p_charge,
      'subscription', (select i.subscription from billing.invoices as i where i.id = p_payment.invoice_id)
    )
  );
end;
$$;

comment on function billing_private.refund_about is 'What an email about a refund is about: see enqueue_email_to.';

create function billing_private.withdraw_refund_mail(p_mail billing.outbox, p_refund billing.refunds, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if p_mail.dedupe_key = 'refund:' || p_refund.id and p_refund.status not in ('failed', 'canceled') then
    return false;
  end if;
  update billing.outbox as o
  set
    status = 'canceled', finished_at = p_now,
    last_error = jsonb_build_object('code', 'not_wanted', 'message', 'another mail tells what became of the refund ' || p_refund.id)
  where o.id = p_mail.id and o.status = 'pending' and o.attempts = 0;
  if not found and p_mail.id is not null then
    -- It was sent, or is being sent: from now on it belongs to this refund.
    update billing.outbox as o set payload = o.payload || jsonb_build_object('refund', p_refund.id) where o.id = p_mail.id;
    return false;
  end if;
  return true;
end;
$$;

comment on function billing_private.withdraw_refund_mail is
  'Takes back what was enqueued about a refund where the refund tells better, or has failed. Returns whether nothing tells of it now; a mail that has left cannot be taken back.';

create function billing_private.enqueue_email_of_one_refund(
  p_refund billing.refunds, p_payment billing.payments, p_event billing.stripe_events, p_to text
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  mail constant billing.outbox := billing_private.refund_mail(p_refund);
  about constant jsonb := billing_private.refund_about(p_payment, p_refund.charge)
    || jsonb_build_object('refund', p_refund.id, 'to', coalesce(p_to, mail.payload ->> 'to'));
  made_at constant timestamptz := coalesce(p_refund.created, p_event.created);
  props constant jsonb := billing_private.refund_props(p_payment, p_refund.amount, made_at);
  untold boolean;
begin
  if p_payment.customer is null and about ->> 'to' is null then
    return; -- a guest, whose address the charge has
  end if;
  untold := billing_private.withdraw_refund_mail(mail, p_refund, p_event.received_at);
  if p_refund.status not in ('failed', 'canceled') then
    if untold then
      perform billing_private.enqueue_email_to(
        p_payment.customer, made_at, 'refund-issued', 'refund:' || p_refund.id, about, props, p_event.received_at
      );
    end if;
  elsif p_refund.status = 'failed' or not untold then
    -- A refund that was canceled before a mail was sent needs none.
    perform billing_private.enqueue_email_to(
      p_payment.customer, p_event.created, 'refund-failed', 'refund-failed:' || p_refund.id, about,
      props - 'scope' || jsonb_build_object('outcome', p_refund.status), p_event.received_at
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_email_of_one_refund is
  'Owes the mail about a refund: that it was made, or that it failed. A mail of its charge''s that has not left yet gives way to it; one that has left is the refund''s from then on.';

create function billing_private.enqueue_emails_of_payment_refunds(p_payment_id text, p_event billing.stripe_events, p_to text default null)
returns void
language plpgsql
set search_path = ''
as $$
declare
  refund billing.refunds;
  payment billing.payments;
begin
  for refund in
    select *
    from billing.refunds as r
    where r.payment_id = p_payment_id
      -- One that the customer has to say more for is on its way once they have. A hold that was let go took nothing.
      and r.status in ('pending', 'succeeded', 'failed', 'canceled')
      and r.reason is distinct from 'expired_uncaptured_charge'
    order by r.created, r.id
  loop
    if payment.id is null then
      select * into payment from billing.payments as p where p.id = p_payment_id and p.amount_received > 0;
      if not found then
        return; -- whose it is, and how much was paid, is told by what is still to come
      end if;
    end if;
    perform billing_private.enqueue_email_of_one_refund(refund, payment, p_event, p_to);
  end loop;
end;
$$;

comment on function billing_private.enqueue_emails_of_payment_refunds is 'Owes the mails about the refunds of a payment that are not told of yet.';

create function billing_private.enqueue_refund_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue_emails_of_payment_refunds((select r.payment_id from billing.refunds as r where r.id = p_event.object_id), p_event);
end;
$$;

comment on function billing_private.enqueue_refund_email is 'Handler: refund.*, and charge.refund.updated. Each refund is told once, whichever of them comes first; one that failed is told too.';

create function billing_private.enqueue_missed_refund_emails(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue_emails_of_payment_refunds(
    coalesce(billing_private.stripe_id(p_event.payload #> '{data,object,payment_intent}'), p_event.object_id), p_event,
    nullif(p_event.payload #>> '{data,object,billing_details,email}', '')
  );
end;
$$;

comment on function billing_private.enqueue_missed_refund_emails is
  'Handler: of payments, where a refund was heard of before them: whom it concerns is known now.';

create function billing_private.enqueue_refund_email_of_charge(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  refunded constant bigint := (o ->> 'amount_refunded')::bigint;
  refunded_before constant bigint := (p_event.payload #>> '{data,previous_attributes,amount_refunded}')::bigint;
  fact constant text := format('refund:%s:%s:%s', p_event.object_id, refunded, extract(epoch from p_event.created)::bigint);
  payment billing.payments;
begin
  -- What this refund returned is the step the charge's sum took; without the sum before, that is not known.
  -- A hold that is let go is told of as a refund too, and nothing was ever taken.
  if coalesce(refunded <= refunded_before, true) or o -> 'captured' = 'false' then
    return;
  end if;
  select *
  into payment
  from billing.payments as p
  where p.id = coalesce(billing_private.stripe_id(o -> 'payment_intent'), p_event.object_id);
  if not found
    or (
      -- Its refunds tell of themselves. Those that failed since were in the sum of that moment.
      select coalesce(sum(r.amount), 0) from billing.refunds as r where r.payment_id = payment.id and r.charge = p_event.object_id
    ) >= refunded - greatest((o ->> 'amount')::bigint - coalesce((o ->> 'amount_captured')::bigint, (o ->> 'amount')::bigint), 0)
  then
    return;
  end if;
  perform billing_private.enqueue_email(
    p_event, 'refund-issued', fact,
    billing_private.refund_about(payment, p_event.object_id) || jsonb_build_object('to', nullif(o #>> '{billing_details,email}', '')),
    billing_private.refund_props(payment, refunded - refunded_before, p_event.created)
  );
  -- The refund itself knows more: most often it is on its way.
  update billing.outbox as w
  set run_after = w.created_at + interval '10 minutes'
  where w.dedupe_key = fact and w.status = 'pending' and w.attempts = 0;
end;
$$;

comment on function billing_private.enqueue_refund_email_of_charge is
  'Handler: charge.refunded. Tells of a refund that no event of its own has told of, after ten minutes in which one may.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, h.position, 'email: refund'
from (
  values
    (
      'billing_private.enqueue_refund_email', 40,
      array['refund.created', 'refund.updated', 'refund.failed', 'charge.refund.updated']
    ),
    (
      'billing_private.enqueue_missed_refund_emails', 40,
      array['charge.refunded', 'charge.succeeded', 'charge.captured', 'payment_intent.succeeded']
    ),
    ('billing_private.enqueue_refund_email_of_charge', 41, array['charge.refunded'])
) as h (handler, position, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('refund', 'billing_private.enqueue_refund_email', 40),
  ('payment_intent', 'billing_private.enqueue_missed_refund_emails', 40),
  ('charge', 'billing_private.enqueue_missed_refund_emails', 40);
