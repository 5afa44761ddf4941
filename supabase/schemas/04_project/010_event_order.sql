-- Event order: which of an object's events shows its state, whatever order they arrive in.
-- The answer is a function of the set of events received, never of the sequence: that is what makes any order,
-- any repetition and any concurrency end in the same rows.
-- Reads: webhook_events. Writes: object_versions, busy_seconds. Called by: every handler that keeps state.

create table billing_private.object_versions (
  object_id text primary key,
  as_of timestamptz,
  event_id text,
  rank smallint not null default 0,
  deleted_at timestamptz,
  found_missing_at timestamptz,
  constraint a_version_or_a_tombstone check (as_of is not null or deleted_at is not null or found_missing_at is not null)
)
-- Every event of an object rewrites its row and no index covers what changes: room on the page keeps that in place.
with (fillfactor = 70);

comment on table billing_private.object_versions is
  'For each mirrored Stripe object, the moment its row shows and the event that said so; the tombstone of a deleted one.';
comment on column billing_private.object_versions.as_of is 'created of the event shown (whole seconds, UTC), or the time the object was read from Stripe.';
comment on column billing_private.object_versions.event_id is 'Event shown; null when the object was read from Stripe.';
comment on column billing_private.object_versions.rank is 'Rank of that event within its second, see event_rank.';
comment on column billing_private.object_versions.deleted_at is 'When it was deleted at Stripe, as an event told. Never undone.';
comment on column billing_private.object_versions.found_missing_at is
  'When a read last found it deleted (Stripe''s clock). A weaker tombstone than an event''s: it holds only while nothing newer is shown.';

alter table billing_private.object_versions enable row level security;
create policy nobody_reads on billing_private.object_versions using (false);

create function billing_private.event_rank(p_type text, p_object jsonb)
returns smallint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  if p_type like '%.deleted' then
    return 9;
  elsif p_type like '%.created' then
    return 1;
  end if;
  return case (p_object ->> 'object') || ' ' || coalesce(p_object ->> 'status', '')
    when 'invoice draft' then 2
    when 'invoice uncollectible' then 4
    when 'invoice paid' then 5
    when 'invoice void' then 5
    when 'subscription incomplete' then 2
    when 'subscription canceled' then 5
    when 'subscription incomplete_expired' then 5
    when 'charge pending' then 2
    when 'refund pending' then 2
    when 'refund requires_action' then 2
    when 'refund succeeded' then 4
    when 'refund failed' then 5
    when 'refund canceled' then 5
    when 'dispute warning_needs_response' then 2
    when 'dispute warning_under_review' then 2
    when 'dispute needs_response' then 3
    when 'dispute under_review' then 3
    -- It has no status; once detached it has no customer.
    when 'payment_method ' then case when billing_private.names_customer(p_object) then 3 else 5 end
    when 'payment_intent succeeded' then 5
    when 'payment_intent canceled' then 5
    when 'checkout.session complete' then 5
    when 'checkout.session expired' then 5
    -- A decision of the bank, and what follows one: an appeal, whatever Stripe adds.
    else case when p_object ->> 'object' = 'dispute' then 5 else 3 end
  end;
end;
$$;

comment on function billing_private.event_rank is
  'Order of two events of one object in the same second, as far as type and status tell it: 1 created, 2 to 4 on the way, 5 a state that is seldom left, 9 deleted. Statuses that follow each other either way share a rank. Where an update says that it left a higher rank, ranks tell nothing, see leaves_rank.';

create function billing_private.leaves_rank(p_type text, p_object jsonb, p_previous jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- A lost dispute is appealed, a closed inquiry becomes a dispute, an invoice whose payment was detached is open again.
  return coalesce(
    jsonb_typeof(p_previous -> 'status') = 'string'
      and billing_private.event_rank(p_type, p_object || jsonb_build_object('status', p_previous -> 'status'))
        > billing_private.event_rank(p_type, p_object),
    false
  );
end;
$$;

comment on function billing_private.leaves_rank is
  'Whether an update says by its previous_attributes that the object left a status of a higher rank than the one it has now.';

create function billing_private.attributes_match(p_object jsonb, p_previous jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  attribute record;
begin
  for attribute in select key, value from jsonb_each(p_previous) loop
    if jsonb_typeof(attribute.value) = 'object' and jsonb_typeof(p_object -> attribute.key) = 'object' then
      if not billing_private.attributes_match(p_object -> attribute.key, attribute.value) then
        return false;
      end if;
    -- A key that did not exist before is listed as null.
    elsif coalesce(p_object -> attribute.key, 'null') <> attribute.value then
      return false;
    end if;
  end loop;
  return true;
end;
$$;

comment on function billing_private.attributes_match is
  'Whether an object looks as previous_attributes says it did before an update. Of nested objects Stripe lists only the keys that changed.';

create table billing_private.busy_seconds (
  object_id text primary key,
  compared text[] not null,
  unsuperseded text[] not null
);

comment on table billing_private.busy_seconds is
  'What comparing the events of an object''s latest busy second came to, so that one more is compared with the others, and not all with all: two hundred events make forty thousand pairs.';
comment on column billing_private.busy_seconds.compared is 'The events that were compared, each with all others.';
comment on column billing_private.busy_seconds.unsuperseded is 'Those of them that no other says to have changed.';

alter table billing_private.busy_seconds enable row level security;
create policy nobody_reads on billing_private.busy_seconds using (false);

create function billing_private.latest_of_second(p_object_id text, p_created timestamptz, out event_id text, out is_certain boolean)
language plpgsql
set search_path = ''
as $$
declare
  -- Of how many events on the comparison is kept.
  busy constant integer := 8;
  kept billing_private.busy_seconds;
  compared_now text[];
begin
  select * into kept from billing_private.busy_seconds as b where b.object_id = p_object_id;

  with known as (
    select
      e.id,
      u.data -> 'object' as object,
      nullif(nullif(u.data -> 'previous_attributes', 'null'), '{}') as previous,
      -- A deletion with the last state is one terminal state among others; previous_attributes decide which came last.
      least(billing_private.event_rank(e.type, u.data -> 'object'), 5) as rank,
      billing_private.leaves_rank(e.type, u.data -> 'object', u.data -> 'previous_attributes') as leaves_rank
    from billing.webhook_events as e
    -- Stored payloads are compressed: each is unpacked once.
    cross join lateral (select e.payload -> 'data' as data offset 0) as u
    where e.object_id = p_object_id
      and e.created = p_created
      -- Only projected events count: an event without a handler must not matter when another one arrives.
      and e.type = any (array(select h.event_type from billing.event_handlers as h where h.enabled))
      and not exists (select from billing.failed_webhooks as f where f.event_id = e.id and f.status = 'quarantined')
      -- A deletion without the last state, {id, object, deleted: true}, says nothing about it.
      and u.data #> '{object,deleted}' is distinct from 'true'
  ),
  received as (
    select
      t.id,
      t.object,
      t.previous,
      -- Once a higher rank was left within the second, only previous_attributes tell what came after what.
      case when t.rank > 1 and bool_or(t.leaves_rank) over () then 5 else t.rank end as rank
    from known as t
  ),
  -- What is kept counts as long as all it is of are among the highest; what has come since is new to it.
  highest as (
    select r.*, not r.id = any (kept.compared) as is_new
    from (select r.*, max(r.rank) over () as highest_rank from received as r) as r
    where r.rank = r.highest_rank
  ),
  compared as (
    select h.*, coalesce(count(*) filter (where not h.is_new) over () = cardinality(kept.compared), false) as has_kept
    from highest as h
  ),
  -- An event is superseded when an update of the same second says its state is the one it changed.
  unsuperseded as (
    select j.id, j.object
    from compared as j
    where (not j.has_kept or j.is_new or j.id = any (kept.unsuperseded))
      and not exists (
        select
        from compared as later
        where later.id <> j.id
          and later.previous is not null
          and (not j.has_kept or j.is_new or later.is_new)
          and later.object <> j.object
          and billing_private.attributes_match(j.object, later.previous)
      )
  ),
  -- All superseded: a state was left and entered again within the second, and nothing here decides which is last.
  contenders as (
    select u.id, u.object from unsuperseded as u
    union all
    select h.id, h.object from highest as h where not exists (select from unsuperseded)
  )
  select
    max(c.id collate "C"),
    count(distinct c.object) = 1,
    array(select h.id from highest as h),
    array(select u.id from unsuperseded as u)
  into event_id, is_certain, compared_now, kept.unsuperseded
  from contenders as c;

  if cardinality(compared_now) >= busy then
    insert into billing_private.busy_seconds as b (object_id, compared, unsuperseded)
    values (p_object_id, compared_now, kept.unsuperseded)
    on conflict (object_id) do update set compared = excluded.compared, unsuperseded = excluded.unsuperseded;
  end if;
end;
$$;

comment on function billing_private.latest_of_second is
  'Of the events received for one object in one second, the one that shows its state. Not certain: several are possible, one is chosen the same way every time, and the object has to be read from Stripe.';

create function billing_private.apply_if_newest(p_event billing.webhook_events, out object jsonb, out deleted_at timestamptz)
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

create function billing_private.apply_object_if_newest(p_event billing.webhook_events)
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
  p_event billing.webhook_events,
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
    from billing.webhook_events as e
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

create function billing_private.tombstone_missing(p_object_id text, p_read_at timestamptz)
returns timestamptz
language sql
set search_path = ''
as $$
  insert into billing_private.object_versions as v (object_id, found_missing_at)
  values (p_object_id, p_read_at)
  on conflict (object_id) do update set found_missing_at = greatest(v.found_missing_at, excluded.found_missing_at)
  returning coalesce(v.deleted_at, v.found_missing_at);
$$;

comment on function billing_private.tombstone_missing is
  'Leaves the tombstone of an object that a read found deleted, and returns when it was deleted: the time an event gave counts first. Events after the read bring the object back.';

create function billing_private.tombstone_deleted(
  p_event billing.webhook_events,
  p_incoming jsonb,
  p_shown billing_private.object_versions,
  out object jsonb,
  out deleted_at timestamptz
)
language plpgsql
set search_path = ''
as $$
declare
  -- A deletion comes with the whole last state, or as {id, object, deleted: true} which has none.
  has_state constant boolean := p_incoming -> 'deleted' is distinct from 'true';
  is_edited_later boolean := p_shown.rank = 5 and p_shown.as_of > p_event.created;
  latest record;
begin
  if p_shown.rank = 9 then
    return;
  end if;
  deleted_at := p_event.created;
  object := p_incoming;
  if has_state and p_shown.rank = 5 and p_shown.as_of = p_event.created then
    select * into latest from billing_private.latest_of_second(p_event.object_id, p_event.created);
    if not latest.is_certain then
      perform billing_private.enqueue_refresh(p_event);
    end if;
    is_edited_later := latest.event_id = p_shown.event_id;
  end if;

  if not has_state then
    insert into billing_private.object_versions as v (object_id, deleted_at)
    values (p_event.object_id, p_event.created)
    -- Two events without the last state: the earlier one tells when.
    on conflict (object_id) do update set deleted_at = least(v.deleted_at, excluded.deleted_at)
    returning v.deleted_at into deleted_at;
  elsif is_edited_later then
    -- Its last state was edited after the deletion, and that event arrived first.
    object := null;
    update billing_private.object_versions as v set rank = 9, deleted_at = p_event.created where v.object_id = p_event.object_id;
  else
    insert into billing_private.object_versions as v (object_id, as_of, event_id, rank, deleted_at)
    values (p_event.object_id, p_event.created, p_event.id, 9, p_event.created)
    on conflict (object_id) do update
      set as_of = excluded.as_of, event_id = excluded.event_id, rank = 9, deleted_at = excluded.deleted_at;
  end if;
end;
$$;

comment on function billing_private.tombstone_deleted is
  'Leaves the tombstone of a deleted object. It stays, whatever other events of the object arrive, earlier or later.';

create function billing_private.enqueue_refresh(p_event billing.webhook_events, p_again text default null)
returns void
language sql
set search_path = ''
as $$
  select billing_private.enqueue(
    'refresh',
    concat_ws(':', 'refresh', p_event.object_id, extract(epoch from p_event.created)::bigint, p_again),
    jsonb_strip_nulls(jsonb_build_object(
      'object', p_event.payload #>> '{data,object,object}', 'id', p_event.object_id, 'event', p_event.id, 'account', p_event.account
    )),
    p_event.received_at,
    -- A read in the same second could again not be ordered against the events.
    p_event.received_at + interval '3 seconds'
  );
$$;

comment on function billing_private.enqueue_refresh is
  'Owes a read of the object from Stripe, once per object and second: its events do not tell which came last. p_again tells a further read of the same second from the first.';

create function billing_private.enqueue_refresh_of(p_object text, p_id text, p_event billing.webhook_events)
returns void
language sql
set search_path = ''
as $$
  select billing_private.enqueue(
    'refresh',
    concat_ws(':', 'refresh', p_id, extract(epoch from p_event.created)::bigint),
    jsonb_strip_nulls(jsonb_build_object('object', p_object, 'id', p_id, 'event', p_event.id, 'account', p_event.account)),
    p_event.received_at
  );
$$;

comment on function billing_private.enqueue_refresh_of is
  'Enqueues a read of an object that the event names and that has no event of its own.';
