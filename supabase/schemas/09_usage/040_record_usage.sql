-- Recording usage: counted once per key, never over the limit, in the period that the owner is in.
-- Reads: subscriptions, subscription_usage. Writes: subscription_usage, usage_records.
-- Called by: the application, as service_role; the tick, which forgets old keys.

create table billing_private.usage_records (
  owner_id uuid not null,
  idempotency_key text not null,
  metric text not null,
  quantity bigint not null,
  recorded_at timestamptz not null,
  primary key (owner_id, idempotency_key)
);

comment on table billing_private.usage_records is
  'Which recordings were counted, for 90 days: a key that comes again within that time counts once.';

comment on column billing_private.usage_records.owner_id is 'Whose usage it was; forgotten with the owner.';
comment on column billing_private.usage_records.idempotency_key is 'As the application gave it, unique for an owner.';
comment on column billing_private.usage_records.metric is 'What was counted, and quantity how much: the same key for anything else is refused.';
comment on column billing_private.usage_records.quantity is 'Units of the metric.';
comment on column billing_private.usage_records.recorded_at is 'When (UTC).';

create index usage_records_by_age on billing_private.usage_records (recorded_at);
alter table billing_private.usage_records enable row level security;
create policy nobody_reads on billing_private.usage_records using (false);

create function billing_private.check_usage(p_owner_id uuid, p_metric text, p_quantity bigint, p_key text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_owner_id is null then
    perform billing_private.raise_error('DU012', 'usage of nobody: owner_id is null');
  elsif coalesce(p_metric, '') !~ '^[a-z0-9_]{1,60}$' then
    perform billing_private.raise_error('DU012', format('no metric can be called %L', left(p_metric, 80)));
  elsif p_quantity is null or p_quantity not between 1 and 1000000000000 then
    perform billing_private.raise_error('DU012', format('cannot record %s of %s', coalesce(p_quantity::text, 'null'), p_metric));
  elsif coalesce(btrim(p_key), '') = '' or length(p_key) > 255 then
    perform billing_private.raise_error('DU012', format('usage of %s has no usable idempotency key: %L', p_metric, left(p_key, 80)));
  end if;
end;
$$;

comment on function billing_private.check_usage is 'Refuses what cannot be recorded (DU012), saying why.';

create function billing_private.refuse_usage(p_owner_id uuid, p_left billing.usage_reading, p_quantity bigint)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_left.period_start is null then
    perform billing_private.raise_error('DU011', format('owner %s has no billing period for %s', p_owner_id, p_left.metric));
  end if;
  perform billing_private.raise_error_with(
    'DU010',
    format('over the limit of %s %s: %s used, %s more asked for', p_left.usage_limit, p_left.metric, p_left.used, p_quantity),
    to_jsonb(p_left) || jsonb_build_object('asked', p_quantity)
  );
end;
$$;

comment on function billing_private.refuse_usage is 'Raises DU011 where nothing allows the metric at all, else DU010 with what is left in DETAIL.';

create function billing_private.lock_usage(p_owner_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  locked bigint[];
begin
  loop
    locked := array(
      select u.id from billing.subscription_usage as u where u.owner_id = p_owner_id and u.is_open order by u.id for update
    );
    -- Whoever was waited for may have closed a period and opened another one, which that statement could not see.
    exit when not exists (
      select from billing.subscription_usage as u where u.owner_id = p_owner_id and u.is_open and u.id <> all (locked)
    );
  end loop;
end;
$$;

comment on function billing_private.lock_usage is
  'Takes the lock of an owner''s usage until commit: their open periods, the ones included that open while it waits.';

create function billing_private.count_usage(p_period billing.subscription_usage, p_quantity bigint)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_period.id is not null then
    update billing.subscription_usage as u set used = u.used + p_quantity where u.id = p_period.id;
    if not found then
      -- Of a subscription that began after the lock was taken, and changed again. The same key may be tried again.
      raise serialization_failure using message = 'billing: the period of this usage has just changed';
    end if;
  else
    insert into billing.subscription_usage (owner_id, subscription, metric, period_start, period_end, usage_limit, used, is_open)
    values (
      p_period.owner_id, p_period.subscription, p_period.metric, p_period.period_start, p_period.period_end, p_period.usage_limit, p_quantity,
      false
    );
  end if;
end;
$$;

comment on function billing_private.count_usage is 'Adds to a period, or begins the row of one that Stripe has not told of yet.';

create function billing_private.is_recorded(p_owner_id uuid, p_metric text, p_quantity bigint, p_key text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  earlier billing_private.usage_records;
begin
  select * into earlier from billing_private.usage_records as r where r.owner_id = p_owner_id and r.idempotency_key = p_key;
  if not found then
    return false;
  elsif (earlier.metric, earlier.quantity) is distinct from (p_metric, p_quantity) then
    perform billing_private.raise_error(
      'DU013', format('key %L recorded %s of %s, not %s of %s', left(p_key, 80), earlier.quantity, earlier.metric, p_quantity, p_metric)
    );
  end if;
  return true;
end;
$$;

comment on function billing_private.is_recorded is 'Whether this key was counted already. Raises DU013 where it was for something else.';

create function billing.record_usage(
  owner_id uuid, metric text, quantity bigint, idempotency_key text, p_now timestamptz default now()
)
returns billing.usage_reading
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
as $$
declare
  reading billing.usage_reading;
  period billing.subscription_usage;
  open_quantity bigint := quantity;
  part bigint;
begin
  perform billing_private.check_usage(owner_id, metric, quantity, idempotency_key);
  -- Recordings of one owner take turns by the owner's open periods, and so does an event that changes one of them: it is
  -- waited for, and the statements below see what it did. Not by the owner's advisory lock: events take that last.
  perform billing_private.lock_usage(owner_id);
  if billing_private.is_recorded(owner_id, metric, quantity, idempotency_key) then
    return billing_private.read_usage(owner_id, metric, p_now);
  end if;
  reading := billing_private.read_usage(owner_id, metric, p_now);
  if reading.period_start is null or quantity > reading.remaining then
    perform billing_private.refuse_usage(owner_id, reading, quantity);
  end if;

  insert into billing_private.usage_records values (owner_id, idempotency_key, metric, quantity, p_now);
  for period in select * from billing_private.usage_in_force(owner_id, metric, p_now) loop
    part := case when period.usage_limit is null then open_quantity else least(open_quantity, greatest(period.usage_limit - period.used, 0)) end;
    if part > 0 then
      perform billing_private.count_usage(period, part);
      open_quantity := open_quantity - part;
    end if;
  end loop;
  return billing_private.read_usage(owner_id, metric, p_now);
end;
$$;

comment on function billing.record_usage is
  'Counts usage of a metric, in the periods of the owner''s subscriptions, and returns what is used and left. A key counts once. Raises DU010 over the limit (nothing is counted; DETAIL says what is left), DU011 where no plan has the metric, DU012, DU013.';

create function billing_private.purge_usage_records(p_now timestamptz, p_limit integer default 100000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  purged integer;
begin
  delete from billing_private.usage_records as r
  where (r.owner_id, r.idempotency_key) in (
    select o.owner_id, o.idempotency_key
    from billing_private.usage_records as o
    where o.recorded_at < p_now - interval '90 days'
    limit p_limit
  );
  get diagnostics purged = row_count;
  return purged;
end;
$$;

comment on function billing_private.purge_usage_records is
  'Forgets keys older than 90 days, at most p_limit. What was used stays counted. Run by the tick every hour.';

grant execute on function billing.record_usage(uuid, text, bigint, text, timestamptz) to service_role;
