-- A case closes with the event that pays or voids its debt, in its transaction, which also withdraws its pending mails.
-- Reads: invoices, subscriptions, customers. Writes: dunning cases and actions, outbox. Called by: watching, steps, ends.

create function billing_private.was_paused_by_end_of_case(p_case billing.dunning_cases, p_paused_at timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select coalesce(
    -- The clock by which the end was decided may be ahead of Stripe's: that of the daily run's noon, or of a test clock.
    p_paused_at between (
      select max(d.decided_at) - interval '24 hours' from billing.dunning_actions as d where d.case_id = p_case.id and d.kind = 'end'
    ) and coalesce(p_case.closed_at, 'infinity') + interval '10 minutes',
    false
  );
$$;

comment on function billing_private.was_paused_by_end_of_case is
  'Whether a subscription was paused while the end of a case was carried out: the mark of the case alone does not tell, as it stays.';

create function billing_private.ended_by_dunning(p_case billing.dunning_cases)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select
    from billing.subscriptions as s
    where s.id = p_case.subscription
      and billing_private.metadata_of(s.id) ->> 'duebase_dunning_case' = p_case.id::text
      -- The mark is put before the end is made, and stays if that is called off: a later end is the customer's own.
      and case
        when s.status = 'canceled' then coalesce(s.ended_at <= p_case.closed_at + interval '10 minutes', true)
        when p_case.resumed_at is not null then false
        when s.status = 'paused' and billing_private.was_paused_by_end_of_case(p_case, billing_private.paused_at(s.status_details)) then true
        else s.pause_collection is not null
      end
  );
$$;

comment on function billing_private.ended_by_dunning is
  'Whether Duebase canceled or paused the subscription of a case: Stripe''s record carries the case in its metadata.';

create function billing_private.recovered_amount(p_case_id bigint)
returns bigint
language sql
stable
set search_path = ''
as $$
  -- Stripe also calls an invoice paid where a credit note, a balance or credits covered it; only amount_paid is money.
  select coalesce(sum(greatest(i.amount_paid - k.amount_paid_before, 0)), 0)::bigint
  from billing.dunning_case_invoices as k
  join billing.invoices as i on i.id = k.invoice
  where k.case_id = p_case_id;
$$;

comment on function billing_private.recovered_amount is
  'The money that has come for the invoices of a case since they joined it, minor units of its currency.';

create function billing_private.is_paused_for_nonpayment(p_subscription text)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select
    from billing.subscriptions as s
    left join billing.dunning_cases as c on c.subscription = s.id and c.id::text = billing_private.metadata_of(s.id) ->> 'duebase_dunning_case'
    where s.id = p_subscription
      and (
        (s.status = 'paused' and billing_private.pause_cause(s.status_details) in ('first_payment_failure', 'final_payment_failure'))
        or (s.status <> 'canceled' and billing_private.ended_by_dunning(c))
      )
  );
$$;

comment on function billing_private.is_paused_for_nonpayment is
  'Whether a subscription is paused because it was not paid: paused by Stripe after a failed payment, or by the end of a dunning case. Only such a pause is ours to end.';

create function billing_private.is_canceled_without_debt(p_case billing.dunning_cases, p_outcome text)
returns boolean
language sql
stable
set search_path = ''
as $$
  select p_outcome in ('recovered', 'settled_without_payment', 'voided')
    and billing_private.ended_by_dunning(p_case)
    -- What was paused goes on by itself, as it is paid.
    and exists (select from billing.subscriptions as s where s.id = p_case.subscription and s.status = 'canceled');
$$;

comment on function billing_private.is_canceled_without_debt is
  'Whether Duebase canceled the subscription of a case of which nothing is unpaid any more.';

create function billing_private.dunning_outcome(p_case billing.dunning_cases)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  invoices record;
  is_ending constant boolean := exists (
    select from billing.dunning_actions as d where d.case_id = p_case.id and d.kind = 'end' and d.status = 'planned'
  );
begin
  select
    bool_or(not u.is_of_declined_update) as any_open,
    bool_or(u.is_of_declined_update) as any_declined,
    bool_or(i.status = 'paid') as any_paid,
    bool_or(i.status = 'uncollectible') as any_uncollectible
  into invoices
  from billing.dunning_case_invoices as k
  join billing.invoices as i on i.id = k.invoice
  left join billing_private.unpaid_invoices as u on u.invoice = i.id
  where k.case_id = p_case.id;

  if invoices.any_open then
    return case
      when exists (select from billing.customers as c where c.id = p_case.customer and c.deleted_at is not null) then 'customer_deleted'
      -- finish_dunning_end closes a case that Duebase ends itself.
      when is_ending and billing_private.ended_by_dunning(p_case) then null
      when exists (
        select from billing.subscriptions as s where s.id = p_case.subscription and s.status in ('canceled', 'incomplete_expired')
      ) then 'subscription_ended'
    end;
  elsif invoices.any_paid and billing_private.recovered_amount(p_case.id) > 0 then
    return 'recovered';
  elsif invoices.any_uncollectible then
    return case
      when not is_ending
        or (select p.end_action from billing.dunning_policies as p where p.id = p_case.policy_id) <> 'mark_uncollectible'
      then 'uncollectible'
    end;
  elsif invoices.any_paid then
    return 'settled_without_payment';
  elsif invoices.any_declined then
    return 'not_owed';
  end if;
  return 'voided';
end;
$$;

comment on function billing_private.dunning_outcome is 'How a case has come to its end by what is known of its invoices, subscription and customer; null while it goes on.';

create function billing_private.withdraw_dunning_mail(p_case_id bigint, p_reason text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  withdrawn bigint[];
begin
  -- Locked: a worker that is about to begin one waits, and then finds it canceled.
  with pending as (
    select o.id
    from billing.dunning_actions as d
    join billing.outbox as o on o.id = d.outbox_id
    where d.case_id = p_case_id and d.status = 'planned' and d.kind <> 'end'
    order by o.id
    for update of o
  ),
  canceled as (
    update billing.outbox as o
    set
      status = 'canceled', claim_id = null, locked_until = null, finished_at = p_now,
      last_error = jsonb_build_object('code', 'not_wanted', 'message', p_reason)
    from pending as p
    where o.id = p.id
      and (
        o.status = 'pending'
        -- Once an attempt has begun the mail may have left, and its worker must be able to say so.
        or (o.status = 'claimed' and not exists (select from billing.emails as e where e.outbox_id = o.id and e.unknown_since is not null))
      )
    returning o.id
  )
  select array_agg(c.id) into withdrawn from canceled as c;
  -- An end under way finds this out before it acts.
  update billing.dunning_actions as d
  set status = 'canceled', finished_at = p_now, note = p_reason
  where d.case_id = p_case_id and d.kind = 'end' and d.status = 'planned';

  -- A mail that told of other cases too is written anew for those.
  perform billing_private.enqueue_dunning_evaluation(m.customer, 'withdrawn:' || m.outbox_id, p_now)
  from (
    select distinct c.customer, d.outbox_id
    from billing.dunning_actions as d
    join billing.dunning_cases as c on c.id = d.case_id and c.status = 'open'
    where d.outbox_id = any (withdrawn) and d.case_id <> p_case_id and d.status = 'canceled'
  ) as m;
end;
$$;

comment on function billing_private.withdraw_dunning_mail is
  'Cancels what a case still owes, unless it may have left already. The actions follow by the outbox''s trigger.';

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
    jsonb_build_object('subscription', p_case.subscription, 'invoice', invoice.id, 'after_failure_mail_of', p_case.id),
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
language sql
stable
set search_path = ''
as $$
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
    );
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

create function billing_private.close_dunning_case(p_case billing.dunning_cases, p_outcome text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  recovered constant bigint := billing_private.recovered_amount(p_case.id);
  had_mail boolean;
  is_paused constant boolean := billing_private.ended_by_dunning(p_case);
  was_ending constant boolean := exists (
    select from billing.dunning_actions as d where d.case_id = p_case.id and d.kind = 'end' and d.status = 'planned'
  );
begin
  update billing.dunning_cases as c
  set status = 'closed', outcome = p_outcome, closed_at = p_now, amount_recovered = recovered, holds = '{}'
  where c.id = p_case.id;
  had_mail := exists (
    select from billing.dunning_actions as d where d.case_id = p_case.id and d.kind <> 'end' and d.status in ('planned', 'sent')
  );
  perform billing_private.withdraw_dunning_mail(p_case.id, 'the case was closed: ' || p_outcome, p_now);
  if billing_private.is_canceled_without_debt(p_case, p_outcome) then
    perform billing_private.alert_paid_while_ending(p_case, p_now);
  elsif p_outcome = 'recovered' and had_mail and (is_paused or not billing_private.is_resumption_email_expected(p_case)) then
    perform billing_private.enqueue_recovery_email(p_case, p_now);
    if was_ending or is_paused then
      -- The end may be running at Stripe right now; the worker that finishes it withdraws this mail. What it has
      -- paused already is resumed now, and the mail waits to tell that too (see record_end_of_pause).
      update billing.outbox as o
      set run_after = o.run_after + case when is_paused then interval '90 minutes' else interval '5 minutes' end
      where o.dedupe_key = 'recovered:' || p_case.id and o.status = 'pending';
    end if;
  end if;
  perform billing_private.audit_dunning_case(
    p_case, 'dunning.closed', jsonb_build_object('outcome', p_outcome, 'amount_recovered', recovered, 'currency', p_case.currency), p_now
  );
  perform billing_private.refresh_entitlements(p_case.customer, p_now);
end;
$$;

comment on function billing_private.close_dunning_case is
  'Closes a case: its pending mail is canceled with it, and a customer who was told of the failure is told of the recovery.';

create function billing_private.turn_case_into_final_bill(p_case billing.dunning_cases, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  final_bills text[];
  left_behind boolean;
begin
  select
    array_agg(k.invoice order by k.overdue_since, k.invoice) filter (where v.subject_id = k.invoice),
    coalesce(bool_or(v.subject_id is distinct from k.invoice), false)
  into final_bills, left_behind
  from billing.dunning_case_invoices as k
  left join billing_private.overdue_invoices as v on v.invoice = k.invoice
  where k.case_id = p_case.id;
  if p_case.subscription is null or final_bills is null then
    return false;
  end if;
  -- A final invoice that was heard of before the end is a debt of its own; what else there was is left behind.
  delete from billing.dunning_case_invoices as k
  where k.case_id = p_case.id and k.invoice = any (case when left_behind then final_bills else final_bills[2:] end);
  if left_behind then
    return false;
  end if;
  update billing.dunning_cases as c set subject_id = final_bills[1], subscription = null where c.id = p_case.id;
  perform billing_private.audit_dunning_case(p_case, 'dunning.subscription_ended', jsonb_build_object('goes_on_about', final_bills[1]), p_now);
  return true;
end;
$$;

comment on function billing_private.turn_case_into_final_bill is
  'Of a case whose subscription has ended: makes it one about the final invoice, where that is all it is about. False: it is over; a final invoice among others may open a case of its own.';

create function billing_private.close_dunning_case_if_over(p_case billing.dunning_cases, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  outcome constant text := billing_private.dunning_outcome(p_case);
begin
  if outcome is null or (outcome = 'subscription_ended' and billing_private.turn_case_into_final_bill(p_case, p_now)) then
    return false;
  end if;
  perform billing_private.close_dunning_case(p_case, outcome, p_now);
  -- Should its subscription become past_due after all, it is a debt, and may open a case then.
  delete from billing.dunning_case_invoices as k
  using billing_private.unpaid_invoices as u
  where k.case_id = p_case.id and u.invoice = k.invoice and u.is_of_declined_update;
  return true;
end;
$$;

comment on function billing_private.close_dunning_case_if_over is
  'Closes an open case that has come to its end by what is known. Returns whether it was.';

create function billing_private.update_dunning_anchors(p_customer text, p_cases bigint[], p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  update billing.dunning_cases as c
  set anchor_at = o.anchor_at, ladder_from = o.ladder_from, amount_due = greatest(c.amount_due, o.amount)
  from (
    select
      k.case_id,
      min(v.overdue_since) as anchor_at,
      (array_agg(greatest(v.overdue_since, k.known_at) order by v.overdue_since, v.invoice))[1] as ladder_from,
      sum(v.amount_remaining)::bigint as amount
    from billing_private.overdue_invoices as v
    join billing.dunning_case_invoices as k on k.invoice = v.invoice
    where v.customer = p_customer and k.case_id = any (p_cases) and v.overdue_since <= p_now
    group by k.case_id
  ) as o
  where c.id = o.case_id
    and c.status = 'open'
    and ((c.anchor_at, c.ladder_from) <> (o.anchor_at, o.ladder_from) or c.amount_due < o.amount);
$$;

comment on function billing_private.update_dunning_anchors is
  'Brings the anchor and the most that was overdue of some open cases up to date.';

create function billing_private.close_dunning_cases_if_over(p_customer text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  known billing.dunning_cases;
  closed integer := 0;
begin
  -- What is overdue still goes on: only the others are asked for their outcome, as there may be hundreds.
  for known in
    with overdue as materialized (
      select k.case_id
      from billing_private.overdue_invoices as v
      join billing.dunning_case_invoices as k on k.invoice = v.invoice
      -- A final invoice in the case of the subscription that has ended keeps it from its end no longer.
      join billing.dunning_cases as o on o.id = k.case_id and o.subject_id = v.subject_id
      where v.customer = p_customer
    )
    select *
    from billing.dunning_cases as c
    where c.customer = p_customer and c.status = 'open' and c.id not in (select o.case_id from overdue as o)
    order by c.id
  loop
    closed := closed + billing_private.close_dunning_case_if_over(known, p_now)::integer;
  end loop;
  perform billing_private.update_dunning_anchors(
    p_customer, array(select c.id from billing.dunning_cases as c where c.customer = p_customer and c.status = 'open'), p_now
  );
  return closed;
end;
$$;

comment on function billing_private.close_dunning_cases_if_over is
  'Closes the cases of a customer that have come to their end by what is known, and brings the others'' anchor up to date. Returns how many were closed.';
