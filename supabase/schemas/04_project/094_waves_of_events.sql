-- Waves: a batch is projected in steps, each of as many of its events as concern nothing in common. Whatever order those are
-- projected in, and however their handlers' work is put together, it ends in the same rows and effects as one by one; so
-- a wave is stored and projected by sets. Events that concern one customer, owner or payment are in waves one after the other.
-- Reads: the events; customers, customer_owner_hints, invoices, payments, forgotten_subjects, settings. Writes: webhook_events,
-- webhook_payloads, and through the handlers billing state. Called by: receive_events.

create function billing_private.alone_in_batch(p_events billing.stripe_events[])
returns integer[]
language plpgsql
stable
set search_path = ''
as $$
declare
  others constant text[] := billing_private.handled_by_others(array(select distinct e.type from unnest(p_events) as e));
  is_about_forgotten constant boolean := exists (
    select
    from billing_private.forgotten_subjects as f
    where f.subject_id = any (array(select e.customer_id from unnest(p_events) as e))
  );
begin
  return array(
    with event as materialized (
      select
        e.ordinality::integer as n, e.id, e.type, e.livemode, e.account, e.customer_id,
        e.payload #> '{data,object}' as object, e.payload #> '{data,previous_attributes}' as previous
      from unnest(p_events) with ordinality as e
      where e.id is not null
    ),
    stranger as materialized (
      select s.livemode, s.account
      from (select e.livemode, e.account, min(e.n) as example from event as e group by e.livemode, e.account) as s
      where billing_private.quarantine_reason(p_events[s.example]) is not null
    )
    select e.n
    from event as e
    where e.type = any (others)
      -- Whom it concerns is learnt in its projection. An invoice payment says by what it names.
      or e.customer_id is null and e.object ->> 'object' is distinct from 'invoice_payment'
      or e.object -> 'customer_account' <> 'null'
      or e.previous -> 'customer_account' <> 'null'
      or exists (select from stranger as s where s.livemode = e.livemode and s.account is not distinct from e.account)
      or exists (select from event as o where o.id = e.id and o.n < e.n)
      -- It is redacted before it is stored.
      or is_about_forgotten
  );
end;
$$;

comment on function billing_private.alone_in_batch is
  'Positions of the events that are stored and projected one by one, as nobody knows in front what they concern, or they are not projected as they are: handlers of the application''s, no customer, an account for a customer, the wrong account or mode, a repetition, somebody who is forgotten.';

create function billing_private.events_of_one_owner(p_events billing.stripe_events[])
returns integer[]
language plpgsql
stable
set search_path = ''
as $$
declare
  -- An address may link a customer only there.
  by_email constant boolean := billing_private.links_by_email();
  follows integer[];
begin
  with event as materialized (
    select
      e.ordinality::integer as n, e.object_id, e.customer_id, o.object,
      case when e.customer_id is null then billing_private.stripe_id(o.object -> 'invoice') end as invoice,
      case when e.customer_id is null then billing_private.paying_object(o.object -> 'payment') end as payment
    from unnest(p_events) with ordinality as e
    cross join lateral (select e.payload #> '{data,object}' as object offset 0) as o
    where e.id is not null
  ),
  named as (
    select e.n, e.customer_id as customer from event as e where e.customer_id is not null
    union all
    select e.n, i.customer from event as e join billing.invoices as i on i.id = e.invoice
    union all
    select e.n, p.customer from event as e join billing.payments as p on p.id = e.payment
    union all
    select e.n, o.customer_id from event as e join event as o on o.object_id in (e.invoice, e.payment)
  ),
  concerned as (
    select c.n, c.customer as key from named as c
    union all
    select c.n, o.owner_id::text from named as c join billing.customers as o on o.id = c.customer
    union all
    select c.n, lower(o.email) from named as c join billing.customers as o on o.id = c.customer
    where by_email
    union all
    select c.n, h.hinted_owner from named as c join billing_private.customer_owner_hints as h on h.customer_id = c.customer
    union all
    select e.n, k.key
    from event as e
    cross join lateral unnest(array[
      billing_private.named_owner(e.object),
      lower(btrim(e.object ->> 'client_reference_id')),
      case when by_email then lower(e.object ->> 'email') end
    ]) as k (key)
  ),
  pair as (
    select c.n, lag(c.n) over (partition by c.key order by c.n) as earlier
    from concerned as c
    where c.key is not null
  )
  select array_agg(p.n * 1000 + p.earlier)
  into follows
  from pair as p
  where p.earlier < p.n;
  return coalesce(follows, array[]::integer[]);
end;
$$;

comment on function billing_private.events_of_one_owner is
  'For each two events, one after the other, that concern one customer, or customers who have one owner or may get one, by what is stored and by what the events themselves say: the later one''s position times 1000 plus the earlier one''s.';

create function billing_private.waves_of_events(p_events billing.stripe_events[], p_positions integer[], p_follows integer[])
returns table (positions integer[])
language plpgsql
set search_path = ''
as $$
declare
  follows integer[];
  alone integer[];
  waves integer[] := array_fill(0, array[cardinality(p_events)]);
  -- Of the events that come after one that is alone, none is in a wave before it.
  first_wave integer := 1;
  last_wave integer := 0;
  wave integer;
  next_pair integer := 1;
begin
  if (select count(distinct e.customer_id) < 2 from unnest(p_events) as e) then
    return query select array[n] from unnest(p_positions) as n order by n;
    return;
  end if;
  follows := array(
    select f from unnest(p_follows || billing_private.events_of_one_owner(p_events)) as f order by 1
  );
  -- What is sent back, or stored already, holds nobody up.
  alone := array(
    select n from unnest(billing_private.alone_in_batch(p_events)) as n where n = any (p_positions)
  );
  for n in 1..cardinality(p_events) loop
    wave := first_wave;
    while follows[next_pair] / 1000 = n loop
      wave := greatest(wave, waves[follows[next_pair] % 1000] + 1);
      next_pair := next_pair + 1;
    end loop;
    if n = any (alone) then
      wave := last_wave + 1;
      first_wave := wave + 1;
    end if;
    waves[n] := wave;
    last_wave := greatest(last_wave, wave);
  end loop;
  return query
    select array_agg(w.n::integer order by w.n)
    from unnest(waves) with ordinality as w (wave, n)
    where w.n = any (p_positions)
    group by w.wave
    order by w.wave;
end;
$$;

comment on function billing_private.waves_of_events is
  'The events at these positions in waves, the first first. Two that concern something in common are in different waves, in their order; one of alone_in_batch is in a wave of its own, after all that came before it and before all that came after.';

create function billing_private.store_events(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.webhook_events
    (id, type, api_version, livemode, account, created, object_id, customer_id, received_at)
  select e.id, e.type, e.api_version, e.livemode, e.account, e.created, e.object_id, e.customer_id, e.received_at
  from unnest(p_events) as e;
  insert into billing_private.webhook_payloads (event_id, received_at, customer_id, payload)
  select e.id, e.received_at, e.customer_id, e.payload
  from unnest(p_events) as e;
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true); -- a repetition before it may have waived this
  end if;
end;
$$;

comment on function billing_private.store_events is 'Stores the events of a wave. Raises where one is stored already.';

create function billing_private.project_wave(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  kind record;
begin
  perform billing_private.store_events(p_events);
  for kind in
    select p_events[min(e.ordinality)].type as type, array_agg(p_events[e.ordinality] order by e.ordinality) as events
    from unnest(p_events) with ordinality as e
    group by e.type
    order by min(e.ordinality)
  loop
    perform billing_private.dispatch_events(kind.type, kind.events);
  end loop;
end;
$$;

comment on function billing_private.project_wave is 'Stores events that concern nothing in common and projects them, those of one type together.';
