-- Dropping payloads: by the month, not row by row; what is still needed is kept.
-- Reads: failed_webhooks, subscriptions, invoices, customers, object_versions, webhook_events.
-- Writes: webhook_payloads, kept_payloads, audit_events. Called by: the tick, every day; operators.

create function billing_private.needed_payloads()
returns setof text
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  -- Failures are projected again. What names no customer is found by its payload when a person is forgotten, and so is
  -- the error that it left.
  select f.event_id
  from billing.failed_webhooks as f
  join billing.webhook_events as e on e.id = f.event_id
  where f.status <> 'resolved' or e.customer_id is null
  union
  -- What is told of objects that go on is told by their newest events: a price with its discounts, whom an invoice
  -- bills, whether a customer lives under a test clock.
  select k.event_id
  from (
    select s.id from billing.subscriptions as s where s.status not in ('canceled', 'incomplete_expired')
    union all
    select i.id from billing.invoices as i where i.status in ('draft', 'open', 'uncollectible')
    union all
    select c.id from billing.customers as c where c.livemode is not true and c.deleted_at is null
  ) as o
  cross join lateral (
    select v.event_id from billing_private.object_versions as v where v.object_id = o.id and v.event_id is not null
    union all
    select e.id
    from billing.webhook_events as e
    where e.object_id = o.id
      and e.created = (select max(n.created) from billing.webhook_events as n where n.object_id = o.id)
  ) as k;
end;
$$;

comment on function billing_private.needed_payloads is
  'Events whose payload is needed whatever its age: of failures that are not resolved, and the newest of objects that go on.';

create function billing_private.drop_kept_payloads(p_needed text[])
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  dropped bigint;
begin
  delete from billing_private.kept_payloads as k
  where not exists (select from unnest(p_needed) as n (id) where n.id = k.event_id);
  get diagnostics dropped = row_count;
  return dropped;
end;
$$;

comment on function billing_private.drop_kept_payloads is 'Drops of the payloads that were kept those that are needed no more. Returns how many.';

create function billing_private.drop_stray_payloads(p_before timestamptz, p_needed text[])
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  most_dropped constant integer := 10000;
  dropped bigint;
  kept bigint;
begin
  with old as (
    delete from billing_private.webhook_payloads_default as d
    where d.ctid = any (array(
      select o.ctid from billing_private.webhook_payloads_default as o where o.received_at < p_before limit most_dropped
    ))
    returning d.event_id, d.received_at, d.customer_id, d.payload
  ),
  needed as (
    insert into billing_private.kept_payloads (event_id, received_at, customer_id, payload)
    select o.event_id, o.received_at, o.customer_id, o.payload
    from old as o
    where o.event_id in (select n.id from unnest(p_needed) as n (id))
    on conflict (event_id) do nothing
    returning event_id
  )
  select (select count(*) from old), (select count(*) from needed) into dropped, kept;
  return dropped - kept;
end;
$$;

comment on function billing_private.drop_stray_payloads is
  'Drops what the default partition holds from before p_before, ten thousand rows at most. Returns how many were dropped and not kept.';

create function billing_private.drop_payload_partition(p_partition regclass, p_needed text[])
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  held bigint;
  kept bigint;
begin
  execute format('select count(*) from %s', p_partition) into held;
  -- Locked one by one, so that forget_user does not take out here what is copied meanwhile.
  execute format(
    'with needed as ('
    'select p.event_id, p.received_at, p.customer_id, p.payload from %s as p '
    'where p.event_id in (select n.id from unnest($1) as n (id)) for share of p) '
    'insert into billing_private.kept_payloads (event_id, received_at, customer_id, payload) '
    'select * from needed on conflict (event_id) do nothing',
    p_partition
  )
  using p_needed;
  get diagnostics kept = row_count;
  execute format('drop table %s', p_partition);
  return held - kept;
end;
$$;

comment on function billing_private.drop_payload_partition is
  'Drops a partition of webhook_payloads, after what is needed of it was kept. Returns how many payloads are gone.';

create function billing_private.drop_payloads(p_before timestamptz, p_now timestamptz)
returns bigint
language plpgsql
set search_path = ''
set lock_timeout = '1s'
as $$
declare
  needed text[];
  oldest record;
  dropped bigint;
begin
  -- Stripe sends what happened up to 30 days ago. What happened in one second is compared by payloads.
  if p_before is null or p_before > p_now - interval '35 days' then
    perform billing_private.raise_error('DU034', format('payloads of %s and later are still needed', p_now - interval '35 days'));
  end if;
  -- Not while a person is being forgotten: what is copied here would be found by them neither where it was nor where it is.
  perform pg_advisory_xact_lock(hashtextextended('payloads', 7313));
  needed := array(select billing_private.needed_payloads());
  dropped := billing_private.drop_kept_payloads(needed) + billing_private.drop_stray_payloads(p_before, needed);

  select i.inhrelid::regclass as partition, format('billing_private.%I', c.relname) as name, m.month
  into oldest
  from pg_catalog.pg_inherits as i
  join pg_catalog.pg_class as c on c.oid = i.inhrelid and c.relname ~ '^webhook_payloads_[0-9]{4}_[0-9]{2}$'
  cross join lateral (select to_date(right(c.relname, 7), 'YYYY_MM')::timestamp as month) as m
  where i.inhparent = 'billing_private.webhook_payloads'::regclass
    and (m.month + interval '1 month') at time zone 'UTC' <= p_before
  order by m.month
  limit 1;
  -- Its lock is held to the end of the transaction, so there is one at a time.
  if found then
    dropped := dropped + billing_private.drop_payload_partition(oldest.partition, needed);
  elsif dropped = 0 then
    return null;
  end if;

  perform billing_private.audit(
    'payloads.dropped', 'system', coalesce(oldest.name, 'billing_private.webhook_payloads_default'), null,
    jsonb_build_object('dropped', dropped, 'before', p_before, 'kept', (select count(*) from billing_private.kept_payloads)), p_now
  );
  return dropped;
end;
$$;

comment on function billing_private.drop_payloads is
  'Drops payloads that were received before p_before: the oldest month that has passed altogether, and what no partition was made for. The ledger stays, and so do the payloads that are needed (needed_payloads). Returns how many payloads are gone, null where there was nothing: call again until then, each time in a transaction of its own. Waits at most a second for a lock (55P03: try again later). Raises DU034 for an age under 35 days. Leaves an audit row.';
