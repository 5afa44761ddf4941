-- Card charges: asked once more right before the call at Stripe, and what became of it.
-- Reads: dunning cases, invoices. Writes: dunning_charges, outbox, audit_events. Called by: duebase-deliver, projection.

create function billing.review_card_charge(p_charge bigint, p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  charge billing.dunning_charges;
  known billing.dunning_cases;
  obstacles text[];
  reason text;
begin
  select c.*
  into known
  from billing.dunning_charges as g
  join billing.dunning_cases as c on c.id = g.case_id
  where g.id = p_charge;
  perform billing_private.lock_customers(array[known.customer]);
  perform billing_private.close_dunning_cases_if_over(known.customer, p_now);
  select * into charge from billing.dunning_charges as g where g.id = p_charge;
  select * into known from billing.dunning_cases as c where c.id = charge.case_id;
  select billing_private.obstacles_to_charges(f, p_now)
  into obstacles
  from billing_private.dunning_facts(array[known.customer], p_now) as f
  where f.case_id = known.id;
  reason := case
    when charge.status not in ('planned', 'failed') then charge.status
    when known.status = 'closed' then 'closed: ' || known.outcome
    when obstacles <> '{}' then 'held: ' || array_to_string(obstacles, ', ')
    when not exists (select from billing_private.overdue_invoices as v where v.invoice = charge.invoice) then 'not_overdue'
    when not exists (
      select
      from billing_private.new_cards(charge.invoice) as n
      where n.payment_method = charge.payment_method and n.renewal = charge.renewal
    )
    then 'replaced'
  end;
  return jsonb_build_object(
    'go', reason is null, 'reason', reason, 'invoice', charge.invoice, 'payment_method', charge.payment_method
  );
end;
$$;

comment on function billing.review_card_charge is
  'Whether an invoice is still to be charged to a new card, asked right before it is. Returns {go, reason, invoice, payment_method}; reason says why not.';

create function billing_private.enqueue_paid_card_as_default(p_charge billing.dunning_charges, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue(
    'stripe', format('default:%s:%s:%s', c.subscription, p_charge.payment_method, p_charge.id),
    jsonb_build_object(
      'call', 'set_default_payment_method', 'id', c.subscription, 'instead_of', p_charge.default_payment_method,
      'params', case
        when p_charge.payment_method like 'pm\_%' then jsonb_build_object('default_payment_method', p_charge.payment_method)
        -- A source has a field of its own, before which a payment method would go.
        else jsonb_build_object('default_source', p_charge.payment_method, 'default_payment_method', '')
      end
    ),
    least(p_now, clock_timestamp())
  )
  from billing.dunning_cases as c
  where c.id = p_charge.case_id
    and c.subscription is not null
    -- Without a default of its own it goes on with the customer's, which is this card.
    and p_charge.default_payment_method <> p_charge.payment_method;
end;
$$;

comment on function billing_private.enqueue_paid_card_as_default is
  'Once a card has paid it becomes the subscription''s default, in place of the one it had of its own when the charge was planned.';

create function billing.finish_card_charge(
  p_charge bigint, p_status text, p_reason text default null, p_now timestamptz default now()
)
returns boolean
language plpgsql
-- Definer: see review_card_charge.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  charge billing.dunning_charges;
  known billing.dunning_cases;
begin
  select c.*
  into known
  from billing.dunning_charges as g
  join billing.dunning_cases as c on c.id = g.case_id
  where g.id = p_charge;
  perform billing_private.lock_customers(array[known.customer]);
  update billing.dunning_charges as g
  set status = p_status, reason = p_reason, status_at = p_now
  where g.id = p_charge and g.status in ('planned', 'processing', 'failed')
  returning * into charge;
  if charge.id is null then
    return false;
  end if;
  perform billing_private.audit_dunning_case(
    known, 'dunning.card_charged', jsonb_build_object('invoice', charge.invoice, 'status', p_status, 'reason', p_reason), p_now
  );
  if p_status = 'paid' then
    perform billing_private.enqueue_paid_card_as_default(charge, p_now);
  elsif exists (select from billing.dunning_cases as c where c.id = charge.case_id and c.status = 'open') then
    -- A step may have waited for it.
    perform billing_private.enqueue_dunning_evaluation(known.customer, format('charged:%s:%s', charge.id, charge.attempt), p_now);
  end if;
  return true;
end;
$$;

comment on function billing.finish_card_charge is
  'Records what became of a charge to a new card: paid, processing, declined, needs_confirmation, not_wanted. Paid, the card is made the subscription''s default; else the customer''s cases are checked, as a step may have waited. False: that was recorded before.';

create function billing_private.finish_card_charges_of_invoice(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
  charge billing.dunning_charges;
begin
  for charge in
    select * from billing.dunning_charges as g where g.invoice = p_event.object_id and g.status = 'processing' order by g.id
  loop
    if exists (select from billing.invoices as i where i.id = charge.invoice and i.status = 'paid') then
      perform billing.finish_card_charge(charge.id, 'paid', null, moment);
    elsif p_event.type = 'invoice.payment_failed' and p_event.created >= charge.planned_at then
      perform billing.finish_card_charge(charge.id, 'declined', null, moment);
    end if;
  end loop;
end;
$$;

comment on function billing_private.finish_card_charges_of_invoice is
  'Handler: invoice.paid, payment_succeeded, payment_failed, and reads. What became of a charge that took days.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, 'billing_private.finish_card_charges_of_invoice', 37, 'dunning: what became of a charge to a new card'
from unnest(array['invoice.paid', 'invoice.payment_succeeded', 'invoice.payment_failed']) as t (event_type);
insert into billing_private.refresh_handlers (object, handler, position) values ('invoice', 'billing_private.finish_card_charges_of_invoice', 37);

create function billing_private.tg_outbox__after_charge_ended()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_charges as g
  set
    status = 'failed', status_at = new.finished_at,
    -- What a person has canceled is not made again either.
    reason = case when new.status = 'canceled' or billing_private.was_refused(new) then 'refused: ' else '' end
      || coalesce(new.last_error ->> 'code', new.status)
  where g.outbox_id = new.id and g.status = 'planned';
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_charge_ended is
  'Trigger function: a charge whose effect is dead, canceled or withheld holds no step any more.';

create trigger outbox_finishes_dunning_charges
  after update of status on billing.outbox
  for each row
  when (new.status in ('canceled', 'dead', 'withheld') and old.status <> new.status and new.dedupe_key like 'pay:%')
  execute function billing_private.tg_outbox__after_charge_ended();

create function billing_private.declined_new_card(p_cases bigint[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select case
      when g.status = 'declined' then jsonb_build_object('type', coalesce(m.type, 'other'), 'brand', m.card_brand, 'last4', m.card_last4)
    end
    from billing.dunning_charges as g
    left join billing.payment_methods as m on m.id = g.payment_method
    where g.case_id = any (p_cases) and g.status <> 'not_wanted'
    order by g.id desc
    limit 1
  );
end;
$$;

comment on function billing_private.declined_new_card is
  'The card that was given last about some cases, where it was declined, as emails name a payment method; null where none was.';

grant execute on function
  billing.review_card_charge(bigint, timestamptz),
  billing.finish_card_charge(bigint, text, text, timestamptz)
to service_role;
