-- Seat items: which item of which subscription an owner's seats are billed by, and how it stands at Stripe.
-- Reads: customers, subscriptions, subscription_items, prices, given_cards. Writes: nothing.
-- Called by: the rest of this stage.

create function billing_private.bills_seats(p_metadata jsonb, p_recurring jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(lower(btrim(p_metadata ->> 'seats')) = 'true', false)
    -- What is metered has no quantity.
    and coalesce(p_recurring ->> 'usage_type', 'licensed') <> 'metered';
end;
$$;

comment on function billing_private.bills_seats is
  'Whether a price (its metadata and recurring) bills by seats: metadata seats = true, and not metered.';

create type billing_private.seat_item as (
  status text,
  subscription text,
  customer text,
  item text,
  price text,
  quantity bigint,
  pending_quantity bigint,
  is_sent boolean,
  is_charged boolean,
  cards text,
  own_card text,
  other_card text
);

comment on type billing_private.seat_item is
  'The item that bills an owner''s seats. status: follows, no_item, several_items, waiting; with the last three the rest may be null. pending_quantity: what a pending update would make of it. is_sent: invoices are sent, no card is charged. is_charged: Stripe may charge for a change at once. cards: the defaults there are. own_card: the subscription''s; other_card: the customer''s, where it was given later than that.';

create function billing_private.newer_card_of_customer(p_subscription text)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select c.default_payment_method
    from billing.subscriptions as s
    join billing.customers as c on c.id = s.customer
    join billing_private.given_cards as theirs
      on theirs.object_id = c.id and theirs.payment_method = c.default_payment_method and theirs.renewal = ''
    left join billing_private.given_cards as own
      on own.object_id = s.id and own.payment_method = s.default_payment_method and own.renewal = ''
    where s.id = p_subscription
      and s.default_payment_method <> c.default_payment_method
      and theirs.given_at >= coalesce(own.given_at, s.created, '-infinity')
      and not exists (
        select from billing.payment_methods as m where m.id = c.default_payment_method and m.detached_at is not null
      )
  );
end;
$$;

comment on function billing_private.newer_card_of_customer is
  'The customer''s default card, where the subscription has one of its own that was given before: Stripe charges that one, and somebody who gave a new card means the other. Null elsewhere.';

create function billing_private.seat_item_of(p_owner_id uuid)
returns billing_private.seat_item
language plpgsql
stable
set search_path = ''
as $$
declare
  found_items billing_private.seat_item[];
  following billing_private.seat_item[];
  shown billing_private.seat_item;
begin
  found_items := array(
    select row(
      case when s.status in ('active', 'trialing', 'past_due') then 'follows' else 'waiting' end,
      s.id, s.customer, i.id, i.price, i.quantity,
      (
        select (w.value ->> 'quantity')::bigint
        from jsonb_array_elements(nullif(s.pending_update -> 'subscription_items', 'null')) as w (value)
        where w.value ->> 'id' = i.id
      ),
      s.collection_method = 'send_invoice',
      -- While something is overdue no other payment is tried: it would fail too, or pay for seats before debts.
      s.status = 'active' and s.pause_collection is null,
      -- Only compared, and read by members too: a digest tells them nothing of the cards.
      md5(concat_ws('/', coalesce(s.default_payment_method, ''), coalesce(c.default_payment_method, ''), (
        select max(g.renewal)
        from billing_private.given_cards as g
        where g.object_id in (s.default_payment_method, c.default_payment_method)
      ))),
      s.default_payment_method,
      billing_private.newer_card_of_customer(s.id)
    )::billing_private.seat_item
    from billing.customers as c
    join billing.subscriptions as s on s.customer = c.id
    join billing.subscription_items as i on i.subscription = s.id
    join billing.prices as p on p.id = i.price
    where c.owner_id = p_owner_id
      and c.deleted_at is null
      and s.status not in ('canceled', 'incomplete_expired', 'incomplete')
      and billing_private.bills_seats(p.metadata, p.recurring)
    order by s.created, i.created, i.id
  );
  -- One that is paused or unpaid does not count beside one that runs.
  following := array(select f from unnest(found_items) as f where f.status = 'follows');
  if following = '{}' then
    following := found_items;
  end if;
  shown.status := 'no_item';
  if cardinality(following) = 1 then
    return following[1];
  elsif cardinality(following) > 1 then
    shown.status := 'several_items';
  end if;
  return shown;
end;
$$;

comment on function billing_private.seat_item_of is
  'The item that bills an owner''s seats, of all running subscriptions of all the owner''s customers, by all that is projected.';
