-- The latest of a second: Stripe's times are whole seconds, so events of one second are ordered by what they changed.
-- Reads: stripe_events, event_handlers, failed_webhooks. Writes: busy_seconds. Called by: apply_if_newest, tombstones.

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

create function billing_private.events_of_second(p_object_id text, p_created timestamptz)
returns table (id text, object jsonb, previous jsonb, rank integer)
language plpgsql
stable
rows 10
set search_path = ''
as $$
begin
  return query
  with known as (
    select
      e.id,
      u.data -> 'object' as object,
      nullif(nullif(u.data -> 'previous_attributes', 'null'), '{}') as previous,
      -- A deletion with the last state is one terminal state among others; previous_attributes decide which came last.
      least(billing_private.event_rank(e.type, u.data -> 'object'), 5) as rank,
      billing_private.leaves_rank(e.type, u.data -> 'object', u.data -> 'previous_attributes') as leaves_rank
    from billing.stripe_events as e
    -- Stored payloads are compressed: each is unpacked once.
    cross join lateral (select e.payload -> 'data' as data offset 0) as u
    where e.object_id = p_object_id
      and e.payload is not null
      and e.created = p_created
      -- Only projected events count: an event without a handler must not matter when another one arrives.
      and e.type = any (array(select h.event_type from billing.event_handlers as h where h.enabled))
      and not exists (select from billing.failed_webhooks as f where f.event_id = e.id and f.status = 'quarantined')
      -- A deletion without the last state, {id, object, deleted: true}, says nothing about it.
      and u.data #> '{object,deleted}' is distinct from 'true'
  )
  select
    k.id,
    k.object,
    k.previous,
    -- Once a higher rank was left within the second, only previous_attributes tell what came after what.
    case when k.rank > 1 and bool_or(k.leaves_rank) over () then 5 else k.rank end
  from known as k;
end;
$$;

comment on function billing_private.events_of_second is
  'The projected events of an object in one second that tell its state: the state, what the event changed of the one before (null: not said), and its rank.';

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

  -- What is kept counts as long as all it is of are among the highest; what has come since is new to it.
  with highest as (
    select r.*, not r.id = any (kept.compared) as is_new
    from (
      select e.*, max(e.rank) over () as highest_rank
      from billing_private.events_of_second(p_object_id, p_created) as e
    ) as r
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
    count(distinct c.object) = 1
      -- Stripe sends nothing of a second so old. What does come of it cannot be compared with a payload that is gone.
      and not exists (
        select from billing.stripe_events as e where e.object_id = p_object_id and e.created = p_created and e.payload is null
      ),
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
