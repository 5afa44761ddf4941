-- The end of a pause: the handlers that see that what was paused goes on, or may go on.
-- Reads: the event, subscriptions, dunning cases. Writes: dunning_cases, outbox, audit_events, and through the above
-- dunning_resumptions. Called by: projection, refreshes; carry_out_resumptions.

create function billing_private.record_end_of_pause(p_case billing.dunning_cases, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  resumed billing.subscriptions;
begin
  update billing.dunning_cases as c set resumed_at = p_now where c.id = p_case.id and c.resumed_at is null;
  if not found then
    return;
  end if;
  perform billing_private.audit_dunning_case(p_case, 'dunning.resumed', '{}', p_now);
  perform billing_private.refresh_entitlements(p_case.customer, p_now);
  if p_case.outcome = 'recovered' then
    -- Paid before anybody was told of the pause.
    perform billing_private.enqueue_recovery_email(p_case, p_now);
    update billing.outbox as o
    set run_after = least(o.run_after, p_now, clock_timestamp())
    where o.dedupe_key = 'recovered:' || p_case.id and o.status = 'pending';
    return;
  end if;
  select * into resumed from billing.subscriptions as s where s.id = p_case.subscription;
  perform billing_private.enqueue_email_to(
    p_case.customer, p_now, 'subscription-resumed', 'resumed-by-payment:' || p_case.id,
    jsonb_build_object('subscription', resumed.id, 'tells', to_jsonb(billing_private.resumption_facts(resumed.id, p_now))),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'resumedAt', p_now, 'nextPaymentAt', resumed.current_period_end, 'price', billing_private.email_price_of_newest_event(resumed.id, p_now)
    ),
    p_now
  );
end;
$$;

comment on function billing_private.record_end_of_pause is
  'Notes that the pause which ended a case is over, and enqueues the one mail that says so.';

create function billing_private.update_dunning_pause(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  shown billing.subscriptions;
  known billing.dunning_cases;
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
begin
  select * into shown from billing.subscriptions as s where s.id = p_event.object_id;
  select c.*
  into known
  from billing.dunning_cases as c
  join billing.dunning_policies as p on p.id = c.policy_id and p.end_action = 'pause'
  where c.subscription = p_event.object_id
    and c.id::text = billing_private.metadata_of(shown.id) ->> 'duebase_dunning_case'
    and c.status = 'closed'
    and c.resumed_at is null
    and (
      c.outcome = 'recovered' -- paid while it was being paused
      or exists (select from billing.dunning_actions as d where d.case_id = c.id and d.kind = 'end' and d.status = 'done')
    );
  if known.id is not null
    and shown.status in ('active', 'trialing', 'past_due', 'unpaid')
    and shown.pause_collection is null
    -- An event of the minutes of the pause itself may tell of the time before it.
    and (p_event.type = 'customer.subscription.resumed' or p_event.created > known.closed_at + interval '5 minutes')
  then
    perform billing_private.record_end_of_pause(known, moment);
  end if;
  perform billing_private.plan_resumption(p_event.object_id, moment);
end;
$$;

comment on function billing_private.update_dunning_pause is
  'Handler: customer.subscription.*. Notes where what dunning paused goes on, whoever resumed it; plans to resume what was paid before the pause was heard of.';

create function billing_private.plan_resumption_of_invoice(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  billed constant text := billing_private.invoice_subscription(p_event.payload #> '{data,object}');
begin
  if billed is not null then
    perform billing_private.plan_resumption(billed, greatest(p_event.received_at, p_event.created));
  end if;
end;
$$;

comment on function billing_private.plan_resumption_of_invoice is 'Handler: invoice.*, where one is paid, voided or written off. Plans to resume the subscription it bills, if that was paused because of it.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, 37, 'dunning: resumes what was paused and is paid'
from (
  values
    ('billing_private.plan_resumption_of_invoice', array['invoice.paid', 'invoice.payment_succeeded', 'invoice.updated', 'invoice.voided', 'invoice.marked_uncollectible']),
    (
      'billing_private.update_dunning_pause',
      array['customer.subscription.updated', 'customer.subscription.paused', 'customer.subscription.resumed']
    )
) as h (handler, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('invoice', 'billing_private.plan_resumption_of_invoice', 37),
  ('subscription', 'billing_private.update_dunning_pause', 37);
