-- A case opens with the event that makes something overdue, which also enqueues the evaluation that decides its first step.
-- Reads: invoices, policies. Writes: dunning cases, outbox, audit_events. Called by: watching, steps.

create function billing_private.audit_dunning_case(p_case billing.dunning_cases, p_action text, p_detail jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.audit(
    p_action, 'system', p_case.subject_id, p_case.customer, jsonb_build_object('case', p_case.id) || p_detail, p_now
  );
end;
$$;

comment on function billing_private.audit_dunning_case is 'Leaves an audit event about a case.';

create function billing_private.enqueue_dunning_evaluation(p_customer text, p_occasion text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue(
    'dunning', format('dunning:%s:%s', p_customer, p_occasion),
    jsonb_build_object('customer', p_customer, 'not_before', p_now), p_now, least(p_now, clock_timestamp())
  );
end;
$$;

comment on function billing_private.enqueue_dunning_evaluation is
  'Enqueues an evaluation of a customer''s cases: their objects are read from Stripe, then the due steps are taken. One for each occasion. not_before: the evaluation uses no earlier time, as Stripe''s may be ahead of ours (test clocks).';

create function billing_private.open_dunning_cases(p_customer text, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  found_overdue record;
  opened billing.dunning_cases;
  was_open boolean;
  has_news boolean := false;
  live_since constant timestamptz := (select s.live_since from billing.settings as s);
begin
  if billing_private.mode_here() <> 'live' then
    return false;
  end if;
  for found_overdue in
    select
      v.subject_id, v.subscription, min(v.billed_subscription) as billed, min(v.currency) as currency, min(v.overdue_since) as since, sum(v.amount_remaining)::bigint as amount,
      array_agg(v.invoice order by v.invoice) as invoices,
      (array_agg(coalesce(greatest(d.known_at, d.released_at, live_since), p_now) order by v.overdue_since, v.invoice))[1] as known_at
    from billing_private.overdue_invoices as v
    left join billing_private.known_debts as d on d.invoice = v.invoice
    where v.customer = p_customer
      and v.overdue_since <= p_now
      and not billing_private.is_old_debt(v.invoice, v.overdue_since)
      and not exists (select from billing.dunning_case_invoices as k where k.invoice = v.invoice)
    group by v.subject_id, v.subscription
    order by v.subject_id
  loop
    select * into opened from billing.dunning_cases as c where c.subject_id = found_overdue.subject_id and c.status = 'open';
    was_open := found;
    if not was_open then
      insert into billing.dunning_cases
        (subject_id, customer, subscription, currency, policy_id, status, anchor_at, ladder_from, amount_due, opened_at)
      select
        found_overdue.subject_id, p_customer, found_overdue.subscription, found_overdue.currency, p.id, 'open', found_overdue.since,
        greatest(found_overdue.since, found_overdue.known_at), found_overdue.amount, p_now
      from billing.dunning_policies as p
      where p.id = billing_private.dunning_policy_of(p_customer, found_overdue.billed)
        and found_overdue.amount >= coalesce((p.minimum_amounts ->> found_overdue.currency)::bigint, 0)
      returning * into opened;
      continue when opened.id is null; -- below the policy's minimum
      perform billing_private.audit_dunning_case(
        opened, 'dunning.opened',
        jsonb_build_object(
          'invoices', found_overdue.invoices, 'amount_due', found_overdue.amount, 'currency', found_overdue.currency,
          'overdue_since', found_overdue.since, 'policy_id', opened.policy_id
        ),
        p_now
      );
    end if;
    insert into billing.dunning_case_invoices (invoice, case_id, overdue_since, known_at, currency, amount_paid_before)
    select
      v.invoice, opened.id, v.overdue_since, coalesce(greatest(d.known_at, d.released_at, live_since), p_now), v.currency, coalesce(i.amount_paid, 0)
    from billing_private.overdue_invoices as v
    join billing.invoices as i on i.id = v.invoice
    left join billing_private.known_debts as d on d.invoice = v.invoice
    where v.invoice = any (found_overdue.invoices);
    delete from billing_private.known_debts as d where d.invoice = any (found_overdue.invoices);
    if was_open then
      -- What joins may be older than what it is about already.
      perform billing_private.update_dunning_anchors(p_customer, array[opened.id], p_now);
    end if;
    has_news := true;
  end loop;
  if has_news then
    perform billing_private.refresh_entitlements(p_customer, p_now, p_is_news => true);
  end if;
  return has_news;
end;
$$;

comment on function billing_private.open_dunning_cases is
  'Opens a case for each subject of a customer that is overdue at p_now, unless it is too little by its policy, and adds newly overdue invoices to open ones. An invoice that a case has been about already opens none, nor does an old debt, and in mirror mode none opens. Days count from no earlier than the project went live. Returns whether there was any.';
