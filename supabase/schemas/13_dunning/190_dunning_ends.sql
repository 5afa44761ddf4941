-- Dunning ends: a case's last step is carried out at Stripe by duebase-deliver, which asks here before and reports after.
-- Reads: dunning facts. Writes: dunning cases and actions, outbox. Called by: duebase-deliver and duebase-dunning.

create function billing_private.cancel_dunning_end(p_action billing.dunning_actions, p_note text, p_now timestamptz)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  known billing.dunning_cases;
begin
  update billing.dunning_actions as d
  set status = 'canceled', finished_at = p_now, note = p_note
  where d.id = p_action.id and d.status = 'planned';
  select * into known from billing.dunning_cases as c where c.id = p_action.case_id;
  perform billing_private.audit_dunning_case(known, 'dunning.end_called_off', jsonb_build_object('reason', p_note), p_now);
  return jsonb_build_object('go', false, 'reason', p_note);
end;
$$;

comment on function billing_private.cancel_dunning_end is
  'Ends the attempt to end a case; it may be decided again later.';

create function billing.review_dunning_end(p_action bigint, p_checked text[] default '{}', p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  action billing.dunning_actions;
  known billing.dunning_cases;
  fact billing_private.dunning_fact;
  obstacles text[];
  plan jsonb;
begin
  select c.* into known from billing.dunning_actions as d join billing.dunning_cases as c on c.id = d.case_id where d.id = p_action;
  perform billing_private.lock_customers(array[known.customer]);
  perform billing_private.close_dunning_cases_if_over(known.customer, p_now);
  select * into action from billing.dunning_actions as d where d.id = p_action and d.status = 'planned';
  if not found then
    return jsonb_build_object('go', false, 'reason', 'the end was canceled');
  end if;
  plan := jsonb_build_object(
    'go', true, 'case', known.id, 'customer', known.customer, 'subscription', known.subscription, 'invoices', action.invoices,
    'action', (select p.end_action from billing.dunning_policies as p where p.id = known.policy_id)
  );
  if billing_private.ended_by_dunning(known) then
    return plan; -- done, and not yet reported
  elsif plan ->> 'action' = 'pause' and not billing_private.end_removes_access('pause', known.subscription) then
    return billing_private.cancel_dunning_end(action, 'the subscription has been paused meanwhile', p_now);
  end if;

  select f.*
  into fact
  from billing_private.dunning_facts(array[known.customer], p_now) as f
  where f.case_id = known.id and f.anchor_invoice = action.anchor_invoice;
  if fact.case_id is null then
    return billing_private.cancel_dunning_end(action, 'what it was about is not overdue any more', p_now);
  elsif fact.ends_at is null then
    return billing_private.cancel_dunning_end(action, 'the subscription is set to end by itself before', p_now);
  elsif not fact.is_warned or p_now < fact.ends_at then
    return billing_private.cancel_dunning_end(action, 'no final warning has arrived that still stands and names a day that has come', p_now);
  elsif billing_private.unread_of_dunning(array[fact], p_checked) is not null then
    return jsonb_build_object('read', billing_private.unread_of_dunning(array[fact], p_checked));
  end if;
  obstacles := billing_private.dunning_obstacles(fact, p_now);
  perform billing_private.record_dunning_obstacles(fact, obstacles, p_now);
  if obstacles <> '{}' then
    return billing_private.cancel_dunning_end(action, 'held: ' || array_to_string(obstacles, ', '), p_now);
  end if;
  return plan;
end;
$$;

comment on function billing.review_dunning_end is
  'Whether a decided end is still to be carried out, asked right before it is. Returns {read: [{object, id}, …]} while something it is about is not among p_checked; {go: true, action, case, customer, subscription, invoices}; or {go: false, reason}.';

create function billing_private.enqueue_dunning_end_email(p_case billing.dunning_cases, p_end_action text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  subscription billing.subscriptions;
  ended_at timestamptz;
begin
  select * into subscription from billing.subscriptions as s where s.id = p_case.subscription;
  ended_at := coalesce(subscription.ended_at, subscription.canceled_at, p_now);
  if p_end_action = 'cancel' then
    perform billing_private.enqueue_email_to(
      p_case.customer, p_now, 'subscription-canceled',
      -- A cancellation that was announced for later, and is told already, is another one.
      billing_private.cancellation_fact(
        p_case.subscription, case when subscription.canceled_at >= ended_at - interval '1 minute' then subscription.canceled_at end, ended_at
      ),
      jsonb_build_object('subscription', p_case.subscription),
      jsonb_build_object(
        'customerName', null, 'productName', null, 'reason', 'nonpayment', 'endsAt', ended_at,
        'openInvoice', (
          select jsonb_build_object('amountDue', i.amount_remaining, 'currency', i.currency, 'hostedInvoiceUrl', i.hosted_invoice_url)
          from billing.invoices as i
          where i.subscription = p_case.subscription and i.status = 'open' and i.amount_remaining > 0
            and not (select p.void_open_invoices from billing.dunning_policies as p where p.id = p_case.policy_id)
          order by i.created desc
          limit 1
        )
      ),
      p_now
    );
  elsif p_end_action = 'pause' then
    perform billing_private.enqueue_email_to(
      p_case.customer, p_now, 'subscription-paused', 'paused-by-dunning:' || p_case.id,
      jsonb_build_object(
        'subscription', p_case.subscription,
        'tells', jsonb_build_array(billing_private.pause_fact(p_case.subscription, billing_private.paused_at(subscription.status_details)))
      ),
      jsonb_build_object('customerName', null, 'productName', null, 'reason', 'nonpayment', 'pausedAt', p_now, 'unpaid', null),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_dunning_end_email is 'Owes the mail that a subscription was canceled or paused for non-payment; marking invoices uncollectible sends no mail.';

create function billing.finish_dunning_end(p_action bigint, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see review_dunning_end.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  known billing.dunning_cases;
  policy billing.dunning_policies;
begin
  select c.* into known from billing.dunning_actions as d join billing.dunning_cases as c on c.id = d.case_id where d.id = p_action;
  perform billing_private.lock_customers(array[known.customer]);
  perform billing_private.close_dunning_cases_if_over(known.customer, p_now);
  select * into known from billing.dunning_cases as c where c.id = known.id;
  if known.status = 'closed' then
    if billing_private.is_canceled_without_debt(known, known.outcome) then
      perform billing_private.alert_paid_while_ending(known, p_now);
      return 'paid_while_ending';
    end if;
    return 'closed';
  end if;

  select * into policy from billing.dunning_policies as p where p.id = known.policy_id;
  if policy.end_action in ('cancel', 'pause') and not billing_private.ended_by_dunning(known) then
    return 'not_ended';
  end if;
  update billing.dunning_actions as d set status = 'done', finished_at = p_now where d.id = p_action and d.status = 'planned';
  if policy.void_open_invoices then
    perform billing_private.enqueue(
      'stripe', format('dunning-void:%s:%s', known.id, i.id), jsonb_build_object('call', 'void_invoice', 'id', i.id),
      least(p_now, clock_timestamp())
    )
    from billing.dunning_case_invoices as k
    join billing.invoices as i on i.id = k.invoice
    where k.case_id = known.id and i.status = 'open';
  end if;
  perform billing_private.close_dunning_case(known, 'ended', p_now);
  perform billing_private.enqueue_dunning_end_email(known, policy.end_action, p_now);
  return 'ended';
end;
$$;

comment on function billing.finish_dunning_end is
  'Records that the end of a case was carried out and Stripe''s answer applied: closes the case, enqueues the mail. Returns ended; paid_while_ending, the operator is alerted and no mail is enqueued; closed, it had come to another end; not_ended, Stripe does not show it.';

grant execute on function
  billing.review_dunning_end(bigint, text[], timestamptz),
  billing.finish_dunning_end(bigint, timestamptz)
to service_role;
