-- Health of arrival: whether Stripe's webhooks still come, once each, and from the account and mode that is mirrored here.
-- Reads: webhook_events, hourly_metrics, failed_webhooks, missed_webhooks, job_problems. Called by: health.

create function billing_private.expected_events(p_from timestamptz, p_to timestamptz)
returns table (weeks integer, expected numeric)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
    with known as (
      -- Whole weeks back from the silence, at most four: as much as the same hours of each week have shown.
      select least(floor(extract(epoch from p_from - min(h.hour)) / 604800), 4)::integer as weeks
      from billing.hourly_metrics as h
      where h.hour >= p_from - interval '29 days' and h.events > 0
    ),
    silence as (
      select
        floor(extract(epoch from p_to - p_from) / 604800)::integer as weeks,
        p_from + (p_to - p_from) - floor(extract(epoch from p_to - p_from) / 604800) * interval '168 hours' as rest_to
    ),
    slots as (
      -- The hours of the first week of the silence, and how often it covers each: whole weeks, and what is left over.
      select
        s.slot,
        l.weeks + greatest(extract(epoch from least(l.rest_to, s.slot + interval '1 hour') - greatest(p_from, s.slot)) / 3600, 0) as share
      from silence as l
      cross join generate_series(
        date_trunc('hour', p_from, 'UTC'), least(p_to, p_from + interval '167 hours'), interval '1 hour'
      ) as s (slot)
    ),
    rhythm as (
      select
        s.slot, s.share,
        count(h.hour) as active,
        case when count(h.hour) = k.weeks then min(h.events) else 0 end as least_events,
        k.weeks
      from slots as s
      cross join known as k
      left join billing.hourly_metrics as h
        on h.events > 0
        and h.hour in (s.slot - interval '7 days', s.slot - interval '14 days', s.slot - interval '21 days', s.slot - interval '28 days')
        and h.hour >= p_from - make_interval(weeks => k.weeks) - interval '1 hour'
      group by s.slot, s.share, k.weeks
    )
    select
      (select k.weeks from known as k),
      -- One payment is about ten events. An hour in which some came counts once, or as often as ten did at the least.
      round(sum(r.share * greatest(r.active / (r.weeks + 1.0), r.least_events / 10.0)), 2)
    from rhythm as r;
end;
$$;

comment on function billing_private.expected_events is
  'How many times something should have been heard from Stripe between these times, by the same hours of the same days of up to four weeks before (weeks). Nights and weekends in which nothing came then count nothing.';

create function billing_private.health_of_silence(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Below it nothing is silent, however much came before.
  floor_of_silence constant interval := interval '1 hour';
  last_at constant timestamptz := (select max(e.received_at) from billing.webhook_events as e where e.received_at <= p_now);
  silence constant interval := p_now - last_at;
  weeks integer;
  expected numeric;
begin
  if silence >= floor_of_silence then
    select u.weeks, u.expected into weeks, expected from billing_private.expected_events(last_at, p_now) as u;
  end if;
  return next billing_private.health_row(
    'silence',
    billing_private.light(
      weeks >= 1 and expected >= 12 and silence >= 2 * floor_of_silence,
      last_at is null or (weeks >= 1 and expected >= 6)
    ),
    round(extract(epoch from silence)), 'seconds', 'no longer than is usual here',
    case
      when last_at is null then 'no event has come yet'
      when silence < floor_of_silence then format('the last event came %s ago', billing_private.in_words(silence))
      when coalesce(weeks, 0) < 1 then format('the last event came %s ago; what is usual here is known after a week with events', billing_private.in_words(silence))
      else format(
        'the last event came %s ago, and by the weeks before about %s should have been heard by now', billing_private.in_words(silence),
        billing_private.counted(round(expected)::bigint, 'thing')
      )
    end,
    coalesce(last_at, p_now),
    'see in Stripe (Developers, Webhooks) that the endpoint is enabled and what it was answered; npx duebase doctor names what is wrong; npx duebase reconcile brings in what was missed'
  );
end;
$$;

comment on function billing_private.health_of_silence is
  'Health row: no event for longer than is usual at these hours of the week: amber once six things should have been heard, red once twelve should, and after two hours at the earliest.';

create function billing_private.health_of_duplicates(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  this_hour constant timestamptz := date_trunc('hour', p_now, 'UTC');
  recent constant billing.hourly_metrics := billing_private.metrics_between(this_hour - interval '1 hour', this_hour + interval '1 hour');
  before constant billing.hourly_metrics := billing_private.metrics_between(this_hour - interval '7 days', this_hour - interval '1 hour');
  share constant numeric := round(100.0 * recent.duplicates / nullif(recent.events + recent.duplicates, 0), 1);
  usual constant numeric := round(100.0 * before.duplicates / nullif(before.events + before.duplicates, 0), 1);
begin
  return next billing_private.health_row(
    'duplicates',
    billing_private.light(
      recent.duplicates >= 100 and share > 50 and share > 3 * coalesce(usual, 0),
      recent.duplicates >= 20 and share > 20 and share > 3 * coalesce(usual, 0)
    ),
    coalesce(share, 0), 'percent', 'shown',
    format(
      '%s of the last two hours were repeated deliveries, %s%% of all; in the week before it was %s%%',
      billing_private.counted(recent.duplicates, 'delivery', 'deliveries'), coalesce(share, 0), coalesce(usual, 0)
    ),
    this_hour - interval '1 hour',
    'repetitions change nothing here, and Stripe sends them where it had no answer in time: see the answers at the endpoint in Stripe, the log of duebase-stripe-webhook, and that no second endpoint leads here'
  );
end;
$$;

comment on function billing_private.health_of_duplicates is
  'Health row: repeated deliveries of all, over this hour and the last one: amber or red where it jumps, three times as much as in the week before.';

create function billing_private.health_of_strays(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  most constant integer := 1000;
  withheld record;
  missed record;
  problem record;
begin
  select count(*) as events, min(f.first_failed_at) as since, max(f.last_failed_at) as last_at, min(f.error ->> 'message') as reason
  into withheld
  from (select * from billing.failed_webhooks as o where o.status = 'quarantined' order by o.last_failed_at desc limit most) as f;
  return next billing_private.health_row(
    'quarantined', billing_private.light(withheld.last_at > p_now - interval '1 day', withheld.events > 0),
    withheld.events, 'count', 'none',
    case
      when withheld.events = 0 then 'no event is quarantined'
      else format(
        '%s not projected, the last one %s ago: %s', billing_private.counted(withheld.events, 'event is', 'events are', most),
        billing_private.in_words(p_now - withheld.last_at), withheld.reason
      )
    end,
    withheld.since,
    'if they belong here, correct livemode or stripe_account in billing.settings, then: select billing.replay_failed_webhook(event_id) from billing.failed_webhooks where status = ''quarantined''; if not, remove the endpoint in Stripe that sends them'
  );

  select count(*) as events, min(m.found_at) as since into missed
  from (select * from billing.missed_webhooks as o where o.found_at > p_now - interval '1 day' and o.found_at <= p_now limit most) as m;
  select j.problem, j.since into problem from billing.job_problems as j where j.job = 'missed-webhooks';
  return next billing_private.health_row(
    'missed-webhooks', billing_private.light(problem.problem is not null, missed.events > 0),
    missed.events, 'count', 'none',
    case
      when problem.problem is not null then split_part(problem.problem, ': ', 1)
      when missed.events = 0 then 'no webhook was found missing within the last day'
      else format('%s within the last day, and none when it was last looked', billing_private.counted(missed.events, 'webhook was missed', 'webhooks were missed', most))
    end,
    coalesce(problem.since, missed.since),
    'see in Stripe that the endpoint is enabled, answers, and has every type (npx duebase connect adds what is missing): select * from billing.missed_webhooks order by found_at desc'
  );
end;
$$;

comment on function billing_private.health_of_strays is
  'Health rows: events of the wrong mode or account, red for a day after the last one; and events that Stripe''s list had and no webhook brought.';
