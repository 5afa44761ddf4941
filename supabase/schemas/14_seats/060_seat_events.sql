-- News of seats: what Stripe tells of subscriptions, prices and cards, and whose a customer is, may change how seats
-- stand. Handlers only note whose seats to look at; the tick looks. So no projection waits for a row of billing.seats.
-- Reads: the event, customers, seats. Writes: seat_counts, seat_prices, event_handlers. Called by: projection, refreshes.

create table billing_private.seat_prices (
  price text primary key
);

comment on table billing_private.seat_prices is
  'Prices that billed by seats when their owners'' seats were last looked at. Tells an edit of metadata.seats from any other.';
comment on column billing_private.seat_prices.price is 'Id of the price (price_…).';

alter table billing_private.seat_prices enable row level security;
create policy nobody_reads on billing_private.seat_prices using (false);

create function billing_private.note_seats_of(p_owners uuid[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing_private.seat_counts (owner_id, counted_at)
  select o.id, p_now
  from (select distinct u.id from unnest(p_owners) as u (id)) as o
  where exists (select from billing.seats as s where s.owner_id = o.id)
    -- Counted, and not yet looked at: that look may have begun before this news.
    or exists (select from billing_private.seat_counts as n where n.owner_id = o.id)
  order by o.id;
end;
$$;

comment on function billing_private.note_seats_of is
  'Has the seats of these owners looked at again by the next tick; of those that count any.';

create function billing_private.note_seats(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.note_seats_of(
    array(select c.owner_id from billing.customers as c where c.id = p_event.customer_id and c.owner_id is not null),
    greatest(p_event.received_at, p_event.created)
  );
end;
$$;

comment on function billing_private.note_seats is
  'Handler: customer.subscription.*, customer.updated, customer.deleted, payment_method.*, and reads: the owner''s seats are looked at again.';

create function billing_private.note_seats_of_price(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  bills constant boolean := exists (
    select from billing.prices as p where p.id = p_event.object_id and billing_private.bills_seats(p.metadata, p.recurring)
  );
begin
  if bills = exists (select from billing_private.seat_prices as k where k.price = p_event.object_id) then
    return;
  elsif bills then
    insert into billing_private.seat_prices (price) values (p_event.object_id);
  else
    delete from billing_private.seat_prices as k where k.price = p_event.object_id;
  end if;
  perform billing_private.note_seats_of(
    array(
      select c.owner_id
      from billing.subscription_items as i
      join billing.subscriptions as s on s.id = i.subscription
      join billing.customers as c on c.id = s.customer
      where i.price = p_event.object_id and c.owner_id is not null
    ),
    greatest(p_event.received_at, p_event.created)
  );
end;
$$;

comment on function billing_private.note_seats_of_price is
  'Handler: price.*, and reads. Where metadata.seats was set or taken away, the seats of all who have the price are looked at again.';

create function billing_private.tg_customers__seats()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.note_seats_of(array_remove(
    array[new.owner_id, case when tg_op = 'UPDATE' then old.owner_id end], null
  ), now());
  return null;
end;
$$;

comment on function billing_private.tg_customers__seats is
  'Trigger function: a customer that is given an owner, or taken from one, may be the one whose subscription bills the seats.';

create trigger customers_note_seats_of_new_owner
  after insert on billing.customers
  for each row
  when (new.owner_id is not null)
  execute function billing_private.tg_customers__seats();
create trigger customers_note_seats_of_changed_owner
  after update of owner_id on billing.customers
  for each row
  when (old.owner_id is distinct from new.owner_id)
  execute function billing_private.tg_customers__seats();

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, 45, h.description
from (
  values
    (
      'billing_private.note_seats', 'seats: looks again at how they stand',
      array[
        'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
        'customer.subscription.paused', 'customer.subscription.resumed',
        'customer.subscription.pending_update_applied', 'customer.subscription.pending_update_expired',
        'customer.updated', 'customer.deleted', 'payment_method.automatically_updated', 'payment_method.updated'
      ]
    ),
    (
      'billing_private.note_seats_of_price', 'seats: finds the prices that bill them',
      array['price.created', 'price.updated', 'price.deleted']
    )
) as h (handler, description, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('customer', 'billing_private.note_seats', 45),
  ('subscription', 'billing_private.note_seats', 45),
  ('price', 'billing_private.note_seats_of_price', 45);
