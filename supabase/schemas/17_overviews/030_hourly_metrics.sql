-- Hourly metrics: what came in, what failed, how long it took and what became of it, hour by hour. Windows of the health view
-- are sums of these rows and never scans of what they count.
-- Reads: webhook_events, webhook_duplicates, failed_webhooks, slow_events, emails, dunning cases. Written by: the tick.

create function billing_private.latency_bounds()
returns integer[]
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array[10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000];
end;
$$;

comment on function billing_private.latency_bounds is
  'Upper bounds of the classes in which hourly_metrics counts how long events took, in milliseconds. What took longer than the last is in its class.';

create function billing_private.latency_percentile(p_fraction double precision, p_events bigint, p_slow bigint[])
returns integer
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  bounds integer[];
  counts bigint[];
  wanted constant double precision := p_fraction * p_events;
  below bigint := 0;
  lower_bound integer := 0;
begin
  if coalesce(p_events, 0) = 0 then
    return null;
  end if;
  bounds := billing_private.latency_bounds();
  counts := array[greatest(p_events - (select coalesce(sum(s.n), 0) from unnest(p_slow) as s (n)), 0)::bigint] || p_slow;
  for i in 1 .. cardinality(bounds) loop
    if below + coalesce(counts[i], 0) >= wanted and counts[i] > 0 then
      return round(lower_bound + (bounds[i] - lower_bound) * (wanted - below) / counts[i]);
    end if;
    below := below + coalesce(counts[i], 0);
    lower_bound := bounds[i];
  end loop;
  return bounds[cardinality(bounds)];
end;
$$;

comment on function billing_private.latency_percentile is
  'The time in milliseconds within which that share of p_events was committed; within a class, in proportion. p_slow: how many there are in each class but the first, which has the rest. Null without events.';

create table billing.hourly_metrics (
  hour timestamptz primary key,
  events integer not null default 0,
  failed integer not null default 0,
  failed_kinds jsonb not null default '{}',
  dead integer not null default 0,
  quarantined integer not null default 0,
  duplicates integer not null default 0,
  slow bigint[] not null default array[0, 0, 0, 0, 0, 0, 0, 0, 0]::bigint[],
  latency_p50 integer generated always as (billing_private.latency_percentile(0.5, events, slow)) stored,
  latency_p95 integer generated always as (billing_private.latency_percentile(0.95, events, slow)) stored,
  latency_p99 integer generated always as (billing_private.latency_percentile(0.99, events, slow)) stored,
  emails_sent integer not null default 0,
  emails_delivered integer not null default 0,
  emails_bounced integer not null default 0,
  cases_ended integer not null default 0,
  cases_ended_by_payment integer not null default 0,
  last_event_at timestamptz,
  counted_at timestamptz not null,
  constraint hour_is_a_full_hour check (hour = date_trunc('hour', hour, 'UTC')),
  constraint slow_has_a_count_for_each_class check (cardinality(slow) = 9)
)
-- The row of the current hour is written every minute in which something came.
with (fillfactor = 50);

comment on table billing.hourly_metrics is
  'What happened in each hour in which something did. The tick counts the current hour every minute, and an hour that is over again and again for six days, ever less often, as bounces come late. It is counted anew from the tables each time: what was counted wrongly is right the next time.';
comment on column billing.hourly_metrics.hour is 'When the hour begins (UTC).';
comment on column billing.hourly_metrics.events is 'Events received and stored, the failed and the quarantined ones too.';
comment on column billing.hourly_metrics.failed is 'Of them, those whose projection failed at least once, also if a retry succeeded.';
comment on column billing.hourly_metrics.failed_kinds is 'How many of these there are of each SQLSTATE.';
comment on column billing.hourly_metrics.dead is 'Of the failed ones, those that are out of tries, when last counted.';
comment on column billing.hourly_metrics.quarantined is 'Of the events, those of the wrong mode or account, when last counted.';
comment on column billing.hourly_metrics.duplicates is 'Repeated deliveries of events that were stored before.';
comment on column billing.hourly_metrics.slow is
  'How many events took 10 to 25 milliseconds from received_at until all of them was written, then up to 50, 100, 250, 500, 1000, 2500, 5000, and longer. All others were quicker.';
comment on column billing.hourly_metrics.latency_p50 is
  'Milliseconds from received_at within which half of the events were written and ready to commit. A commit itself is one write to the disk more.';
comment on column billing.hourly_metrics.latency_p95 is 'The same for 95 of 100 events.';
comment on column billing.hourly_metrics.latency_p99 is 'The same for 99 of 100 events.';
comment on column billing.hourly_metrics.emails_sent is 'Emails that were written in this hour and that Resend took, whenever it did.';
comment on column billing.hourly_metrics.emails_delivered is 'Of these, those that are known to have arrived.';
comment on column billing.hourly_metrics.emails_bounced is 'Of these, those that are known not to have: bounced or failed.';
comment on column billing.hourly_metrics.cases_ended is 'Dunning cases that came to their end.';
comment on column billing.hourly_metrics.cases_ended_by_payment is 'Of these, those that were paid with money (recovered).';
comment on column billing.hourly_metrics.last_event_at is 'When the last event of the hour was received (UTC).';
comment on column billing.hourly_metrics.counted_at is 'When it was last counted and differed (UTC), or first counted after its end.';

alter table billing.hourly_metrics enable row level security;
create policy service_role_reads on billing.hourly_metrics for select to service_role using (true);
grant select on billing.hourly_metrics to service_role;

create table billing_private.counted_hours (
  id boolean primary key default true,
  up_to timestamptz,
  constraint counted_hours_is_one_row check (id)
);

comment on table billing_private.counted_hours is 'One row: how far hourly_metrics has come.';
comment on column billing_private.counted_hours.up_to is
  'Every hour before this one (UTC) was counted after its end. Null: none was, and none is missing.';

alter table billing_private.counted_hours enable row level security;
create policy nobody_reads on billing_private.counted_hours using (false);
insert into billing_private.counted_hours default values;
