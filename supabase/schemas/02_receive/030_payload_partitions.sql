-- Partitions of payloads: made ahead, a month each. Nothing waits for them: what finds none goes to the default one, the
-- operator is told, and it is moved when its month has one.
-- Reads and writes: webhook_payloads. Writes: outbox (alerts). Called by: the tick, every hour.

create function billing_private.make_payload_partition(p_month timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  -- As many are moved well within a second, in which nobody reads payloads.
  most_moved constant integer := 10000;
  next_month constant timestamptz := (p_month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
  partition constant text := to_char(p_month at time zone 'UTC', '"webhook_payloads_"YYYY_MM');
  strays integer;
begin
  if to_regclass('billing_private.' || partition) is not null then
    return false;
  end if;
  select count(*)
  into strays
  from (
    select from billing_private.webhook_payloads_default as d
    where d.received_at >= p_month and d.received_at < next_month
    limit most_moved + 1
  ) as s;
  if strays > most_moved then
    return false;
  end if;

  -- Made beside the table and attached: readers and writers of other months go on meanwhile.
  execute format('create table billing_private.%I (like billing_private.webhook_payloads)', partition);
  execute format('alter table billing_private.%I enable row level security', partition);
  execute format('create policy nobody_reads on billing_private.%I using (false)', partition);
  execute format('comment on table billing_private.%I is %L', partition, 'Payloads received in one month (UTC).');
  -- That of the whole is not fired where a partition is named.
  execute format(
    'create trigger payloads_are_never_truncated before truncate on billing_private.%I '
    'for each statement execute function billing_private.tg_append_only()',
    partition
  );
  if strays > 0 then
    lock table billing_private.webhook_payloads_default in access exclusive mode;
    execute format(
      'with moved as ('
      'delete from billing_private.webhook_payloads_default as d where d.received_at >= $1 and d.received_at < $2 returning d.*) '
      'insert into billing_private.%I select * from moved',
      partition
    )
    using p_month, next_month;
  end if;
  execute format(
    'alter table billing_private.webhook_payloads attach partition billing_private.%I for values from (%L) to (%L)',
    partition, p_month, next_month
  );
  return true;
end;
$$;

comment on function billing_private.make_payload_partition is
  'Makes the partition of a month (its first moment, UTC), with what the default one holds of it. Returns false where it is there already, or where the default one holds too much of it to be moved at once: that is dropped by age where it is.';

create function billing_private.make_payload_partitions(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
-- What waits for these locks holds up who comes after it.
set lock_timeout = '1s'
as $$
declare
  months_ahead constant integer := 3;
  strays record;
  month timestamptz;
  made integer := 0;
begin
  -- Payloads stay where they are while others are dropped or a person is forgotten, as drop_payloads has it: two runs, or
  -- a run and a drop, would wait for what the other one holds.
  if not pg_try_advisory_xact_lock(hashtextextended('payloads', 7313)) then
    return 0;
  end if;
  select count(*) as rows, min(d.received_at) as since into strays from billing_private.webhook_payloads_default as d;
  if strays.rows > 0 then
    perform billing_private.alert(
      'payloads_without_partition', jsonb_build_object('rows', strays.rows, 'since', strays.since), p_now
    );
  end if;
  for month in
    select m.month at time zone 'UTC'
    from (
      select date_trunc('month', p_now at time zone 'UTC') + make_interval(months => n) as month
      from generate_series(0, months_ahead) as n
      union
      select date_trunc('month', d.received_at at time zone 'UTC') from billing_private.webhook_payloads_default as d
    ) as m
    order by 1
  loop
    begin
      made := made + billing_private.make_payload_partition(month)::integer;
    exception when lock_not_available or deadlock_detected or check_violation then
      -- Somebody read or wrote there in this moment. The next run tries again, and until then nothing is lost.
      continue;
    end;
  end loop;
  return made;
end;
$$;

comment on function billing_private.make_payload_partitions is
  'Makes the partitions of this month and the next three, and of whatever month the default one holds payloads of, which is alerted. Waits at most a second for a lock, and leaves the rest to the next run; all of it while a person is forgotten, payloads are dropped, or another run is at it. Returns how many were made.';

select billing_private.make_payload_partitions(now());
