-- Dunning ends: a case's last step is carried out at Stripe by the deliver function, which asks here before and reports after.
-- Reads: dunning facts. Writes: dunning cases and actions, outbox. Called by: the deliver and dunning functions.

create function billing_private.call_off_dunning_end(p_action billing.dunning_actions, p_note text, p_now timestamptz)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  known billing.dunning_cases;
begin
  update billing.dunning_actions as d
  set status = 'canceled', settled_at = p_now, note = p_note
  where d.id = p_action.id and d.status = 'planned';
  select * into known from billing.dunning_cases as c where c.id = p_action.case_id;
  perform billing_private.record_dunning(known, 'dunning.end_called_off', jsonb_build_object('reason', p_note), p_now);
  return jsonb_build_object('go', false, 'reason', p_note);
end;
$$;

comment on function billing_private.call_off_dunning_end is
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
  perform pg_advisory_xact_lock(hashtextextended(known.customer, 7305)); -- as lock_customer
  perform billing_private.settle_dunning_cases(known.customer, p_now);
  select * into action from billing.dunning_actions as d where d.id = p_action and d.status = 'planned';
  if not found then
    return jsonb_build_object('go', false, 'reason', 'it was called off');
  end if;
  plan := jsonb_build_object(
    'go', true, 'case', known.id, 'customer', known.customer, 'subscription', known.subscription, 'invoices', action.invoices,
    'action', (select p.end_action from billing.dunning_policies as p where p.id = known.policy_id)
  );
  if billing_private.ended_by_dunning(known) then
    return plan; -- done, and not yet reported
  end if;

  select f.*
  into fact
  from billing_private.dunning_facts(array[known.customer], p_now) as f
  where f.case_id = known.id and f.anchor_invoice = action.anchor_invoice;
  if fact.case_id is null then
    return billing_private.call_off_dunning_end(action, 'what it was about is not overdue any more', p_now);
  elsif fact.warned_at is null or p_now < fact.warned_at + interval '3 days' then
    return billing_private.call_off_dunning_end(action, 'the final warning did not arrive, or not long enough ago', p_now);
  elsif billing_private.unread_of_dunning(array[fact], p_checked) is not null then
    return jsonb_build_object('read', billing_private.unread_of_dunning(array[fact], p_checked));
  end if;
  obstacles := billing_private.dunning_obstacles(fact, p_now);
  perform billing_private.note_dunning_obstacles(fact, obstacles, p_now);
  if obstacles <> '{}' then
    return billing_private.call_off_dunning_end(action, 'held: ' || array_to_string(obstacles, ', '), p_now);
  end if;
  return plan;
end;
$$;

comment on function billing.review_dunning_end is
  'Whether a decided end is still to be carried out, asked right before it is. Returns {read: [{object, id}, …]} while something it is about is not among p_checked; {go: true, action, case, customer, subscription, invoices}; or {go: false, reason}.';

create function billing_private.owe_dunning_end_email(p_case billing.dunning_cases, p_end_action text, p_now timestamptz)
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
    perform billing_private.owe_email_to(
      p_case.customer, p_now, 'subscription-canceled',
      format('canceled:%s:%s', p_case.subscription, extract(epoch from ended_at)::bigint),
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
    perform billing_private.owe_email_to(
      p_case.customer, p_now, 'subscription-paused', 'paused-by-dunning:' || p_case.id,
      jsonb_build_object('subscription', p_case.subscription),
      jsonb_build_object('customerName', null, 'productName', null, 'reason', 'nonpayment', 'pausedAt', p_now),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.owe_dunning_end_email is 'Owes the mail that a subscription was canceled or paused for non-payment; marking invoices uncollectible is nobody''s news.';

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
  perform pg_advisory_xact_lock(hashtextextended(known.customer, 7305)); -- as lock_customer
  perform billing_private.settle_dunning_cases(known.customer, p_now);
  select * into known from billing.dunning_cases as c where c.id = known.id;
  if known.status = 'closed' then
    if known.outcome = 'recovered' and billing_private.ended_by_dunning(known) then
      perform billing_private.alert_paid_while_ending(known, p_now);
      return 'paid_while_ending';
    end if;
    return 'closed';
  end if;

  select * into policy from billing.dunning_policies as p where p.id = known.policy_id;
  if policy.end_action in ('cancel', 'pause') and not billing_private.ended_by_dunning(known) then
    return 'not_ended';
  end if;
  update billing.dunning_actions as d set status = 'done', settled_at = p_now where d.id = p_action and d.status = 'planned';
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
  perform billing_private.owe_dunning_end_email(known, policy.end_action, p_now);
  return 'ended';
end;
$$;

comment on function billing.finish_dunning_end is
  'Records that the end of a case was carried out and Stripe''s answer applied: closes the case, owes the mail. Returns ended; paid_while_ending, a person is alerted and no mail is owed; closed, it had come to another end; not_ended, Stripe does not show it.';

grant execute on function
  billing.review_dunning_end(bigint, text[], timestamptz),
  billing.finish_dunning_end(bigint, timestamptz)
to service_role;

create function billing_private.retry_on_new_card(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  previous constant jsonb := p_event.payload #> '{data,previous_attributes}';
  -- The same payment method with other data on the card is another card.
  data_of_card constant text := case p_event.type
    when 'payment_method.automatically_updated' then (
      select concat_ws('-', '', c ->> 'last4', c ->> 'exp_year', c ->> 'exp_month')
      from (select p_event.payload #> '{data,object,card}' as c) as renewed
    )
    else ''
  end;
begin
  if not coalesce(
    case p_event.type
      when 'customer.updated' then previous ? 'default_source' or previous -> 'invoice_settings' ? 'default_payment_method'
      when 'customer.subscription.updated' then previous ? 'default_payment_method' or previous ? 'default_source'
      else true
    end,
    false
  ) then
    return;
  end if;
  perform billing_private.enqueue(
    'stripe', format('pay:%s:%s%s', v.invoice, coalesce(s.default_payment_method, u.default_payment_method), data_of_card),
    jsonb_build_object('call', 'pay_invoice', 'id', v.invoice), p_event.received_at
  )
  from billing.dunning_cases as c
  join billing.dunning_case_invoices as k on k.case_id = c.id
  join billing_private.overdue_invoices as v on v.invoice = k.invoice
  join billing.invoices as i on i.id = v.invoice and i.collection_method = 'charge_automatically'
  join billing.customers as u on u.id = c.customer
  left join billing.subscriptions as s on s.id = c.subscription
  where c.status = 'open'
    and c.customer = p_event.customer_id
    -- A subscription's own card goes before the customer's.
    and case p_event.type
      when 'customer.updated' then s.default_payment_method is null and u.default_payment_method is not null
      when 'customer.subscription.updated' then c.subscription = p_event.object_id and s.default_payment_method is not null
      else coalesce(s.default_payment_method, u.default_payment_method) = p_event.object_id
    end
    and s.pause_collection is null;
end;
$$;

comment on function billing_private.retry_on_new_card is
  'Handler: customer.updated, customer.subscription.updated, payment_method.automatically_updated. A new default card, or new data of it from the bank: what is overdue is charged to it at once, once per invoice and card.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.updated', 'billing_private.retry_on_new_card', 36, 'dunning: charges what is overdue to a new card'),
  ('customer.subscription.updated', 'billing_private.retry_on_new_card', 36, 'dunning: charges what is overdue to a new card'),
  (
    'payment_method.automatically_updated', 'billing_private.retry_on_new_card', 36,
    'dunning: charges what is overdue to a card the bank has renewed'
  );

create function billing_private.tg_outbox__after_end()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_actions as d
  set
    status = case new.status when 'canceled' then 'canceled' else 'failed' end,
    settled_at = new.finished_at,
    note = new.last_error ->> 'message'
  where d.outbox_id = new.id and d.status = 'planned' and d.kind <> 'end';
  -- An end out of tries has to be decided anew.
  update billing.dunning_actions as d
  set status = 'canceled', settled_at = new.finished_at, note = new.last_error ->> 'message'
  where d.outbox_id = new.id and d.status = 'planned' and d.kind = 'end' and new.kind = 'dunning';
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_end is
  'Trigger function: a dunning mail or end that is canceled or dead is so in dunning_actions too.';

create trigger outbox_settles_dunning_actions
  after update of status on billing.outbox
  for each row
  when (new.status in ('canceled', 'dead') and old.status <> new.status and new.dedupe_key like 'dunning%')
  execute function billing_private.tg_outbox__after_end();

create function billing_private.tg_emails__after_status()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_actions as d
  set
    status = case when new.status in ('failed', 'bounced', 'complained') then 'undeliverable' else 'sent' end,
    settled_at = case when new.status in ('failed', 'bounced', 'complained') then new.status_at else coalesce(new.sent_at, new.status_at) end,
    note = case when new.status in ('failed', 'bounced', 'complained') then concat_ws(': ', new.status, new.problem) end
  where d.outbox_id = new.outbox_id
    and d.kind <> 'end'
    -- Of a case that was closed meanwhile too: it did leave.
    and d.status in ('planned', 'sent', 'canceled', 'failed');
  return null;
end;
$$;

comment on function billing_private.tg_emails__after_status is
  'Trigger function: what became of a dunning mail is so in dunning_actions too. An undeliverable one counts as not sent.';

create trigger emails_settle_dunning_actions
  after update of status on billing.emails
  for each row
  when (new.status <> 'pending' and old.status <> new.status and new.template like 'payment-failed-%')
  execute function billing_private.tg_emails__after_status();

create or replace function billing_private.dunning_access(p_subscription_id text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  newest billing.dunning_cases;
  policy billing.dunning_policies;
begin
  select * into newest from billing.dunning_cases as c where c.subscription = p_subscription_id order by c.id desc limit 1;
  if not found then
    return null;
  elsif exists (
    -- Opened before this was known. What never began, is paused or over has no access to keep.
    select
    from billing.subscriptions as s
    where s.id = p_subscription_id and newest.status = 'open' and s.status in ('incomplete', 'incomplete_expired', 'paused', 'canceled')
  ) then
    return null;
  end if;
  select * into policy from billing.dunning_policies as p where p.id = newest.policy_id;
  return case
    when newest.status = 'open' then policy.keeps_access
    when newest.outcome = 'ended' and policy.end_action = 'pause' and billing_private.ended_by_dunning(newest) then false
  end;
end;
$$;

comment on function billing_private.dunning_access is
  'What dunning says of a subscription''s access: true, kept while its case is open (grace); false, taken at once by a policy without grace, or by the pause that ended the case; null, nothing: its status decides.';
