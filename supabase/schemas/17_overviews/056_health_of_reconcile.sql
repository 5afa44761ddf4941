-- Health of reconciling: whether Stripe's events are read, and what runs and is owed is compared, as often as it is due.
-- Without that, that no webhook was missed and nothing has drifted says nothing.
-- Reads: history_runs, job_problems, webhook_events, releases, restores. Called by: health.

create function billing_private.reconcile_state(p_kind text, p_longest interval, p_now timestamptz)
returns table (ended_at timestamptz, waits_since timestamptz, is_late boolean, incomplete text, problem text)
language plpgsql
stable
set search_path = ''
as $$
declare
  told_at constant timestamptz := least(
    (select min(e.received_at) from billing.webhook_events as e),
    (select r.started_at from billing.history_runs as r order by r.id limit 1)
  );
  -- Nothing is compared before the first backfill is in. The row history tells of that one.
  is_first_read constant boolean := exists (select from billing.history_runs as r where r.kind = 'backfill' and r.status = 'running')
    and not exists (select from billing.history_runs as r where r.kind = 'backfill' and r.status in ('complete', 'incomplete'));
  incomplete_for text;
begin
  -- Where Stripe has told nothing yet, nothing is due: as wake_reconcile has it.
  if told_at is null then
    return;
  end if;
  select case when r.status = 'incomplete' then r.problem end into incomplete_for
  from billing.history_runs as r
  where r.kind = p_kind and r.status in ('complete', 'incomplete')
  order by r.id desc
  limit 1;
  return query
    select
      r.ended_at, w.since, w.since <= p_now - p_longest and not (is_first_read and p_kind = 'comparison'), incomplete_for, r.problem
    from (
      -- A backfill reads the events of its time as well, and what it has read need not be compared at once.
      select
        max(h.finished_at) filter (where h.status in ('complete', 'incomplete')) as ended_at,
        -- What takes long, and comes further, is not late.
        max(h.progressed_at) filter (where h.status = 'running' and h.problem is null) as progressed_at,
        max(h.problem) filter (where h.status = 'running') as problem
      from billing.history_runs as h
      where h.kind in (p_kind, 'backfill')
    ) as r
    cross join lateral (
      select greatest(
        told_at, r.ended_at, r.progressed_at,
        (select min(x.installed_at) from billing.releases as x), (select max(x.restored_at) from billing.restores as x)
      ) as since
    ) as w;
end;
$$;

comment on function billing_private.reconcile_state is
  'Of history runs of a kind: when one of them, or a backfill, last ended; since when none has ended or come further (waits_since), and whether that is longer than p_longest; why the last one is incomplete; and what the running one met. No row: Stripe has told nothing yet.';

create function billing_private.health_of_reconcile(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  read record;
  compared record;
  failure record;
  late text;
begin
  select * into read from billing_private.reconcile_state('events', interval '3 hours', p_now);
  select * into compared from billing_private.reconcile_state('comparison', interval '2 days', p_now);
  -- Where a run has ended since, at a terminal, the function has not been called again.
  select j.problem, j.since into failure
  from billing.job_problems as j
  where j.job = 'reconcile-run' and coalesce(j.last_seen >= read.ended_at, true);
  late := concat_ws(
    ', and ',
    case when read.is_late then format('Stripe''s events have not been read for %s', billing_private.in_words(p_now - read.waits_since)) end,
    case when compared.is_late then format('nothing has been compared with Stripe for %s', billing_private.in_words(p_now - compared.waits_since)) end
  );
  return next billing_private.health_row(
    'reconcile-run',
    billing_private.light(late <> '', coalesce(failure.problem, read.incomplete, compared.incomplete) is not null),
    null, null, 'every hour, and every day',
    case
      when late <> '' then concat_ws(': ', late, coalesce(failure.problem, read.problem, compared.problem))
      when failure.problem is not null then format('the last call of duebase-reconcile failed: %s', failure.problem)
      when read.incomplete is not null then format('not all of Stripe''s events could be received: %s', read.incomplete)
      when compared.incomplete is not null then format('not all could be compared with Stripe: %s', compared.incomplete)
      when read.waits_since is null then 'Stripe has told nothing yet, so nothing is read or compared'
      when read.ended_at is null then 'Stripe''s events have not been read yet'
      else format('Stripe''s events were read %s ago', billing_private.in_words(p_now - read.ended_at))
    end,
    case
      when late <> '' then least(case when read.is_late then read.waits_since end, case when compared.is_late then compared.waits_since end)
      else coalesce(failure.since, read.ended_at)
    end,
    'put right what the problem says, often a permission of the key, which npx duebase doctor names; npx duebase reconcile does at once what is due, and says what it meets; of each run: select kind, status, problem from billing.history_runs order by id desc limit 10; what could not be applied: select object_id, error from billing.history_problems order by found_at desc'
  );
end;
$$;

comment on function billing_private.health_of_reconcile is
  'Health row: red where no reading of Stripe''s events has ended for three hours, or no comparison for two days; amber where the last call failed, or a run could not apply everything. The first backfill, and what comes further, is waited for.';
