-- Health of events: whether what Stripe sends arrives, is projected, and quickly.
-- Reads: hourly_metrics, failed_webhooks. Called by: check_health.

create function billing_private.health_of_latency(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  this_hour constant timestamptz := date_trunc('hour', p_now, 'UTC');
  enough constant integer := 20;
  recent billing.hourly_metrics := billing_private.metrics_between(this_hour - interval '1 hour', this_hour + interval '1 hour');
  hours integer := 2;
  share record;
begin
  if recent.events < enough then
    recent := billing_private.metrics_between(this_hour - interval '23 hours', this_hour + interval '1 hour');
    hours := 24;
  end if;
  for share in
    select f.fraction, f.name, billing_private.latency_percentile(f.fraction, recent.events, recent.slow) as took
    from (values (0.5, 'p50'), (0.95, 'p95'), (0.99, 'p99')) as f (fraction, name)
  loop
    return next billing_private.health_row(
      'event-latency-' || share.name,
      billing_private.light(recent.events >= enough and share.took >= 2000, recent.events >= enough and share.took >= 500),
      share.took, 'ms', 'under 500 ms',
      case
        when share.took is null then 'no event came within 24 hours, so nothing was measured'
        else format(
          '%s%% of %s of the last %s hours were stored and projected within %s ms',
          round(share.fraction * 100), billing_private.counted(recent.events, 'event'), hours, share.took
        )
      end,
      this_hour - interval '1 hour',
      'look for what the database waits for (Reports, Query performance in the dashboard) and for handlers of your own that take long: select hour, latency_p50, latency_p99 from billing.hourly_metrics order by hour desc'
    );
  end loop;
end;
$$;

comment on function billing_private.health_of_latency is
  'Health rows: how long events take from received_at until they are written, over this hour and the last one, or a day where fewer than 20 events came in these.';

create function billing_private.health_of_failures(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  most constant integer := 1000;
  this_hour constant timestamptz := date_trunc('hour', p_now, 'UTC');
  day constant billing.hourly_metrics := billing_private.metrics_between(this_hour - interval '23 hours', this_hour + interval '1 hour');
  -- Quarantined ones were never tried.
  tried constant bigint := day.events - day.quarantined;
  rate constant numeric := case when tried > 0 then round(100.0 * greatest(tried - day.failed, 0) / tried, 2) end;
  failed record;
  dead record;
begin
  return next billing_private.health_row(
    'events-processed',
    billing_private.light(rate < 99 and day.failed >= 10, rate < 99.95),
    rate, 'percent', '99.95 %',
    case
      when rate is null then 'no event came within 24 hours'
      else format('%s of %s of the last 24 hours were processed without failure', greatest(tried - day.failed, 0), billing_private.counted(tried, 'event'))
    end,
    case
      when rate < 100
        then (select min(f.first_failed_at) from billing.failed_webhooks as f where f.first_failed_at >= this_hour - interval '23 hours' and f.status <> 'quarantined')
    end,
    'see why: select event_id, status, error from billing.failed_webhooks order by last_failed_at desc; what is not dead is tried again by itself'
  );

  select count(*) as events, min(f.first_failed_at) as since,
    -- Not its message, which may quote what a customer wrote.
    string_agg(distinct coalesce(f.error ->> 'sqlstate', 'unknown'), ', ') as kinds
  into failed
  from (
    select * from billing.failed_webhooks as o
    where o.first_failed_at > p_now - interval '1 hour' and o.first_failed_at <= p_now and o.status <> 'quarantined'
    limit most
  ) as f;
  return next billing_private.health_row(
    'failed-events', billing_private.light(failed.events > 10, failed.events >= 10),
    failed.events, 'count', 'under 10 an hour',
    format(
      '%s failed within the last hour%s', billing_private.counted(failed.events, 'event', null, most),
      case when failed.events > 0 then format(', with SQLSTATE %s', failed.kinds) end
    ),
    failed.since,
    'many at once have one cause: select error, count(*) from billing.failed_webhooks where first_failed_at > now() - interval ''1 hour'' group by 1; put it right within half an hour, and the retries succeed by themselves'
  );

  select count(*) as events, min(f.last_failed_at) as since, (array_agg(f.event_id order by f.last_failed_at))[1] as event_id
  into dead
  from (select * from billing.failed_webhooks as o where o.status = 'dead' order by o.last_failed_at limit most) as f;
  return next billing_private.health_row(
    'dead-letters', billing_private.light(dead.events > 0),
    dead.events, 'count', 'none',
    case
      when dead.events = 0 then 'no event is dead'
      else format('%s could not be projected and %s out of tries, the first of them %s', billing_private.counted(dead.events, 'event', null, most), case when dead.events = 1 then 'is' else 'are' end, dead.event_id)
    end,
    dead.since,
    'select event_id, error from billing.failed_webhooks where status = ''dead''; put the cause right; then select billing.replay_failed_webhook(event_id)'
  );
end;
$$;

comment on function billing_private.health_of_failures is 'Health rows: events processed without failure, failed within the hour, and dead.';
