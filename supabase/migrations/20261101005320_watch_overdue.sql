-- Watch: the handlers that open and close cases as events come in and as objects are read from Stripe.
-- Reads: the event, what is projected. Writes: dunning cases, outbox. Called by: projection, refreshes.

create function billing_private.watch_dunning(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- A test clock may be ahead of ours.
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
  overdue_from timestamptz;
begin
  if exists (select from billing.dunning_case_invoices as k where k.invoice = p_event.object_id) then
    perform billing_private.settle_dunning_cases(p_event.customer_id, moment);
    return;
  end if;
  select v.overdue_since into overdue_from from billing_private.overdue_invoices as v where v.invoice = p_event.object_id;
  if overdue_from is null then
    delete from billing_private.known_debts as d where d.invoice = p_event.object_id;
    return;
  end if;
  insert into billing_private.known_debts (invoice, known_at) values (p_event.object_id, moment) on conflict (invoice) do nothing;
  if overdue_from <= moment then
    if billing_private.open_dunning_cases(p_event.customer_id, moment) then
      perform billing_private.owe_dunning_check(p_event.customer_id, p_event.object_id, moment);
    end if;
  end if;
end;
$$;

comment on function billing_private.watch_dunning is
  'Handler: invoice.*. What is overdue opens a case and owes its first look at once, what will be is kept in mind; what was settled closes it.';

create function billing_private.watch_dunning_subscription(p_event billing.webhook_events)
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
      perform billing_private.settle_dunning_cases(known.customer, moment);
    elsif billing_private.is_settled_while_ending(known, known.outcome) then
      perform billing_private.alert_paid_while_ending(known, moment);
    end if;
  end loop;
end;
$$;

comment on function billing_private.watch_dunning_subscription is
  'Handler: customer.subscription.*. Closes the case of a subscription that has ended otherwise.';

create function billing_private.watch_dunning_customer(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if exists (select from billing.dunning_cases as c where c.customer = p_event.object_id and c.status = 'open') then
    perform billing_private.settle_dunning_cases(p_event.object_id, greatest(p_event.received_at, p_event.created));
  end if;
end;
$$;

comment on function billing_private.watch_dunning_customer is 'Handler: customer.deleted, which closes its cases.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, 35, 'dunning: opens and closes cases'
from (
  values
    (
      'billing_private.watch_dunning',
      array[
        'invoice.finalized', 'invoice.updated', 'invoice.sent', 'invoice.paid', 'invoice.payment_succeeded',
        'invoice.payment_failed', 'invoice.payment_action_required', 'invoice.overdue', 'invoice.voided',
        'invoice.marked_uncollectible', 'invoice.deleted'
      ]
    ),
    (
      'billing_private.watch_dunning_subscription',
      array['customer.subscription.updated', 'customer.subscription.deleted']
    ),
    ('billing_private.watch_dunning_customer', array['customer.deleted'])
) as h (handler, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

-- What is read from Stripe settles cases just as what Stripe reports.
insert into billing_private.refresh_handlers (object, handler, position) values
  ('invoice', 'billing_private.watch_dunning', 35),
  ('subscription', 'billing_private.watch_dunning_subscription', 35),
  ('customer', 'billing_private.watch_dunning_customer', 35);
