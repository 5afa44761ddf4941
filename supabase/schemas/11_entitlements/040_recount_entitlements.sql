-- Recount: what changes for many owners at once, or by the clock alone, is worked off by the tick in small transactions.
-- Reads: changed_features, subscription_items, entitlements. Writes: entitlements; outbox. Called by: the tick; projection.

create function billing_private.recount_subscribers(
  p_kind text, p_object_id text, p_after text, p_limit integer, p_now timestamptz, out counted integer, out reached text
)
language plpgsql
set search_path = ''
as $$
declare
  subscribed text[];
begin
  if p_kind = 'product' then
    select array_agg(b.subscription), count(*), max(b.id)
    into subscribed, counted, reached
    from (
      select i.id, i.subscription
      from billing.subscription_items as i
      where i.product = p_object_id and i.id > p_after
      order by i.id
      limit p_limit
    ) as b;
  else
    select array_agg(b.subscription), count(*), max(b.id)
    into subscribed, counted, reached
    from (
      select i.id, i.subscription
      from billing.subscription_items as i
      where i.price = p_object_id and i.id > p_after
      order by i.id
      limit p_limit
    ) as b;
  end if;
  if counted > 0 then
    perform billing_private.refresh_entitlements_of(
      array(
        select c.owner_id
        from billing.subscriptions as s
        join billing.customers as c on c.id = s.customer
        where s.id = any (subscribed)
      ),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.recount_subscribers is
  'Computes anew the entitlements of those who subscribe to a product or price: at most p_limit subscription items, in order of id, after p_after. Returns how many items there were, and the last one''s id.';

create function billing_private.recount_entitlements(p_now timestamptz, p_limit integer default 200)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  changed billing_private.changed_features;
  batch record;
begin
  select *
  into changed
  from billing_private.changed_features as f
  -- By then every projection that could not see the change has ended: the API gives it 8 seconds.
  where f.changed_at <= p_now - interval '10 seconds'
  order by f.changed_at, f.kind, f.object_id
  limit 1
  for update skip locked;
  if not found then
    return false;
  end if;
  batch := billing_private.recount_subscribers(changed.kind, changed.object_id, changed.reached, p_limit, p_now);
  if batch.counted < p_limit then
    delete from billing_private.changed_features as f where f.kind = changed.kind and f.object_id = changed.object_id;
  else
    update billing_private.changed_features as f
    set reached = batch.reached
    where f.kind = changed.kind and f.object_id = changed.object_id;
  end if;
  return true;
end;
$$;

comment on function billing_private.recount_entitlements is
  'Computes anew the next p_limit subscribers of a product or price whose features or limits changed. Returns false when none is left. Run by the tick every minute, a transaction for each batch, so that no user waits long for their turn.';

create function billing_private.recheck_entitlements(p_now timestamptz, p_limit integer default 1000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  stale record;
  asked integer := 0;
begin
  for stale in
    select distinct s.id, k.dedupe_key
    from billing.entitlements as e
    cross join lateral unnest(e.sources) as source (id)
    join billing.subscriptions as s on s.id = source.id
    cross join lateral format('recheck:%s:%s', s.id, to_char(p_now at time zone 'UTC', 'YYYY-MM-DD')) as k (dedupe_key)
    -- Stripe sends a renewal within the hour. After a week of the same answer it is a clock that stands still.
    where e.valid_until between p_now - interval '7 days' and p_now - interval '1 hour'
      and not exists (select from billing.outbox as o where o.dedupe_key = k.dedupe_key)
    limit p_limit
  loop
    perform billing_private.enqueue(
      'refresh',
      stale.dedupe_key,
      jsonb_strip_nulls(jsonb_build_object(
        'object', 'subscription', 'id', stale.id, 'account', (select s.stripe_account from billing.settings as s)
      )),
      p_now
    );
    asked := asked + 1;
  end loop;
  return asked;
end;
$$;

comment on function billing_private.recheck_entitlements is
  'Owes a read from Stripe of subscriptions that still grant something an hour past what was paid for: once a day each, for a week. Access stays until Stripe''s answer. Run by the tick every minute. Returns how many.';
