-- Tick parts: what is done again and again, how often, and how it went the last time.
-- Written by: the tick. Read by: operators.

create table billing.tick_parts (
  part text primary key,
  position integer not null unique,
  function_name text not null,
  runs_every interval not null,
  repeats boolean not null,
  shares_time boolean not null,
  last_tick_at timestamptz,
  last_started_at timestamptz,
  last_finished_at timestamptz,
  last_took interval,
  last_count integer,
  last_active_at timestamptz,
  failures integer not null default 0,
  last_failed_at timestamptz,
  last_error jsonb,
  -- Few of them: each is made anew whenever a part begins or ends.
  constraint names_a_function_and_whole_ticks check (
    function_name ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$' and runs_every >= interval '1 minute'
  ),
  constraint only_the_failed_have_an_error check ((last_failed_at is null) = (last_error is null) and (failures = 0 or last_error is not null))
)
-- Every part writes here twice a minute: with room on the page, no index grows.
with (fillfactor = 50);

comment on table billing.tick_parts is
  'What the minute tick does (cron job duebase-tick), one row per part, and how its last run went. Take a part''s row away, and it is not run.';
comment on column billing.tick_parts.part is 'Its name, also in job_problems while it fails.';
comment on column billing.tick_parts.position is
  'The order of the parts that do not share time, and of those that share it and have waited for their turn equally long.';
comment on column billing.tick_parts.function_name is
  'Qualified name of the function that does it: it takes the time, and returns how many rows it was about, or whether it did anything.';
comment on column billing.tick_parts.runs_every is
  'How long after its last start it is due again. What is due every minute runs in every tick; of several runs that were missed, one is made up.';
comment on column billing.tick_parts.repeats is
  'Whether one call does one piece of the work: it is called again, in a transaction of its own, until it finds nothing or the time is up.';
comment on column billing.tick_parts.shares_time is
  'true: one of those that have 20 seconds together in each tick; whoever started longest ago comes first. false: runs in every tick, before them.';
comment on column billing.tick_parts.last_tick_at is 'When the tick began that it last ran in (UTC).';
comment on column billing.tick_parts.last_started_at is 'When it last began (UTC).';
comment on column billing.tick_parts.last_finished_at is 'When that run was over (UTC); null while it runs.';
comment on column billing.tick_parts.last_took is 'How long that run took; null while it runs.';
comment on column billing.tick_parts.last_count is 'What that run did: rows, calls or batches; 0: nothing was due.';
comment on column billing.tick_parts.last_active_at is 'When it last found something to do (UTC).';
comment on column billing.tick_parts.failures is 'Failed runs in a row; 0: the last one succeeded.';
comment on column billing.tick_parts.last_failed_at is 'When it last failed (UTC).';
comment on column billing.tick_parts.last_error is
  'Of its last failure, also after it has recovered: sqlstate, message, context (where in which function). Without sqlstate: its session ended in the middle.';

alter table billing.tick_parts enable row level security;
create policy service_role_reads on billing.tick_parts for select to service_role using (true);
grant select on billing.tick_parts to service_role;

insert into billing.tick_parts (position, part, function_name, runs_every, repeats, shares_time) values
  -- Calls that only start something: they are quick, and first.
  (10, 'wake-deliver', 'billing_private.wake_deliver', '1 minute', false, false),
  -- What became of the calls of earlier ticks.
  (15, 'outbound-answers', 'billing_private.read_outbound_answers', '1 minute', false, false),
  -- It alerts when dunning did not run.
  (20, 'dunning-watchdog', 'billing_private.start_missed_dunning_run', '1 minute', false, false),
  (30, 'wake-reconcile', 'billing_private.wake_reconcile', '1 minute', false, false),
  -- After the answers, which it looks at.
  (40, 'alarms', 'billing_private.tell_alarms', '1 minute', false, false),
  -- The work. Each failed event commits by itself: however long this takes, no customer waits for another one's event.
  (100, 'retry', 'billing.retry_failed_webhook', '1 minute', true, true),
  (110, 'link', 'billing_private.link_waiting_customers', '1 minute', false, true),
  (120, 'follow-settings', 'billing_private.run_settings_pass', '1 minute', true, true),
  (130, 'recount-entitlements', 'billing_private.recount_entitlements', '1 minute', true, true),
  (140, 'recheck-entitlements', 'billing_private.recheck_entitlements', '1 minute', false, true),
  (150, 'remove-owners', 'billing_private.remove_deferred_owners', '1 minute', true, true),
  (155, 'link-users', 'billing_private.link_unlinked_users', '1 minute', true, true),
  (160, 'owners-function', 'billing_private.probe_owners_function', '1 minute', false, true),
  (170, 'follow-seats', 'billing_private.follow_seats', '1 minute', true, true),
  (180, 'hourly-metrics', 'billing_private.count_hours', '1 minute', true, true),
  (185, 'health-counts', 'billing_private.count_for_health_view', '1 minute', false, true),
  (200, 'trial-reminders', 'billing_private.enqueue_due_trial_reminders', '1 hour', false, true),
  (210, 'renewal-reminders', 'billing_private.enqueue_due_renewal_reminders', '1 hour', false, true),
  (220, 'purge-outbox', 'billing_private.purge_outbox', '1 hour', false, true),
  (230, 'purge-usage', 'billing_private.purge_usage_records', '1 hour', false, true),
  (240, 'payload-partitions', 'billing_private.make_payload_partitions', '1 hour', false, true),
  -- What is old goes piece by piece, each in a transaction of its own; what finds no time today is older tomorrow.
  (300, 'purge-payloads', 'billing_private.purge_payloads', '1 day', true, true),
  (310, 'purge-duplicates', 'billing_private.purge_duplicates', '1 day', true, true),
  (320, 'purge-events', 'billing_private.purge_events', '1 day', true, true),
  (330, 'purge-email-bodies', 'billing_private.purge_email_bodies', '1 day', true, true),
  (340, 'purge-email-reports', 'billing_private.purge_email_reports', '1 day', true, true),
  (345, 'purge-history', 'billing_private.purge_history', '1 day', true, true),
  (350, 'purge-cron-history', 'billing_private.purge_cron_history', '1 day', true, true),
  (360, 'purge-audit', 'billing_private.purge_audit', '1 day', true, true);
