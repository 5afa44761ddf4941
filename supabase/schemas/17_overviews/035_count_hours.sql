-- Counting hours: what hourly_metrics holds, counted from the tables by ranges of their indexes. An event pays nothing for it.
-- Reads: webhook_events, webhook_duplicates, failed_webhooks, emails, dunning cases. Writes: hourly_metrics, slow_events.
-- Called by: the tick, every minute.

create function billing_private.count_hour(p_hour timestamptz, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  until constant timestamptz := p_hour + interval '1 hour';
  counted billing.hourly_metrics;
begin
  counted.hour := p_hour;
  select count(*), max(e.received_at) into counted.events, counted.last_event_at
  from billing.webhook_events as e
  where e.received_at >= p_hour and e.received_at < until;

  select count(*) into counted.duplicates
  from billing.webhook_duplicates as d
  where d.received_at >= p_hour and d.received_at < until;

  select
    coalesce(sum(k.n) filter (where k.status <> 'quarantined'), 0),
    coalesce(sum(k.n) filter (where k.status = 'dead'), 0),
    coalesce(sum(k.n) filter (where k.status = 'quarantined'), 0),
    coalesce(jsonb_object_agg(k.kind, k.of_kind) filter (where k.status <> 'quarantined'), '{}')
  into counted.failed, counted.dead, counted.quarantined, counted.failed_kinds
  from (
    select
      f.status, coalesce(f.error ->> 'sqlstate', 'unknown') as kind, count(*) as n,
      sum(count(*)) over (partition by f.status = 'quarantined', coalesce(f.error ->> 'sqlstate', 'unknown')) as of_kind
    from billing.failed_webhooks as f
    where f.first_failed_at >= p_hour and f.first_failed_at < until
    group by 1, 2
  ) as k;

  select
    count(*) filter (where m.sent_at is not null),
    count(*) filter (where m.status in ('delivered', 'complained')),
    count(*) filter (where m.status in ('bounced', 'failed') and m.sent_at is not null)
  into counted.emails_sent, counted.emails_delivered, counted.emails_bounced
  from billing.emails as m
  -- Of that age all have a text, and the index is of those.
  where m.created_at >= p_hour and m.created_at < until and m.text <> '';

  select count(*), count(*) filter (where c.outcome = 'recovered') into counted.cases_ended, counted.cases_ended_by_payment
  from billing.dunning_cases as c
  where c.closed_at >= p_hour and c.closed_at < until and c.status = 'closed';

  if greatest(counted.events, counted.failed, counted.quarantined, counted.duplicates, counted.emails_sent, counted.cases_ended) = 0 then
    return false;
  end if;
  insert into billing.hourly_metrics as h (
    hour, events, failed, failed_kinds, dead, quarantined, duplicates, emails_sent, emails_delivered, emails_bounced,
    cases_ended, cases_ended_by_payment, last_event_at, counted_at
  )
  values (
    p_hour, counted.events, counted.failed, counted.failed_kinds, counted.dead, counted.quarantined, counted.duplicates,
    counted.emails_sent, counted.emails_delivered, counted.emails_bounced,
    counted.cases_ended, counted.cases_ended_by_payment, counted.last_event_at, p_now
  )
  on conflict (hour) do update set
    events = excluded.events, failed = excluded.failed, failed_kinds = excluded.failed_kinds, dead = excluded.dead,
    quarantined = excluded.quarantined, duplicates = excluded.duplicates, emails_sent = excluded.emails_sent,
    emails_delivered = excluded.emails_delivered, emails_bounced = excluded.emails_bounced,
    cases_ended = excluded.cases_ended, cases_ended_by_payment = excluded.cases_ended_by_payment,
    last_event_at = excluded.last_event_at, counted_at = excluded.counted_at
  where (
      h.events, h.failed, h.failed_kinds, h.dead, h.quarantined, h.duplicates, h.emails_sent, h.emails_delivered,
      h.emails_bounced, h.cases_ended, h.cases_ended_by_payment
    ) is distinct from (
      excluded.events, excluded.failed, excluded.failed_kinds, excluded.dead, excluded.quarantined, excluded.duplicates,
      excluded.emails_sent, excluded.emails_delivered, excluded.emails_bounced, excluded.cases_ended, excluded.cases_ended_by_payment
    )
    -- Counted after its end: the next time is later.
    or p_now >= until + interval '1 hour';
  return true;
end;
$$;

comment on function billing_private.count_hour is
  'Counts one hour anew and keeps it in hourly_metrics. An hour in which nothing happened has no row. Returns whether something did.';

create function billing_private.count_slow_events(p_now timestamptz, p_limit integer default 5000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  bounds constant integer[] := billing_private.latency_bounds();
  done integer;
begin
  -- Nearly always.
  if not exists (select from billing_private.slow_events) then
    return 0;
  end if;
  with taken as (
    delete from billing_private.slow_events as s
    where s.id = any (array(select o.id from billing_private.slow_events as o order by o.id limit p_limit))
    returning date_trunc('hour', s.received_at, 'UTC') as hour, least(width_bucket(s.milliseconds, bounds), 9) as class, s.events
  ),
  classes as (
    select t.hour, t.class, sum(t.events) as events from taken as t where t.class > 0 group by t.hour, t.class
  ),
  hours as (
    select
      c.hour,
      (
        select array_agg(coalesce(k.events, 0)::bigint order by n.class)
        from generate_series(1, 9) as n (class)
        left join classes as k on k.hour = c.hour and k.class = n.class
      ) as slow
    from classes as c
    group by c.hour
  ),
  kept as (
    insert into billing.hourly_metrics as h (hour, slow, counted_at)
    select o.hour, o.slow, p_now from hours as o
    on conflict (hour) do update set
      slow = (select array_agg(a.n + b.n order by a.i) from unnest(h.slow) with ordinality as a (n, i) join unnest(excluded.slow) with ordinality as b (n, i) using (i))
  )
  select count(*) into done from taken;
  return done;
end;
$$;

comment on function billing_private.count_slow_events is
  'Takes what slow_events holds, at most p_limit rows, into hourly_metrics. Returns how many rows.';

create function billing_private.hour_to_count_again(p_now timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select h.hour
    from billing.hourly_metrics as h
    where h.hour >= p_now - interval '7 days'
      and h.hour < p_now - interval '2 hours'
      and h.counted_at < h.hour + interval '3 days'
      and p_now >= h.hour + greatest(2 * (h.counted_at - h.hour), interval '2 hours')
    order by h.hour
    limit 1
  );
end;
$$;

comment on function billing_private.hour_to_count_again is
  'An hour that is over and is to be counted once more: each time it is twice as old as the last time, until it is more than three days old. Null: there is none.';

create function billing_private.count_hours(p_now timestamptz default now())
returns integer
language plpgsql
set search_path = ''
as $$
declare
  this_hour constant timestamptz := date_trunc('hour', p_now, 'UTC');
  done integer := billing_private.count_slow_events(p_now);
  up_to timestamptz;
  old_hour timestamptz;
begin
  if done > 0 then
    return done;
  end if;
  select c.up_to into up_to from billing_private.counted_hours as c;
  if up_to is null then
    -- The windows go back four weeks. Of an installation that has just been made there is nothing.
    update billing_private.counted_hours as c
    set up_to = case when exists (select from billing.webhook_events) then this_hour - interval '28 days' else this_hour end
    where c.id;
    return 1;
  elsif up_to < this_hour then
    perform billing_private.count_hour(up_to, p_now);
    update billing_private.counted_hours as c set up_to = c.up_to + interval '1 hour' where c.id;
    return 1;
  end if;
  old_hour := billing_private.hour_to_count_again(p_now);
  if old_hour is not null then
    perform billing_private.count_hour(old_hour, p_now);
    return 1;
  end if;
  -- What changes all the time is counted once a minute, and is no reason to begin again. Mails of the last hour still bounce.
  if extract(minute from p_now)::integer % 5 = 0 then
    perform billing_private.count_hour(this_hour - interval '1 hour', p_now);
  end if;
  perform billing_private.count_hour(this_hour, p_now);
  return 0;
end;
$$;

comment on function billing_private.count_hours is
  'Does one piece of the counting: events that took long, an hour that is over, or one that is counted again; when there is none of these, the current hour, and every five minutes the one before it. Run by the tick every minute, until it returns 0.';

create view billing.monthly_metrics with (security_invoker = true) as
select
  date_trunc('month', h.hour, 'UTC') as month,
  sum(h.events)::bigint as events,
  sum(h.failed)::bigint as failed,
  round(100.0 * sum(h.events - h.quarantined - h.failed) / nullif(sum(h.events - h.quarantined), 0), 3) as processed_percent,
  sum(h.quarantined)::bigint as quarantined,
  sum(h.duplicates)::bigint as duplicates,
  round(100.0 * sum(h.duplicates) / nullif(sum(h.events + h.duplicates), 0), 2) as duplicates_percent,
  sum(h.emails_sent)::bigint as emails_sent,
  sum(h.emails_delivered)::bigint as emails_delivered,
  sum(h.emails_bounced)::bigint as emails_bounced,
  sum(h.cases_ended)::bigint as cases_ended,
  sum(h.cases_ended_by_payment)::bigint as cases_ended_by_payment,
  round(100.0 * sum(h.cases_ended_by_payment) / nullif(sum(h.cases_ended), 0), 1) as recovered_percent
from billing.hourly_metrics as h
group by 1;

comment on view billing.monthly_metrics is
  'The sums of hourly_metrics by month (UTC), the month that is under way too.';
comment on column billing.monthly_metrics.month is 'When the month begins (UTC).';
comment on column billing.monthly_metrics.events is 'Events received.';
comment on column billing.monthly_metrics.failed is 'Of them, those whose projection failed at least once.';
comment on column billing.monthly_metrics.quarantined is 'Of the events, those of the wrong mode or account.';
comment on column billing.monthly_metrics.duplicates is 'Repeated deliveries.';
comment on column billing.monthly_metrics.emails_sent is 'Emails written in the month that Resend took.';
comment on column billing.monthly_metrics.emails_delivered is 'Of these, those that arrived.';
comment on column billing.monthly_metrics.emails_bounced is 'Of these, those that bounced or failed.';
comment on column billing.monthly_metrics.cases_ended is 'Dunning cases that came to their end.';
comment on column billing.monthly_metrics.cases_ended_by_payment is 'Of these, those that were paid with money.';
comment on column billing.monthly_metrics.processed_percent is 'Events that were processed without failure, of those that were tried.';
comment on column billing.monthly_metrics.duplicates_percent is 'Repeated deliveries of all deliveries.';
comment on column billing.monthly_metrics.recovered_percent is 'Dunning cases that ended by payment, of all that ended in the month.';

grant select on billing.monthly_metrics to service_role;
