-- Event ranks: which of an object's events shows its state, whatever order they arrive in.
-- The answer is a function of the set of events received, never of the sequence: that is what makes any order,
-- any repetition and any concurrency end in the same rows.
-- Here: the newest event of each object, and what tells two events of one second apart.
-- Reads: the event. Writes: nothing; for what writes the table see apply_if_newest.
-- Called by: the rest of event order, owner hints, refreshes.

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
