-- Missed webhooks: events that are in Stripe's list and never arrived. They come in through the door that every event takes.
-- Reads: webhook_events, history_runs. Writes: missed_webhooks, job_problems, and what receive_events writes. Called by: duebase-reconcile.

create table billing.missed_webhooks (
  event_id text primary key,
  type text not null,
  created timestamptz not null,
  found_at timestamptz not null,
  run_id bigint not null
);

comment on table billing.missed_webhooks is
  'Events that Stripe''s list had and no webhook brought within five minutes. They were received when they were found. Many of them: the webhook endpoint is switched off, refused, or lacks their types.';
comment on column billing.missed_webhooks.event_id is 'Event (billing.webhook_events.id).';
comment on column billing.missed_webhooks.created is 'When it happened at Stripe (UTC).';
comment on column billing.missed_webhooks.found_at is 'When it was found (UTC).';
comment on column billing.missed_webhooks.run_id is 'The run that found it (billing.history_runs.id).';

create index missed_webhooks_by_age on billing.missed_webhooks (found_at);
alter table billing.missed_webhooks enable row level security;
create policy service_role_reads on billing.missed_webhooks for select to service_role using (true);
grant select on billing.missed_webhooks to service_role;

create function billing.unknown_events(p_ids text[], p_types text[] default null)
returns jsonb
language sql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(i.id), '[]')
  from unnest(p_ids, p_types) as i (id, type)
  where not exists (select from billing.webhook_events as e where e.id = i.id)
    and (i.type is null or exists (select from billing.event_handlers as h where h.event_type = i.type));
$$;

comment on function billing.unknown_events is
  'Which of these events are not stored, and should be: p_types are their types, in the same order, and one that no handler takes is no webhook that an endpoint has to send (null: whatever they are). Asked before they are received: those that are stored would be counted as repeated deliveries.';

create function billing.receive_missed_events(p_run_id bigint, p_events jsonb, p_now timestamptz default now())
returns text[]
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  answers text[];
begin
  if jsonb_typeof(p_events) = 'array' and jsonb_array_length(p_events) = 1 then
    -- What needs a transaction of its own, as its caller was told.
    answers := array[billing.receive_event(p_events -> 0, p_now)];
  else
    answers := billing.receive_events(p_events, p_now);
  end if;
  insert into billing.missed_webhooks (event_id, type, created, found_at, run_id)
  select e.id, e.type, e.created, p_now, p_run_id
  from unnest(answers) with ordinality as a (answer, n)
  join billing.webhook_events as e on e.id = p_events -> (a.n::integer - 1) ->> 'id'
  join billing.history_runs as r on r.id = p_run_id and r.kind = 'events'
  where a.answer in ('processed', 'failed', 'quarantined')
  on conflict (event_id) do nothing;
  return answers;
end;
$$;

comment on function billing.receive_missed_events is
  'receive_events (receive_event for a single one), for events found in Stripe''s list: those that were not stored are counted in missed_webhooks, where a run of kind events found them. Answers and raises as receive_events does.';

create function billing_private.report_missed_webhooks(p_run_id bigint, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  missed record;
begin
  select count(*) as events, min(m.created) as since, mode() within group (order by m.type) as most
  into missed
  from billing.missed_webhooks as m
  where m.run_id = p_run_id;
  perform billing_private.record_job_problem(
    'missed-webhooks',
    case when missed.events > 0 then format(
      '%s webhooks were missed since %s UTC, most of type %s, and are in now: see that Stripe''s endpoint is enabled, answers, and has every type (duebase connect adds what is missing); select * from billing.missed_webhooks order by found_at desc',
      missed.events, to_char(missed.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), missed.most
    ) end,
    p_now
  );
end;
$$;

comment on function billing_private.report_missed_webhooks is
  'Keeps in job_problems how many webhooks a run of kind events found missing, until a run finds none.';

create function billing_private.forget_drift_of_late_events(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  forgotten integer;
begin
  delete from billing.drift as d
  where d.found_at > p_now - interval '3 hours'
    and exists (
      select
      from billing.webhook_events as e
      where e.object_id = d.object_id
        and e.received_at between d.found_at and d.found_at + interval '5 minutes'
        and e.created <= d.found_at
        and not exists (select from billing.missed_webhooks as m where m.event_id = e.id)
    );
  get diagnostics forgotten = row_count;
  return forgotten;
end;
$$;

comment on function billing_private.forget_drift_of_late_events is
  'Takes back drift whose event was only on its way when the comparison read the object. Returns how many rows.';

create function billing.due_history(p_now timestamptz default now())
returns jsonb
language plpgsql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  return (
    with last as (
      select r.kind, max(r.started_at) as started_at, max(r.started_at) filter (where r.status in ('complete', 'incomplete')) as ended_from,
        bool_or(r.status = 'running') as is_running
      from billing.history_runs as r
      group by r.kind
    ),
    events as (
      select
        coalesce(
          (select l.ended_from from last as l where l.kind = 'events'),
          -- Nobody has read events yet. A backfill reads those of its own time only, and the objects as they are: what was
          -- missed before it is not made up for by one that comes later.
          (select l.ended_from from last as l where l.kind = 'backfill'),
          (select min(e.received_at) from billing.webhook_events as e),
          p_now
        ) - interval '15 minutes' as since,
        coalesce(
          (select l.started_at from last as l where l.kind = 'events'),
          (select l.started_at from last as l where l.kind = 'backfill'),
          (select min(e.received_at) from billing.webhook_events as e)
        ) as last_read_at,
        coalesce(
          (select max(l.started_at) from last as l where l.kind = 'comparison'),
          (select min(e.received_at) from billing.webhook_events as e)
        ) as last_compared_at
    )
    select jsonb_build_object(
      'backfill', coalesce((select l.is_running from last as l where l.kind = 'backfill'), false),
      'events', coalesce(e.last_read_at <= p_now - interval '59 minutes', false)
        or exists (select from last as l where l.kind = 'events' and l.is_running),
      'events_from', greatest(e.since, p_now - interval '30 days'),
      -- Older than what Stripe lists: objects have to be read.
      'gap_from', case
        when e.since < p_now - interval '30 days'
          and not exists (
            select
            from billing.history_runs as r
            where r.kind = 'backfill' and r.started_at > e.since and (r.reads_since is null or r.reads_since <= e.since)
          )
        then e.since
      end,
      'comparison', coalesce(e.last_compared_at <= p_now - interval '1 day', false)
        or exists (select from last as l where l.kind = 'comparison' and l.is_running)
    )
    from events as e
  );
end;
$$;

comment on function billing.due_history is
  'For duebase-reconcile: what is due at p_now, {backfill, events, events_from, gap_from, comparison}. A backfill is due while one is running; events an hour, a comparison a day after the last one began, else after the first event came. gap_from: since when events are missing that Stripe''s list, which goes back 30 days, no longer has, and no backfill has read or is reading the objects of that time; null: none are.';

grant execute on function
  billing.unknown_events(text[], text[]),
  billing.receive_missed_events(bigint, jsonb, timestamptz),
  billing.due_history(timestamptz)
to service_role;

create function billing_private.wake_reconcile(p_now timestamptz default now())
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  due constant jsonb := billing.due_history(p_now);
begin
  -- Where Stripe has told nothing yet there is nothing to compare with.
  if not exists (select from billing.webhook_events) and not exists (select from billing.history_runs) then
    return false;
  elsif not ((due -> 'backfill')::boolean or (due -> 'events')::boolean or (due -> 'comparison')::boolean) then
    return false;
  -- Somebody is at it, or it has just failed.
  elsif exists (select from billing_private.history_lease as l where l.locked_until > p_now)
    or exists (select from billing.history_runs as r where r.status = 'running' and r.problem is not null and r.progressed_at > p_now - interval '10 minutes')
  then
    return false;
  end if;
  return billing_private.start_function('duebase-reconcile', p_now);
end;
$$;

comment on function billing_private.wake_reconcile is
  'Calls duebase-reconcile if a history run is due at p_now, and nobody is at it. Run by the tick every minute. Returns whether it called; where it should and cannot, or the function does not answer as it should, job_problems says why.';
