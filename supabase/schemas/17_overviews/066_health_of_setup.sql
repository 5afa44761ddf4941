-- Health of the set-up: whether the project is what it is set to be, and nothing of its past or of Stripe's settings is left open.
-- Reads: settings, releases, outbound_calls, job_problems, drift, history, setup answers, partitions. Called by: health.

create function billing_private.health_of_mode()
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  known record;
begin
  select s.mode, s.project_ref, s.live_since into known from billing.settings as s;
  return next billing_private.health_row(
    'mode', billing_private.light(false, known.mode is distinct from 'live'), null, null, 'as set',
    case
      when known.mode = 'live' then format('live as %s%s', known.project_ref, ' since ' || to_char(known.live_since at time zone 'UTC', 'YYYY-MM-DD'))
      when billing_private.is_restoring() then 'a backup was restored, and the project is in mirror mode until it is live again: nothing is mailed or done'
      else format(
        'mirror mode: all is shown, and nothing is mailed or done; %s withheld',
        billing_private.counted(
          (select count(*) from (select from billing.outbox as o where o.status = 'withheld' limit 10000) as w), 'effect is', 'effects are', 10000
        )
      )
    end,
    coalesce((select max(r.restored_at) from billing.restores as r where r.finished_at is null), (select max(r.installed_at) from billing.releases as r)),
    case when billing_private.is_restoring() then 'npx duebase restored' else 'npx duebase go-live, once npx duebase doctor is not red' end
  );
end;
$$;

comment on function billing_private.health_of_mode is 'Health row: mirror or live. Mirror is amber: customers are told nothing.';

create function billing_private.health_of_project()
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  original constant text := (select s.project_ref from billing.settings as s);
  copy record;
  here constant text := billing.version();
  others record;
begin
  select j.problem, j.since into copy from billing.job_problems as j where j.job = 'project';
  return next billing_private.health_row(
    'project', billing_private.light(copy.problem is not null), null, null, 'as set',
    case
      when copy.problem is not null then regexp_replace(copy.problem, ': .*$', '')
      when original is null then 'no project is live yet'
      else format('only functions of %s work on this database', original)
    end,
    copy.since,
    'in a copy: leave it, or take duebase_functions_url out of its Vault; where this is the original now: npx duebase go-live'
  );

  select array_agg(distinct c.release order by c.release) as releases, min(c.answered_at) as since into others
  from billing.outbound_calls as c
  where c.release <> here;
  return next billing_private.health_row(
    'release',
    -- Functions of the release before work with this database; those of a later one do not.
    billing_private.light(
      others.releases is not null
        and exists (select from unnest(others.releases) as t (name) where not exists (select from billing.releases as r where r.release = t.name)),
      others.releases is not null
    ),
    null, null, 'as set',
    case
      when others.releases is null then format('release %s', here)
      else format('the database has release %s, and functions answered with %s', here, array_to_string(others.releases, ', '))
    end,
    others.since,
    'deploy our functions again (supabase functions deploy …, with their names), or push the migration: supabase db push --linked; npx duebase doctor compares all of them'
  );
end;
$$;

comment on function billing_private.health_of_project is
  'Health rows: whether a copy works here, and the release of the database and of the functions that have answered.';

create function billing_private.health_of_partitions(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  this_one constant text := to_char(p_now at time zone 'UTC', '"webhook_payloads_"YYYY_MM');
  next_one constant text := to_char(p_now at time zone 'UTC' + interval '7 days', '"webhook_payloads_"YYYY_MM');
  is_missing constant boolean := to_regclass('billing_private.' || this_one) is null or to_regclass('billing_private.' || next_one) is null;
  strays constant boolean := exists (select from billing_private.webhook_payloads_default);
begin
  return next billing_private.health_row(
    'payload-partitions', billing_private.light(is_missing, strays), null, null, 'made ahead',
    case
      when is_missing then format('payloads of %s have no partition of their own', to_char(p_now at time zone 'UTC' + interval '7 days', 'YYYY-MM'))
      when strays then 'some payloads lie in the default partition, and are moved when their month has one'
      else 'the partitions of this month and of the days ahead are there'
    end,
    coalesce((select d.received_at from billing_private.webhook_payloads_default as d limit 1), p_now),
    'the tick makes them every hour; what keeps it from that: select last_error from billing.tick_parts where part = ''payload-partitions''; no event is lost meanwhile'
  );
end;
$$;

comment on function billing_private.health_of_partitions is
  'Health row: whether the partitions of payloads are there, today''s and that of a week ahead.';

create function billing_private.health_of_drift(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  most constant integer := 1000;
  open record;
  mended record;
begin
  select count(*) as objects, min(o.since) as since, min(o.object_id) as first into open
  from (
    select d.object_id, min(d.found_at) as since
    from (select * from billing.drift as x where x.mended_at is null order by x.found_at limit most) as d
    group by d.object_id
  ) as o;
  select count(distinct d.object_id) as objects, min(d.found_at) as since into mended
  from (select * from billing.drift as x where x.found_at > p_now - interval '1 day' and x.found_at <= p_now limit most) as d;
  return next billing_private.health_row(
    'drift', billing_private.light(open.objects > 0, mended.objects > 0),
    case when open.objects > 0 then open.objects else mended.objects end, 'count', 'none',
    case
      when open.objects > 0 then format('%s otherwise than at Stripe, and could not be mended: %s', billing_private.counted(open.objects, 'object is', 'objects are', most), open.first)
      when mended.objects > 0 then format('%s otherwise than at Stripe within the last day, and mended', billing_private.counted(mended.objects, 'object was', 'objects were', most))
      else 'nothing is otherwise than at Stripe, as far as was compared'
    end,
    coalesce(open.since, mended.since),
    'select object_id, field, ours, stripes, why from billing.drift order by found_at desc; once you have put right what could not be mended: update billing.drift set mended_at = now() where mended_at is null and object_id = ''…'''
  );
end;
$$;

comment on function billing_private.health_of_drift is
  'Health row: what a comparison found different from Stripe: amber for a day where it was mended, red while it is not.';

create function billing_private.health_of_past(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  gaps record;
  open_questions text[];
begin
  select count(*) as kinds, string_agg(concat_ws(' ', g.amount, g.gap), '; ') as gaps, min(g.cure) as cure into gaps from billing.history_gaps(p_now) as g;
  return next billing_private.health_row(
    'history', billing_private.light(false, gaps.kinds > 0),
    gaps.kinds, 'count', 'nothing is missing',
    coalesce(gaps.gaps, 'nothing of the past is known to be missing'),
    (select max(r.installed_at) from billing.releases as r), gaps.cure
  );
  open_questions := array(
    select q.question
    from unnest(array['stripe_emails', 'stripe_retries']) as q (question)
    where not exists (select from billing.setup_answers as a where a.question = q.question and a.is_right)
  );
  return next billing_private.health_row(
    'stripe-settings', billing_private.light(false, cardinality(open_questions) > 0), null, null, 'as Duebase needs them',
    case
      when cardinality(open_questions) > 0 then format('nobody has said that Stripe''s own %s are set as they should be', replace(array_to_string(open_questions, ' and '), 'stripe_', ''))
      else format('as was said on %s', (select to_char(min(a.answered_at) at time zone 'UTC', 'YYYY-MM-DD') from billing.setup_answers as a))
    end,
    (select max(r.installed_at) from billing.releases as r),
    'npx duebase doctor asks, with the link to each setting'
  );
end;
$$;

comment on function billing_private.health_of_past is
  'Health rows: what of the past is missing (billing.history_gaps), and what only a person can say of Stripe''s settings.';
