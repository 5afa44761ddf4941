-- Charging new cards: what is overdue is charged to each of them once. It is asked with the event that tells of a card,
-- when a case opens, and at each check of a customer.
-- Reads: new cards, dunning facts, invoices. Writes: dunning_charges, given_cards, outbox, event_handlers.
-- Called by: projection, refreshes, update_dunning, dunning steps.

create function billing_private.obstacles_to_charges(p_fact billing_private.dunning_fact, p_now timestamptz)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  -- An address that takes no mail and an amount too small to write about keep mail back, and no charge.
  return (
    select array(
      select o.obstacle
      from unnest(billing_private.dunning_obstacles(p_fact, p_now)) as o (obstacle)
      where o.obstacle in ('dispute', 'paused_collection', 'manual', 'excluded_customer', 'payment_processing')
      order by 1
    )
  );
end;
$$;

comment on function billing_private.obstacles_to_charges is
  'What keeps a case from being charged to a new card at p_now: dispute, paused_collection, manual, excluded_customer, payment_processing. Empty: nothing does.';

create function billing_private.may_be_charged_again(p_charge billing.dunning_charges, p_now timestamptz)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(
    case p_charge.status
      when 'not_wanted' then p_charge.reason = 'replaced' or p_charge.reason like 'held: %' or p_charge.reason like 'closed: %'
      -- Not in the run right after it failed: a step waits while a charge is planned, and would wait for ever.
      when 'failed' then p_charge.reason not like 'refused: %' and p_charge.status_at <= p_now - interval '20 hours'
    end,
    false
  );
end;
$$;

comment on function billing_private.may_be_charged_again is
  'Whether a charge is to be made after all: it was held before, another card had taken its place, or it ran out of tries most of a day ago.';

create function billing_private.plan_card_charge(
  p_fact billing_private.dunning_fact, p_invoice text, p_payment_method text, p_renewal text, p_now timestamptz
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  planned billing.dunning_charges;
  effect billing.outbox;
begin
  insert into billing.dunning_charges as g (case_id, invoice, payment_method, renewal, default_payment_method, status, planned_at)
  select
    p_fact.case_id, p_invoice, p_payment_method, p_renewal,
    (select s.default_payment_method from billing.subscriptions as s where s.id = p_fact.subscription), 'planned', p_now
  on conflict (invoice, payment_method, renewal) do update
    set
      case_id = excluded.case_id, default_payment_method = excluded.default_payment_method, attempt = g.attempt + 1,
      status = 'planned', reason = null, planned_at = excluded.planned_at, status_at = null
    where billing_private.may_be_charged_again(g, p_now)
  returning * into planned;
  if planned.id is null then
    return;
  end if;
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  values (
    'stripe',
    concat_ws(':', 'pay', p_invoice, p_payment_method, nullif(p_renewal, ''), nullif(planned.attempt, 1)),
    jsonb_strip_nulls(jsonb_build_object(
      'call', 'charge_card', 'id', p_invoice, 'charge', planned.id, 'not_before', p_now, 'again', nullif(planned.attempt > 1, false)
    )),
    least(p_now, clock_timestamp()), least(p_now, clock_timestamp())
  )
  returning * into effect;
  update billing.dunning_charges as g
  set
    outbox_id = effect.id,
    -- The mode was changed at the same time.
    status = case effect.status when 'withheld' then 'failed' else g.status end,
    reason = case effect.status when 'withheld' then 'withheld' else g.reason end,
    status_at = case effect.status when 'withheld' then p_now else g.status_at end
  where g.id = planned.id;
end;
$$;

comment on function billing_private.plan_card_charge is
  'Enqueues the charge of an invoice to a new card, once per invoice and card; again only where may_be_charged_again.';

create function billing_private.charge_new_cards(p_customer text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  fact billing_private.dunning_fact;
  wanted record;
begin
  if billing_private.mode_here() <> 'live' then
    return;
  elsif not exists (
    select
    from billing.customers as u
    left join billing.subscriptions as s on s.customer = u.id
    join billing_private.given_cards as g
      on g.object_id in (u.id, u.default_payment_method, s.id, s.default_payment_method)
    where u.id = p_customer
  ) then
    return; -- no new card: the usual case
  end if;
  for fact in select f.* from billing_private.dunning_facts(array[p_customer], p_now) as f order by f.case_id loop
    for wanted in
      select i.invoice, n.payment_method, n.renewal
      from unnest(fact.invoices) with ordinality as i (invoice, position)
      cross join lateral billing_private.new_cards(i.invoice) as n
      -- By its key for each of them, however few the planner takes them for.
      where coalesce(
        (
          select billing_private.may_be_charged_again(g, p_now)
          from billing.dunning_charges as g
          where g.invoice = i.invoice and g.payment_method = n.payment_method and g.renewal = n.renewal
        ),
        true
      )
      order by i.position, n.payment_method
    loop
      exit when billing_private.obstacles_to_charges(fact, p_now) <> '{}';
      perform billing_private.plan_card_charge(fact, wanted.invoice, wanted.payment_method, wanted.renewal, p_now);
    end loop;
  end loop;
end;
$$;

comment on function billing_private.charge_new_cards is
  'Enqueues the charges of what is overdue of a customer to the new cards there are, unless something keeps them back. In mirror mode none.';

create function billing_private.charge_given_card(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if (p_event.type not in ('customer.updated', 'customer.subscription.updated') or billing_private.given_card(p_event) is not null)
    and exists (select from billing.dunning_cases as c where c.customer = p_event.customer_id and c.status = 'open')
  then
    perform billing_private.charge_new_cards(p_event.customer_id, greatest(p_event.received_at, p_event.created));
  end if;
end;
$$;

comment on function billing_private.charge_given_card is
  'Handler, after record_given_card: what is overdue is charged to a card that has just been given. Without an open case nothing happens.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, h.position, h.description
from (
  values
    ('billing_private.record_given_card', 34, 'dunning: keeps when a card was given'),
    ('billing_private.charge_given_card', 36, 'dunning: charges what is overdue to a new card')
) as h (handler, position, description)
cross join unnest(array[
  'customer.updated', 'customer.subscription.updated', 'payment_method.automatically_updated', 'payment_method.updated'
]) as t (event_type);

-- A card whose event was lost, or is late, is learnt of by the read before a step: no end goes before it is charged.
insert into billing_private.refresh_handlers (object, handler, position) values
  ('customer', 'billing_private.record_given_card', 5),
  ('customer', 'billing_private.charge_given_card', 36),
  ('subscription', 'billing_private.record_given_card', 5),
  ('subscription', 'billing_private.charge_given_card', 36);
