-- Recording owner hints: of all that named an owner by one source, the newest is kept, whatever the order of arrival.
-- What was named within one second is decided as in latest_of_second, and read from Stripe where that leaves it open.
-- Reads: stripe_events. Writes: customer_owner_hints, outbox. Called by: link_customers.

create function billing_private.latest_hint_of_second(
  p_customer_id text, p_source text, p_created timestamptz,
  out hinted_owner text, out object_id text, out is_certain boolean
)
language sql
stable
set search_path = ''
as $$
  with hints as (
    select
      e.id,
      e.object_id,
      e.payload #> '{data,object}' as object,
      nullif(nullif(e.payload #> '{data,previous_attributes}', 'null'), '{}') as previous,
      billing_private.event_rank(e.type, e.payload #> '{data,object}') as rank,
      billing_private.hinted_owner_of(e.payload #> '{data,object}', p_source) as named
    from billing.stripe_events as e
    join billing.event_handlers as h
      on h.event_type = e.type
      and h.enabled
      and h.handler = case p_source
        when 'customer' then 'billing_private.link_from_customer'
        when 'subscription' then 'billing_private.link_from_subscription'
        else 'billing_private.link_from_checkout'
      end
    where e.customer_id = p_customer_id
      and e.created = p_created
      and not exists (select from billing.failed_webhooks as f where f.event_id = e.id and f.status = 'quarantined')
  ),
  -- As latest_of_second has it: a higher rank comes later, and so does an update that lists a state as its previous one.
  ranked as (
    select
      s.*,
      exists (
        select
        from hints as later
        where later.object_id = s.object_id
          and later.id <> s.id
          and (
            later.rank > s.rank
            or later.rank = s.rank
            and later.previous is not null
            and later.object <> s.object
            and billing_private.attributes_match(s.object, later.previous)
          )
      ) as is_superseded
    from hints as s
    where s.named is not null
  ),
  contenders as (
    select * from ranked where not is_superseded
    union all
    select * from ranked where not exists (select from ranked where not is_superseded)
  )
  select
    c.named,
    c.object_id,
    not exists (select from contenders as d where d.object_id = c.object_id and d.named <> c.named)
  from contenders as c
  order by c.id collate "C" desc
  limit 1;
$$;

comment on function billing_private.latest_hint_of_second is
  'Of the hints one source gave in one second about a customer''s owner, the one that counts: a function of the events received. Not certain: events of one object disagree and do not tell which came last, so Stripe has to be asked.';

create function billing_private.resolve_hint_tie(p_event billing.stripe_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  latest constant record := billing_private.latest_hint_of_second(p_customer_id, p_source, p_event.created);
  was_disputed boolean;
begin
  select c.is_tied
  into was_disputed
  from billing_private.customer_owner_hints as c
  where c.customer_id = p_customer_id and c.source = p_source;
  update billing_private.customer_owner_hints as c
  set
    hinted_owner = latest.hinted_owner,
    object_id = latest.object_id,
    is_waiting = billing_private.could_sign_up(latest.hinted_owner),
    is_tied = true
  where c.customer_id = p_customer_id and c.source = p_source;
  -- A session's owner never changes: reading it again gives nothing new.
  if not latest.is_certain and p_source in ('customer', 'subscription') then
    -- The earlier read may be finished, so this one has its own key.
    perform billing_private.enqueue_refresh(p_event, case when was_disputed then p_event.id end);
  end if;
end;
$$;

comment on function billing_private.resolve_hint_tie is
  'Two hints of one source in one second: stores the one that counts, and enqueues a read from Stripe where the events do not decide.';

create function billing_private.record_owner_hint(p_event billing.stripe_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  hinted constant text := billing_private.hinted_owner_of(p_event.payload #> '{data,object}', p_source);
  stored billing_private.customer_owner_hints;
begin
  insert into billing_private.customer_owner_hints as c (customer_id, source, hinted_owner, as_of, object_id, is_waiting)
  values (p_customer_id, p_source, hinted, p_event.created, p_event.object_id, billing_private.could_sign_up(hinted))
  on conflict (customer_id, source) do update
    set
      hinted_owner = excluded.hinted_owner,
      as_of = excluded.as_of,
      object_id = excluded.object_id,
      is_waiting = excluded.is_waiting,
      is_tied = false
    where excluded.as_of > c.as_of
      -- The same hint from another object: of the two objects, the same one is stored whichever comes first.
      or excluded.as_of = c.as_of
      and excluded.hinted_owner = c.hinted_owner
      and not c.is_tied
      and excluded.object_id collate "C" > c.object_id collate "C";
  if not found then
    select * into stored from billing_private.customer_owner_hints as c where c.customer_id = p_customer_id and c.source = p_source;
    if stored.as_of = p_event.created and (stored.is_tied or stored.hinted_owner <> hinted) then
      perform billing_private.resolve_hint_tie(p_event, p_customer_id, p_source);
    end if;
  end if;

  if not billing_private.owner_exists(billing_private.as_uuid(hinted)) then
    -- What is no owner's id may be anything, an address too: the event has it, the audit trail does not.
    perform billing_private.audit(
      'customer.owner_unknown', 'system', p_customer_id, p_customer_id,
      jsonb_build_object('source', p_source, 'hinted_owner', billing_private.as_uuid(hinted)), p_event.created, p_event.id
    );
  elsif not billing_private.is_trusted_source(p_source) then
    perform billing_private.audit(
      'customer.hint_not_trusted', 'system', p_customer_id, p_customer_id,
      jsonb_build_object('source', p_source, 'hinted_owner', billing_private.as_uuid(hinted)), p_event.created, p_event.id
    );
  end if;
end;
$$;

comment on function billing_private.record_owner_hint is
  'Records which owner an event names for a customer; of one source the newest hint counts. An id that is nobody''s is an audit fact, not an error; so is one that settings do not trust.';

create function billing_private.correct_owner_hint(p_read billing.stripe_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  hinted constant text := billing_private.hinted_owner_of(p_read.payload #> '{data,object}', p_source);
begin
  -- A read shows what an object says, not since when: it corrects the hint of that object, and keeps its place among
  -- what other objects said.
  insert into billing_private.customer_owner_hints as c (customer_id, source, hinted_owner, as_of, object_id, is_waiting)
  values (
    p_customer_id, p_source, hinted,
    -- Before all that events can say.
    coalesce(to_timestamp((p_read.payload #>> '{data,object,created}')::double precision - 1), p_read.created),
    p_read.object_id, billing_private.could_sign_up(hinted)
  )
  on conflict (customer_id, source) do update
    set hinted_owner = excluded.hinted_owner, is_waiting = excluded.is_waiting
    where c.object_id = excluded.object_id;
end;
$$;

comment on function billing_private.correct_owner_hint is 'Records who an object read from Stripe says a customer is, unless another object has said so since.';
