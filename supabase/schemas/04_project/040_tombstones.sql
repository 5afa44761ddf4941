-- Tombstones: what was deleted at Stripe, or is not found there, stays so for every event that is older.
-- Reads: webhook_events. Writes: object_versions. Called by: apply_if_newest.

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
  p_event billing.stripe_events,
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
