-- A case closes with the event that pays or voids its debt, in its transaction, which also withdraws its pending mails.
-- Reads: invoices, subscriptions, customers. Writes: dunning cases, audit_events, and through the above outbox and actions.
-- Called by: update_dunning, steps, ends, card charges, dunning by hand.

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
  perform billing_private.refresh_entitlements(p_case.customer, p_now, p_is_news => true);
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
language plpgsql
set search_path = ''
as $$
begin
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
end;
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
