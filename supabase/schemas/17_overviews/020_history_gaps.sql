-- History gaps: what of the past is known to be missing here. Going live on half a history would mail and chase by half of it.
-- Reads: outbox, failed_webhooks, history_runs. Called by: duebase doctor, duebase go-live.

create function billing.history_gaps(p_now timestamptz default now())
returns table (gap text, amount bigint, cure text)
language sql
stable
set search_path = ''
as $$
  with gaps (gap, amount, cure) as (
    select
      'objects that events named have not been read from Stripe for minutes', count(*),
      'wait until duebase-deliver has read them; billing.outbox (kind refresh) shows what keeps it from that'
    from billing.outbox as o
    where o.kind = 'refresh' and o.status in ('pending', 'claimed')
      -- Some are always under way where events come.
      and o.created_at <= p_now - interval '5 minutes'
    union all
    select
      'events are stored and not projected', count(*),
      'select event_id, error from billing.failed_webhooks where status in (''retrying'', ''dead''), put the cause right, then billing.replay_failed_webhook(event_id)'
    from billing.failed_webhooks as f
    where f.status in ('retrying', 'dead')
    union all
    -- Of these two there is one or none, so a number says nothing.
    select
      'a backfill has begun and is not complete', null,
      'run duebase backfill until it is complete; billing.history_runs says what keeps it from that'
    from billing.history_runs as r
    where r.kind = 'backfill' and r.status <> 'complete' and not exists (
      select from billing.history_runs as later where later.kind = 'backfill' and later.id > r.id
    )
    union all
    select
      'a backfill was never run, so nobody knows what Stripe has from before', null,
      'run duebase backfill: of an empty account it takes seconds'
    where not exists (select from billing.history_runs as r where r.kind = 'backfill')
  )
  select g.gap, g.amount, g.cure from gaps as g where g.amount is distinct from 0;
$$;

comment on function billing.history_gaps is
  'What of the past is known to be missing: a row per kind of gap, with how many (null: it is no matter of number) and what to do. No row: nothing is. duebase go-live refuses while there is one.';

grant execute on function billing.history_gaps(timestamptz) to service_role;
