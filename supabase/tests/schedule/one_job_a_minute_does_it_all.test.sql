-- What runs by the clock: two cron jobs, and the parts of the one that runs every minute.
begin;
select plan(7);

select is(
  (
    select array_agg(format('%s: %s, as %s, %s', jobname, schedule, username, active) order by jobname collate "C")
    from cron.job where jobname like 'duebase-%'
  ),
  array['duebase-dunning: 0 9 * * *, as postgres, t', 'duebase-tick: * * * * *, as postgres, t'],
  'what runs by the clock is scheduled, as the owner of the tables: a tick every minute, dunning every day'
);
select is_empty(
  $$ select part from billing.tick_parts where to_regprocedure(function_name || '(timestamptz)') is null
       and to_regprocedure(function_name || '(timestamptz, integer)') is null $$,
  'every part has its function'
);
select is(
  (select array_agg(part order by position) from billing.tick_parts where repeats), array[
    'retry', 'follow-settings', 'recount-entitlements', 'remove-owners', 'link-users', 'follow-seats', 'hourly-metrics', 'purge-payloads', 'purge-duplicates', 'purge-events',
    'purge-email-bodies', 'purge-email-reports', 'purge-history', 'purge-cron-history', 'purge-audit'
  ],
  'what locks customer by customer, or removes many rows, commits piece by piece'
);
select is(
  (select array_agg(part order by position) from billing.tick_parts where runs_every = interval '1 hour'),
  array['trial-reminders', 'renewal-reminders', 'purge-outbox', 'purge-usage', 'payload-partitions'],
  'what looks days ahead or cleans up runs every hour'
);

update billing.tick_parts
set last_tick_at = now() - interval '2 minutes', last_started_at = now() - position * interval '1 second', last_finished_at = now()
where runs_every = interval '1 minute';
update billing.tick_parts
set last_tick_at = now() - interval '1 hour', last_started_at = now() - interval '59 minutes', last_finished_at = now()
where runs_every >= interval '1 hour';
update billing.tick_parts set last_started_at = now() - interval '1 hour' where part = 'purge-usage';

create function pg_temp.turns() returns text[] language plpgsql as $$
declare
  turns text[] := '{}';
  next_part text;
begin
  loop
    next_part := billing_private.next_tick_part(now(), now(), '20 seconds');
    exit when next_part is null;
    update billing.tick_parts set last_tick_at = now() where part = next_part;
    turns := turns || next_part;
  end loop;
  return turns;
end;
$$;
select is(
  pg_temp.turns(),
  array[
    'wake-deliver', 'outbound-answers', 'dunning-watchdog', 'wake-reconcile', 'alarms', 'purge-usage', 'health-counts', 'hourly-metrics', 'follow-seats', 'owners-function',
    'link-users', 'remove-owners', 'recheck-entitlements', 'recount-entitlements', 'follow-settings', 'link', 'retry'
  ],
  'waking deliver and the alarm wait for nobody; then whoever began longest ago comes first; what is hourly is due an hour after it began'
);
update billing.tick_parts set last_tick_at = now() - interval '1 minute' where not shares_time or part = 'link';
select is(
  billing_private.next_tick_part(now(), now() + interval '21 seconds', '20 seconds'), 'wake-deliver', 'only the first ones have a turn at any time'
);
update billing.tick_parts set last_tick_at = now() where not shares_time;
select is(
  billing_private.next_tick_part(now(), now() + interval '21 seconds', '20 seconds'), null, 'the others have 20 seconds of each tick'
);

select * from finish();
rollback;
