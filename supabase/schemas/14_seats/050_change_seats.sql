-- Changing seats at Stripe: asked right before the call which quantity it is, and what became of it.
-- Reads: seat items, settings, outbox. Writes: seats, outbox, audit_events. Called by: duebase-deliver; a trigger on the outbox.

create function billing_private.seats_change_params(p_item billing_private.seat_item, p_quantity bigint)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  proration text := coalesce((select s.seats_proration from billing.settings as s), 'create_prorations');
begin
  if proration = 'always_invoice' and not p_item.is_charged then
    proration := 'create_prorations';
  end if;
  return jsonb_build_object('items[0][id]', p_item.item, 'items[0][quantity]', p_quantity::text, 'proration_behavior', proration)
    -- Only together with items and proration_*, and never with invoices that are sent.
    -- https://docs.stripe.com/billing/subscriptions/pending-updates-reference
    || case when p_item.is_sent then '{}' else '{"payment_behavior": "pending_if_incomplete"}'::jsonb end;
end;
$$;

comment on function billing_private.seats_change_params is
  'What Stripe is asked for when seats change, as form fields. A subscription on trial, past due or with paused collection is not charged at once: what always_invoice would charge waits for its next invoice.';

create function billing.review_seats(p_owner_id uuid, p_checked text[])
returns jsonb
language plpgsql
stable
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
as $$
declare
  known billing.seats;
  item constant billing_private.seat_item := billing_private.seat_item_of(p_owner_id);
  wanted bigint;
begin
  select s.* into known from billing.seats as s where s.owner_id = p_owner_id;
  wanted := greatest(known.quantity, 1);
  if known.owner_id is null then
    return jsonb_build_object('go', false, 'reason', 'no_owner');
  elsif item.status <> 'follows' then
    return jsonb_build_object('go', false, 'reason', item.status);
  elsif not array[item.customer, item.subscription, item.price] <@ coalesce(p_checked, '{}') then
    -- The customer too: it has the card that is charged.
    return jsonb_build_object('read', jsonb_build_array(
      jsonb_build_object('object', 'customer', 'id', item.customer),
      jsonb_build_object('object', 'subscription', 'id', item.subscription),
      jsonb_build_object('object', 'price', 'id', item.price)
    ));
  elsif item.quantity = wanted then
    return jsonb_build_object('go', false, 'reason', 'same');
  elsif item.pending_quantity = wanted and known.tried_quantity = wanted and known.tried_cards = item.cards then
    return jsonb_build_object('go', false, 'reason', 'declined');
  end if;
  return jsonb_build_object(
    'go', true, 'subscription', item.subscription, 'item', item.item, 'quantity', wanted, 'cards', item.cards,
    'params', billing_private.seats_change_params(item, wanted),
    'card', case when not item.is_sent then item.other_card end
  );
end;
$$;

comment on function billing.review_seats is
  'Which quantity Stripe is to be given for an owner, asked right before it is: {read} names what has to be read from Stripe first and is not in p_checked; {go: false, reason} why nothing is to be done; else {go, subscription, item, quantity, params, cards, card}. card: the card to pay with where Stripe would charge an older one.';

create function billing_private.enqueue_seats_card_as_default(p_subscription text, p_card text, p_instead_of text, p_key text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_card like 'pm\_%' and p_instead_of is not null and p_instead_of <> p_card then
    perform billing_private.enqueue(
      'stripe', format('default:%s:%s:%s', p_subscription, p_card, p_key),
      jsonb_build_object(
        'call', 'set_default_payment_method', 'id', p_subscription, 'instead_of', p_instead_of,
        'params', jsonb_build_object('default_payment_method', p_card)
      ),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_seats_card_as_default is
  'Once a card has paid for seats it becomes the subscription''s default, in place of the older one that it had of its own.';

create function billing.finish_seats(
  p_owner_id uuid, p_outbox_id bigint, p_tried bigint default null, p_cards text default null, p_paid_with text default null,
  p_now timestamptz default now()
)
returns text
language plpgsql
-- Definer: see review_seats.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  before billing.seats;
  item billing_private.seat_item;
begin
  select s.* into before from billing.seats as s where s.owner_id = p_owner_id for update;
  if before.owner_id is null then
    return 'no_owner';
  end if;
  update billing.seats as s
  set
    outbox_id = case when s.outbox_id is distinct from p_outbox_id then s.outbox_id end,
    tried_quantity = coalesce(p_tried, s.tried_quantity),
    tried_cards = case when p_tried is null then s.tried_cards else p_cards end,
    -- Unless Stripe has the quantity now, or keeps the change aside, it came to nothing.
    status = case when p_tried is null then s.status else 'declined' end
  where s.owner_id = p_owner_id;
  if p_paid_with is not null then
    item := billing_private.seat_item_of(p_owner_id);
    perform billing_private.enqueue_seats_card_as_default(
      item.subscription, p_paid_with, item.own_card, p_outbox_id::text, least(p_now, clock_timestamp())
    );
  end if;
  perform billing_private.follow_seats_of(before, p_now, p_outbox_id);
  return (select s.status from billing.seats as s where s.owner_id = p_owner_id);
end;
$$;

comment on function billing.finish_seats is
  'Records what became of a change of seats at Stripe, after Stripe''s answer was applied: p_tried is the quantity that was asked for, null where nothing was asked; p_cards what review_seats named; p_paid_with the card that paid where Stripe had charged another. Returns the status of billing.seats, or no_owner.';

create function billing_private.tg_outbox__after_seats_ended()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.seats as s
  set status = 'refused', status_since = new.finished_at, tried_quantity = greatest(s.quantity, 1), outbox_id = null
  -- Rows of the outbox come before those of seats, and several at once in any order: nobody is waited for. A row that is
  -- being written is looked at again by the tick.
  where s.owner_id = (select k.owner_id from billing.seats as k where k.outbox_id = new.id for update skip locked);
  if not found then
    insert into billing_private.seat_counts (owner_id, counted_at)
    select billing_private.as_uuid(new.payload ->> 'owner_id'), new.finished_at
    where billing_private.as_uuid(new.payload ->> 'owner_id') is not null;
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_seats_ended is
  'Trigger function: a change of seats that is dead or canceled is shown in billing.seats.';

create trigger outbox_finishes_seats
  after update of status on billing.outbox
  for each row
  when (new.status in ('canceled', 'dead') and old.status <> new.status and new.dedupe_key like 'seats:%')
  execute function billing_private.tg_outbox__after_seats_ended();

grant execute on function
  billing.review_seats(uuid, text[]),
  billing.finish_seats(uuid, bigint, bigint, text, text, timestamptz)
to service_role;
