-- Following seats: what was counted becomes a row of billing.seats, and a change at Stripe is enqueued where Stripe
-- has another quantity. Which status a row has follows from what is known, in whatever order it came.
-- Reads: seat_counts, seat items, outbox. Writes: seats, outbox, audit_events. Called by: the tick, duebase-deliver.

create function billing_private.is_effect_open(p_outbox_id bigint)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.outbox as o
    where o.id = p_outbox_id
      -- In mirror mode one that is withheld stands for all: going live enqueues another.
      and (o.status in ('pending', 'claimed') or (o.status = 'withheld' and (select s.mode <> 'live' from billing.settings as s)))
  );
end;
$$;

comment on function billing_private.is_effect_open is
  'Whether an effect is still to be performed, or under way; in mirror mode also whether it is withheld.';

create function billing_private.seats_status(p_seats billing.seats, p_item billing_private.seat_item)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  wanted constant bigint := greatest(p_seats.quantity, 1);
  was_tried constant boolean :=
    p_seats.tried_quantity is not distinct from wanted and p_seats.tried_cards is not distinct from p_item.cards;
begin
  return case
    when p_item.status <> 'follows' then p_item.status
    when p_item.quantity = wanted then 'same'
    when was_tried and p_item.pending_quantity = wanted then 'declined'
    when was_tried and p_seats.status in ('declined', 'expired') then 'expired'
    when p_seats.status = 'refused' and p_seats.tried_quantity = wanted then 'refused'
    else 'enqueued'
  end;
end;
$$;

comment on function billing_private.seats_status is
  'The status of an owner''s seats, as the item that bills them stands. A change that was declined, or has expired, is enqueued again with another quantity or another card.';

create function billing_private.enqueue_seats_change(p_seats billing.seats, p_now timestamptz)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  effect bigint;
begin
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  values (
    'stripe', format('seats:%s:%s', p_seats.owner_id, p_seats.attempt),
    jsonb_build_object('call', 'change_seats', 'owner_id', p_seats.owner_id),
    -- Whatever is counted until then is in the same call.
    p_now + interval '1 minute', p_now
  )
  on conflict (dedupe_key) do nothing
  returning id into effect;
  return effect;
end;
$$;

comment on function billing_private.enqueue_seats_change is
  'Enqueues the change of an owner''s seats at Stripe, a minute from p_now. Which quantity it is, is asked when it is made. Returns the effect.';

create function billing_private.tell_of_seats(p_before billing.seats, p_after billing.seats, p_customer text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  detail constant jsonb := jsonb_strip_nulls(jsonb_build_object(
    'owner_id', p_after.owner_id, 'quantity', p_after.quantity, 'stripe_quantity', p_after.stripe_quantity,
    'subscription', p_after.subscription
  ));
begin
  if p_after.status = 'same' and p_after.item = p_before.item and p_after.stripe_quantity <> p_before.stripe_quantity then
    perform billing_private.audit(
      'seats.changed', 'system', p_after.subscription, p_customer,
      detail || jsonb_build_object('from', p_before.stripe_quantity), p_now
    );
  elsif p_before.status = 'same' and p_after.status <> 'same' and p_after.quantity = p_before.quantity
    and p_after.item = p_before.item and p_after.stripe_quantity <> p_before.stripe_quantity
  then
    -- By somebody in the dashboard or the portal: it is set back.
    perform billing_private.audit('seats.changed_at_stripe', 'system', p_after.subscription, p_customer, detail, p_now);
  end if;
  if p_after.status in ('declined', 'expired', 'several_items') and p_after.status is distinct from p_before.status then
    perform billing_private.audit(
      'seats.' || p_after.status, 'system', coalesce(p_after.subscription, p_after.owner_id::text), p_customer, detail, p_now
    );
    if p_after.status <> 'declined' then
      perform billing_private.alert(
        case p_after.status when 'expired' then 'seats_not_paid' else 'several_seat_items' end, detail, p_now, p_after.owner_id::text
      );
    end if;
  end if;
end;
$$;

comment on function billing_private.tell_of_seats is
  'Puts on record what became of an owner''s seats: seats.changed, seats.changed_at_stripe, seats.declined, seats.expired, seats.several_items; of the last two the operator is alerted.';

create function billing_private.follow_seats_of(p_before billing.seats, p_now timestamptz, p_done bigint default null)
returns void
language plpgsql
set search_path = ''
as $$
declare
  item constant billing_private.seat_item := billing_private.seat_item_of(p_before.owner_id);
  after billing.seats := p_before;
begin
  select s.* into after from billing.seats as s where s.owner_id = p_before.owner_id;
  if item.status in ('follows', 'waiting') then
    after.subscription := item.subscription;
    after.item := item.item;
    after.stripe_quantity := item.quantity;
  else
    after.subscription := null;
    after.item := null;
    after.stripe_quantity := null;
  end if;
  after.status := billing_private.seats_status(after, item);
  if after.status = 'enqueued'
    and (after.outbox_id is not distinct from p_done or not billing_private.is_effect_open(after.outbox_id))
  then
    after.attempt := after.attempt + 1;
    after.outbox_id := billing_private.enqueue_seats_change(after, p_now);
  end if;
  if after.status is distinct from p_before.status then
    after.status_since := p_now;
  end if;
  update billing.seats as s
  set
    subscription = after.subscription, item = after.item, stripe_quantity = after.stripe_quantity, status = after.status,
    status_since = after.status_since, attempt = after.attempt, outbox_id = after.outbox_id
  where s.owner_id = after.owner_id;
  perform billing_private.tell_of_seats(p_before, after, item.customer, p_now);
end;
$$;

comment on function billing_private.follow_seats_of is
  'Brings an owner''s row up to date with its subscription, and enqueues a change where Stripe has another quantity and none is under way. p_before: the row as it was; p_done: an effect that has just been performed. The caller holds the row.';

create function billing_private.take_seat_counts(p_owner_id uuid, p_counts bigint[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  newest billing_private.seat_counts;
  before billing.seats;
begin
  select n.* into newest
  from billing_private.seat_counts as n
  where n.id = any (p_counts) and n.quantity is not null
  order by n.id desc
  limit 1;
  select s.* into before from billing.seats as s where s.owner_id = p_owner_id for update;
  if newest.id is not null then
    insert into billing.seats as s (owner_id, quantity, counted_at, count_id, status, status_since)
    values (p_owner_id, newest.quantity, newest.counted_at, newest.id, 'no_item', p_now)
    on conflict (owner_id) do update
      set quantity = excluded.quantity, counted_at = excluded.counted_at, count_id = excluded.count_id
      where s.count_id < excluded.count_id;
  end if;
  if before.owner_id is null then
    select s.* into before from billing.seats as s where s.owner_id = p_owner_id;
  end if;
  if before.owner_id is not null then
    perform billing_private.follow_seats_of(before, p_now);
  end if;
  delete from billing_private.seat_counts as n where n.id = any (p_counts);
end;
$$;

comment on function billing_private.take_seat_counts is
  'Makes of some counts the row of their owner, of which the newest counts, and takes them away. The caller holds the owner''s lock.';

create function billing_private.record_failed_seat_counts(p_owner_id uuid, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  tried integer;
begin
  -- Who adds to the table is not waited for, nor is who takes an owner's rows away.
  with waiting as (
    select n.id from billing_private.seat_counts as n where n.owner_id = p_owner_id for update skip locked
  )
  update billing_private.seat_counts as n set tried_at = p_now from waiting as w where n.id = w.id;
  get diagnostics tried = row_count;
  return tried;
end;
$$;

comment on function billing_private.record_failed_seat_counts is
  'Notes that an owner''s counts were tried in vain, so that those of all others come first. Returns how many it noted.';

create function billing_private.follow_seats(p_now timestamptz default now())
returns integer
language plpgsql
set search_path = ''
-- Whoever holds an owner's lock for longer delays this owner, and nobody else.
set lock_timeout = '1s'
as $$
declare
  owner uuid;
  counts bigint[];
begin
  select n.owner_id
  into owner
  from billing_private.seat_counts as n
  -- Each has one try a minute.
  where n.tried_at is null or n.tried_at <= p_now - interval '50 seconds'
  order by n.tried_at nulls first, n.id
  limit 1;
  if owner is null then
    return 0;
  end if;
  begin
    -- An owner that is being removed is gone then. One owner a transaction: nobody waits for it while it waits for another.
    perform billing_private.lock_owners(array[owner]);
    counts := array(select n.id from billing_private.seat_counts as n where n.owner_id = owner order by n.id);
    if billing_private.owner_exists(owner) then
      perform billing_private.take_seat_counts(owner, counts, p_now);
    else
      delete from billing_private.seat_counts as n where n.id = any (counts);
    end if;
    return cardinality(counts);
  exception when assert_failure or others then
    if sqlstate <> '55P03' then
      perform billing_private.alert(
        'seats_not_counted', jsonb_build_object('owner_id', owner, 'problem', format('%s (%s)', sqlerrm, sqlstate)), p_now
      );
    end if;
  end;
  return billing_private.record_failed_seat_counts(owner, p_now);
end;
$$;

comment on function billing_private.follow_seats is
  'Makes of what was counted for one owner, and of news of its subscription, the row of billing.seats. Run by the tick until nothing is left. Returns how many counts it took or tried. Where that fails, the operator is alerted, the next owner has its turn, and the counts wait a minute.';
