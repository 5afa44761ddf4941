-- Health: is it healthy, and if not, since when and what to do. One row a check.
-- Reads: what each check reads. Called by: operators, duebase health, duebase-health, the alarms.

create function billing_private.health_checks(p_for_alarms boolean)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[
    'billing_private.health_of_tick($2)',
    'billing_private.health_of_cron($2)',
    'billing_private.health_of_pg_net($2)',
    'billing_private.health_of_vault($2)',
    'billing_private.health_of_calls($2)',
    'billing_private.health_of_failures($2)',
    'billing_private.health_of_latency($2)',
    'billing_private.health_of_silence($2)',
    'billing_private.health_of_duplicates($2)',
    'billing_private.health_of_strays($2)',
    'billing_private.health_of_reconcile($2)',
    'billing_private.health_of_outbox($2)',
    'billing_private.health_of_mail($2)',
    'billing_private.health_of_dunning_run($2)',
    'billing_private.health_of_open_alerts()',
    'billing_private.health_of_payers()',
    'billing_private.health_of_drift($2)',
    'billing_private.health_of_project()',
    'billing_private.health_of_partitions($2)'
  ] || case
    -- What is never red.
    when not p_for_alarms then array[
      'billing_private.health_of_mode()',
      'billing_private.health_of_cases($2)',
      'billing_private.health_of_waiting_debts()',
      'billing_private.health_of_past($2)'
    ]
    else array[]::text[]
  end;
end;
$$;

comment on function billing_private.health_checks is
  'The calls that the health view is made of, in its order, with the time as $2: each returns health rows. For alarms, those that can be red.';

create function billing_private.health_rows_for_alarms(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
    select * from billing_private.health_of_tick(p_now)
    union all
    select * from billing_private.health_of_cron(p_now)
    union all
    select * from billing_private.health_of_pg_net(p_now)
    union all
    select * from billing_private.health_of_vault(p_now)
    union all
    select * from billing_private.health_of_calls(p_now)
    union all
    select * from billing_private.health_of_failures(p_now)
    union all
    select * from billing_private.health_of_latency(p_now)
    union all
    select * from billing_private.health_of_silence(p_now)
    union all
    select * from billing_private.health_of_duplicates(p_now)
    union all
    select * from billing_private.health_of_strays(p_now)
    union all
    select * from billing_private.health_of_reconcile(p_now)
    union all
    select * from billing_private.health_of_outbox(p_now)
    union all
    select * from billing_private.health_of_mail(p_now)
    union all
    select * from billing_private.health_of_dunning_run(p_now)
    union all
    select * from billing_private.health_of_open_alerts()
    union all
    select * from billing_private.health_of_payers()
    union all
    select * from billing_private.health_of_drift(p_now)
    union all
    select * from billing_private.health_of_project()
    union all
    select * from billing_private.health_of_partitions(p_now);
end;
$$;

comment on function billing_private.health_rows_for_alarms is
  'The rows of all checks that can be red, by one statement that is planned once a session: every tick asks for them.';

create function billing_private.health(p_now timestamptz, p_for_alarms boolean default false)
returns setof billing_private.health_row
language plpgsql
set search_path = ''
as $$
declare
  checks text;
  rows billing_private.health_row[];
  remaining text[] := billing_private.health_checks(p_for_alarms);
  unseen text[] := array[]::text[];
begin
  begin
    rows := array(select h from billing_private.health_rows_for_alarms(p_now) as h);
    remaining := remaining[cardinality(billing_private.health_checks(true)) + 1 :];
  -- What cannot be looked at is not healthy, and keeps nobody from seeing the rest: one by one, then.
  exception when others then
    rows := array[]::billing_private.health_row[];
  end;
  foreach checks in array remaining loop
    begin
      execute format('select $1 || array(select h from %s as h)', checks) into rows using rows, p_now;
    exception when others then
      unseen := unseen || format('%s: %s (%s)', checks, left(sqlerrm, 200), sqlstate);
    end;
  end loop;
  return query select h.* from unnest(rows) as h;
  return next billing_private.health_row(
    'health', billing_private.light(cardinality(unseen) > 0), null, null, 'every check can be made',
    case
      when cardinality(unseen) > 0 then format('%s could not be made: %s', billing_private.counted(cardinality(unseen), 'check'), array_to_string(unseen, '; '))
      else 'every check was made'
    end,
    p_now, 'see that every object of Duebase is there and belongs to the role that installed it: npx duebase doctor'
  );
end;
$$;

comment on function billing_private.health is
  'The health rows of all checks at p_now, for alarms without those that are never red. A check that raises is a red row, health.';

create function billing.check_health(p_now timestamptz default now())
returns table (
  name text, status text, value numeric, unit text, target text, meaning text, since timestamptz, cure text
)
language plpgsql
-- Definer: it looks at what service_role may not read: cron's jobs, the names in Vault.
security definer
set search_path = ''
as $$
begin
  return query select h.* from billing_private.health(p_now) as h;
end;
$$;

comment on function billing.check_health is
  'The rows of billing.health as of p_now, one per check: name, status (green, amber, red), value with its unit, target, what it means, since when it is not green, and what to do. Changes nothing.';

create view billing.health with (security_invoker = true) as
select h.name, h.status, h.value, h.unit, h.target, h.meaning, h.since, h.cure
from billing.check_health() as h;

comment on view billing.health is
  'Is it healthy? One row per check. What each means and its cure: docs/operations.md.';
comment on column billing.health.name is 'The check; it keeps its name.';
comment on column billing.health.status is 'green: as it should be. amber: look when there is time, nobody is alarmed. red: it does not work or does harm; an alarm is sent.';
comment on column billing.health.value is 'What was measured; null where it is no number.';
comment on column billing.health.unit is 'Unit of value: percent, ms, seconds, count.';
comment on column billing.health.target is 'What value is to be; null where there is no target.';
comment on column billing.health.meaning is 'What it says now, in one sentence.';
comment on column billing.health.since is 'Since when it is not green (UTC), as far as is known; null: it is green.';
comment on column billing.health.cure is 'What to do; null: nothing, it is green.';

grant execute on function billing.check_health(timestamptz) to service_role;
grant select on billing.health to service_role;
