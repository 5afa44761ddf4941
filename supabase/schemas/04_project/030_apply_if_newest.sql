-- Apply if newest: an event changes an object's row if it is the newest of the object; where two of one second are left
-- open, the object is read from Stripe.
-- Reads: the event, stripe_events. Writes: object_versions, outbox. Called by: every handler that keeps state.

create function billing_private.apply_if_newest(p_event billing.stripe_events, out object jsonb, out deleted_at timestamptz)
language plpgsql
set search_path = ''
as $$
declare
  incoming constant jsonb := p_event.payload #> '{data,object}';
  incoming_rank constant smallint := billing_private.event_rank(p_event.type, incoming);
begin
  if incoming_rank < 9 then
    -- The usual case in one statement: the object is new, or the event is newer than what is shown.
    insert into billing_private.object_versions as v (object_id, as_of, event_id, rank)
    values (p_event.object_id, p_event.created, p_event.id, incoming_rank)
    on conflict (object_id) do update
      set as_of = excluded.as_of, event_id = excluded.event_id, rank = excluded.rank
      where v.rank < 9 and (v.as_of is null or v.as_of < excluded.as_of)
    returning
      incoming,
      coalesce(v.deleted_at, case when v.found_missing_at >= v.as_of then v.found_missing_at end)
    into object, deleted_at;
    if found then
      return;
    end if;
  end if;

  select o.object, o.deleted_at
  into object, deleted_at
  from billing_private.resolve_ties(p_event, incoming, incoming_rank) as o;
end;
$$;

comment on function billing_private.apply_if_newest is
  'Decides whether an event changes what is shown of its object. Returns the object to show (usually the event''s own; of one second''s events the one that shows its state) and its tombstone, or a null object when the event is stale.';

create function billing_private.apply_object_if_newest(p_event billing.stripe_events)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  applied constant record := billing_private.apply_if_newest(p_event);
begin
  return applied.object;
end;
$$;

comment on function billing_private.apply_object_if_newest is 'apply_if_newest for objects whose deletion is a state of their own, such as a canceled subscription.';

create function billing_private.resolve_ties(
  p_event billing.stripe_events,
  p_incoming jsonb,
  p_rank smallint,
  out object jsonb,
  out deleted_at timestamptz
)
language plpgsql
set search_path = ''
as $$
declare
  shown billing_private.object_versions;
  latest record;
begin
  select * into shown from billing_private.object_versions as v where v.object_id = p_event.object_id for update;

  if p_rank = 9 then
    if p_event.id is null then
      deleted_at := billing_private.tombstone_missing(p_event.object_id, p_event.created);
      object := p_incoming;
      return;
    end if;
    select d.object, d.deleted_at into object, deleted_at from billing_private.tombstone_deleted(p_event, p_incoming, shown) as d;
    return;
  end if;

  if shown.rank = 9 then
    -- A deleted object stays deleted. Metadata of a canceled subscription may still be edited.
    if p_rank < 5 or p_event.created < shown.as_of then
      return;
    end if;
  elsif p_event.created < shown.as_of then
    return;
  end if;

  if p_event.created > shown.as_of then
    select p_event.id as event_id, true as is_certain into latest;
  elsif shown.event_id is null then
    -- Read from Stripe within this second: whether before or after the event is unknown, so read again. The first
    -- read may be finished, so this one has its own key.
    perform billing_private.enqueue_refresh(p_event, p_event.id);
    return;
  else
    select * into latest from billing_private.latest_of_second(p_event.object_id, p_event.created);
    if not latest.is_certain then
      perform billing_private.enqueue_refresh(p_event);
    end if;
    if latest.event_id = shown.event_id then
      return;
    end if;
  end if;

  deleted_at := coalesce(shown.deleted_at, case when shown.found_missing_at >= p_event.created then shown.found_missing_at end);
  object := p_incoming;
  if latest.event_id <> p_event.id then
    select billing_private.with_customer(e.payload #> '{data,object}')
    into object
    from billing.stripe_events as e
    where e.id = latest.event_id;
  end if;

  update billing_private.object_versions as v
  set
    as_of = p_event.created,
    event_id = latest.event_id,
    rank = greatest(case when shown.rank = 9 then 9 end, billing_private.event_rank(p_event.type, object))
  where v.object_id = p_event.object_id;
end;
$$;

comment on function billing_private.resolve_ties is
  'The less usual cases of apply_if_newest: a deletion, a deleted object, a stale event, several events in one second.';

create function billing_private.apply_each_if_newest(p_events billing.stripe_events[])
returns table (n integer, object_id text, created timestamptz, object jsonb, deleted_at timestamptz)
language plpgsql
set search_path = ''
rows 10
as $$
declare
  event billing.stripe_events;
  applied text[];
  tombstones timestamptz[];
begin
  with newest as (
    insert into billing_private.object_versions as v (object_id, as_of, event_id, rank)
    select e.object_id, e.created, e.id, r.rank
    from unnest(p_events) as e
    cross join lateral (select billing_private.event_rank(e.type, e.payload #> '{data,object}') as rank offset 0) as r
    where r.rank < 9
    on conflict on constraint object_versions_pkey do update
      set as_of = excluded.as_of, event_id = excluded.event_id, rank = excluded.rank
      where v.rank < 9 and (v.as_of is null or v.as_of < excluded.as_of)
    returning v.event_id, coalesce(v.deleted_at, case when v.found_missing_at >= v.as_of then v.found_missing_at end) as tombstone
  )
  select array_agg(n.event_id), array_agg(n.tombstone) into applied, tombstones from newest as n;

  for n in 1..cardinality(p_events) loop
    event := p_events[n];
    apply_each_if_newest.n := n;
    object_id := event.object_id;
    created := event.created;
    if event.id = any (applied) then
      object := event.payload #> '{data,object}';
      deleted_at := tombstones[array_position(applied, event.id)];
    else
      select r.object, r.deleted_at
      into object, deleted_at
      from billing_private.resolve_ties(
        event, event.payload #> '{data,object}', billing_private.event_rank(event.type, event.payload #> '{data,object}')
      ) as r;
    end if;
    if object is not null then
      return next;
    end if;
  end loop;
end;
$$;

comment on function billing_private.apply_each_if_newest is
  'apply_if_newest for events of different objects: a row for each that changes what is shown, n its place among them.';

create function billing_private.enqueue_refresh(p_event billing.stripe_events, p_again text default null)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue(
    'refresh',
    concat_ws(':', 'refresh', p_event.object_id, extract(epoch from p_event.created)::bigint, p_again),
    jsonb_strip_nulls(jsonb_build_object(
      'object', p_event.payload #>> '{data,object,object}', 'id', p_event.object_id, 'event', p_event.id, 'account', p_event.account
    )),
    p_event.received_at,
    -- A read in the same second could again not be ordered against the events.
    p_event.received_at + interval '3 seconds'
  );
end;
$$;

comment on function billing_private.enqueue_refresh is
  'Owes a read of the object from Stripe, once per object and second: its events do not tell which came last. p_again tells a further read of the same second from the first.';

create function billing_private.enqueue_refresh_of(p_object text, p_id text, p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue(
    'refresh',
    concat_ws(':', 'refresh', p_id, extract(epoch from p_event.created)::bigint),
    jsonb_strip_nulls(jsonb_build_object('object', p_object, 'id', p_id, 'event', p_event.id, 'account', p_event.account)),
    p_event.received_at
  );
end;
$$;

comment on function billing_private.enqueue_refresh_of is
  'Enqueues a read of an object that the event names and that has no event of its own.';
