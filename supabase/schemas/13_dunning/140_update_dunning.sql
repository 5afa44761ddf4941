-- Watch: the handlers that open and close cases as events come in and as objects are read from Stripe.
-- Whether something is overdue follows from its invoice, its payment, its subscription and its customer: whichever becomes known last
-- opens or closes the case, so that the end is the same whatever the order.
-- Reads: the event, what is projected. Writes: dunning cases, known_debts, outbox. Called by: projection, refreshes.

create function billing_private.open_dunning_at_once(p_event billing.stripe_events, p_moment timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.open_dunning_cases(p_event.customer_id, p_moment) then
    -- A card may have been given before anybody knew of the debt.
    perform billing_private.charge_new_cards(p_event.customer_id, p_moment);
    perform billing_private.enqueue_dunning_evaluation(
      p_event.customer_id, format('%s:%s', p_event.object_id, extract(epoch from p_moment)), p_moment
    );
  end if;
end;
$$;

comment on function billing_private.open_dunning_at_once is
  'Opens the cases that an event makes, and enqueues the check that takes their first step.';

create function billing_private.enqueue_refresh_of_unknown_subscription(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue(
    'refresh', format('refresh:%s:%s', i.subscription, extract(epoch from p_event.created)::bigint),
    jsonb_strip_nulls(jsonb_build_object(
      'object', 'subscription', 'id', i.subscription, 'event', p_event.id, 'account', p_event.account
    )),
    least(p_event.received_at, clock_timestamp())
  )
  from billing.invoices as i
  where i.id = p_event.object_id
    and i.status = 'open'
    and i.deleted_at is null
    and (i.first_payment_failed_at is not null or i.attempt_count > 0 or i.due_date is not null)
    and i.subscription is not null
    and not exists (select from billing.subscriptions as s where s.id = i.subscription);
end;
$$;

comment on function billing_private.enqueue_refresh_of_unknown_subscription is
  'Enqueues a read of the subscription of an invoice that may be overdue, where no event has told of the subscription: whether the invoice is a debt, and by which policy, follows from it. Its case opens with what is read.';

create function billing_private.update_dunning_of_invoice(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- A test clock may be ahead of ours.
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
  known billing.dunning_cases;
  overdue_from timestamptz;
begin
  select c.*
  into known
  from billing.dunning_case_invoices as k
  join billing.dunning_cases as c on c.id = k.case_id
  where k.invoice = p_event.object_id;
  if known.status = 'open' then
    -- The one case it is of, and not all of the customer's: there may be hundreds.
    if not billing_private.close_dunning_case_if_over(known, moment) then
      perform billing_private.update_dunning_anchors(known.customer, array[known.id], moment);
    end if;
  end if;
  if known.id is not null then
    return;
  end if;
  select v.overdue_since into overdue_from from billing_private.overdue_invoices as v where v.invoice = p_event.object_id;
  if overdue_from is null then
    delete from billing_private.known_debts as d where d.invoice = p_event.object_id;
    perform billing_private.enqueue_refresh_of_unknown_subscription(p_event);
    return;
  end if;
  insert into billing_private.known_debts (invoice, known_at) values (p_event.object_id, moment) on conflict (invoice) do nothing;
  if overdue_from <= moment then
    perform billing_private.open_dunning_at_once(p_event, moment);
  end if;
end;
$$;

comment on function billing_private.update_dunning_of_invoice is
  'Handler: invoice.*. An overdue invoice opens a case and enqueues its first evaluation; one that will be overdue is stored in known_debts; one that is paid or voided closes its case.';

create function billing_private.update_dunning_of_payment(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  bill record;
  of_invoice billing.stripe_events := p_event;
begin
  select i.id, i.customer
  into bill
  from billing.payments as y
  join billing.invoices as i on i.id = y.invoice_id
  where y.id = coalesce(billing_private.stripe_id(p_event.payload #> '{data,object,payment_intent}'), p_event.object_id)
    and i.status = 'open'
    and i.customer = p_event.customer_id;
  if found then
    of_invoice.object_id := bill.id;
    perform billing_private.update_dunning_of_invoice(of_invoice);
  end if;
end;
$$;

comment on function billing_private.update_dunning_of_payment is
  'Handler: payment_intent.*, charge.* that tell of a failure. Opens a case about an invoice that came before them, where invoice.payment_failed is missing.';

create function billing_private.update_dunning_of_subscription(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
  known billing.dunning_cases;
begin
  for known in select * from billing.dunning_cases as c where c.subscription = p_event.object_id order by c.id loop
    if known.status = 'open' then
      if not billing_private.close_dunning_case_if_over(known, moment) then
        perform billing_private.update_dunning_anchors(known.customer, array[known.id], moment);
      end if;
    elsif billing_private.is_canceled_without_debt(known, known.outcome) then
      perform billing_private.alert_paid_while_ending(known, moment);
    end if;
  end loop;
  if exists (
    select
    from billing.invoices as i
    join billing_private.overdue_invoices as v on v.invoice = i.id
    where i.subscription = p_event.object_id
      and i.status = 'open'
      and v.overdue_since <= moment
      and not exists (select from billing.dunning_case_invoices as k where k.invoice = i.id)
  ) then
    perform billing_private.open_dunning_at_once(p_event, moment);
  end if;
end;
$$;

comment on function billing_private.update_dunning_of_subscription is
  'Handler: customer.subscription.*. Opens a case about an invoice that came before it, and closes that of a subscription that has ended otherwise.';

create function billing_private.update_dunning_of_customer(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if exists (select from billing.dunning_cases as c where c.customer = p_event.object_id and c.status = 'open') then
    perform billing_private.close_dunning_cases_if_over(p_event.object_id, greatest(p_event.received_at, p_event.created));
  end if;
end;
$$;

comment on function billing_private.update_dunning_of_customer is 'Handler: customer.deleted, which closes its cases.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, 35, 'dunning: opens and closes cases'
from (
  values
    (
      'billing_private.update_dunning_of_invoice',
      array[
        'invoice.created', 'invoice.finalized', 'invoice.updated', 'invoice.sent', 'invoice.paid', 'invoice.payment_succeeded',
        'invoice.payment_failed', 'invoice.payment_action_required', 'invoice.overdue', 'invoice.voided',
        'invoice.marked_uncollectible', 'invoice.deleted'
      ]
    ),
    (
      'billing_private.update_dunning_of_payment',
      array[
        'payment_intent.payment_failed', 'payment_intent.requires_action', 'payment_intent.canceled', 'charge.failed'
      ]
    ),
    (
      'billing_private.update_dunning_of_subscription',
      array[
        'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
        'customer.subscription.trial_will_end', 'customer.subscription.paused', 'customer.subscription.resumed',
        'customer.subscription.pending_update_applied', 'customer.subscription.pending_update_expired'
      ]
    ),
    ('billing_private.update_dunning_of_customer', array['customer.deleted'])
) as h (handler, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

-- Reads from Stripe open and close cases just as events do.
insert into billing_private.refresh_handlers (object, handler, position) values
  ('invoice', 'billing_private.update_dunning_of_invoice', 35),
  ('payment_intent', 'billing_private.update_dunning_of_payment', 35),
  ('charge', 'billing_private.update_dunning_of_payment', 35),
  ('subscription', 'billing_private.update_dunning_of_subscription', 35),
  ('customer', 'billing_private.update_dunning_of_customer', 35);
