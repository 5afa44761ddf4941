-- Health rows: what one check of the health view says. Each check is a row of one of the functions health_of_…
-- Reads: hourly_metrics. Called by: the functions health_of_….

create type billing_private.health_row as (
  name text,
  status text,
  value numeric,
  unit text,
  target text,
  meaning text,
  since timestamptz,
  cure text
);

comment on type billing_private.health_row is 'What one check says: a row of billing.health.';

create function billing_private.health_row(
  p_name text, p_status text, p_value numeric, p_unit text, p_target text, p_meaning text,
  p_since timestamptz default null, p_cure text default null
)
returns billing_private.health_row
language plpgsql
immutable
set search_path = ''
as $$
begin
  return row(
    p_name, p_status, p_value, p_unit, p_target, p_meaning,
    case when p_status <> 'green' then p_since end, case when p_status <> 'green' then p_cure end
  )::billing_private.health_row;
end;
$$;

comment on function billing_private.health_row(text, text, numeric, text, text, text, timestamptz, text) is
  'A row of the health view. What is green has no since and no cure.';

create function billing_private.light(p_is_red boolean, p_is_amber boolean default false)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case when p_is_red then 'red' when p_is_amber then 'amber' else 'green' end;
end;
$$;

comment on function billing_private.light is 'red, amber or green. What is not known (null) is not true.';

create function billing_private.counted(p_number bigint, p_one text, p_more text default null, p_most bigint default null)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return format(
    '%s%s %s', case when p_number >= p_most then 'at least ' end, coalesce(p_number, 0),
    case when p_number = 1 then p_one else coalesce(p_more, p_one || 's') end
  );
end;
$$;

comment on function billing_private.counted is '"1 event", "2 events"; at least, where counting ended at p_most.';

create function billing_private.in_words(p_time interval)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  seconds constant numeric := floor(greatest(extract(epoch from p_time), 0));
begin
  return case
    when seconds < 120 then billing_private.counted(seconds::bigint, 'second')
    when seconds < 7200 then billing_private.counted(floor(seconds / 60)::bigint, 'minute')
    when seconds < 172800 then billing_private.counted(floor(seconds / 3600)::bigint, 'hour')
    else billing_private.counted(floor(seconds / 86400)::bigint, 'day')
  end;
end;
$$;

comment on function billing_private.in_words is 'A duration as people say it, in the unit that fits, rounded down.';

create function billing_private.metrics_between(p_from timestamptz, p_to timestamptz)
returns billing.hourly_metrics
language plpgsql
stable
set search_path = ''
as $$
declare
  sums billing.hourly_metrics;
begin
  select
    coalesce(sum(h.events), 0), coalesce(sum(h.failed), 0), coalesce(sum(h.quarantined), 0), coalesce(sum(h.duplicates), 0),
    coalesce(sum(h.emails_sent), 0), coalesce(sum(h.emails_delivered), 0), coalesce(sum(h.emails_bounced), 0),
    coalesce(sum(h.cases_ended), 0), coalesce(sum(h.cases_ended_by_payment), 0), max(h.last_event_at),
    array[
      sum(h.slow[1]), sum(h.slow[2]), sum(h.slow[3]), sum(h.slow[4]), sum(h.slow[5]), sum(h.slow[6]), sum(h.slow[7]), sum(h.slow[8]),
      sum(h.slow[9])
    ]::bigint[]
  into
    sums.events, sums.failed, sums.quarantined, sums.duplicates, sums.emails_sent, sums.emails_delivered, sums.emails_bounced,
    sums.cases_ended, sums.cases_ended_by_payment, sums.last_event_at, sums.slow
  from billing.hourly_metrics as h
  where h.hour >= p_from and h.hour < p_to;
  return sums;
end;
$$;

comment on function billing_private.metrics_between is
  'The sums of the hours from p_from on, before p_to. Of the other columns of the row, only last_event_at is set.';
