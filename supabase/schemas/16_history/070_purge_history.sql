-- Purging what runs have found: drift, missed webhooks, and the runs themselves.
-- Reads: settings. Writes: drift, missed_webhooks, history_runs (with their steps and problems), purges.
-- Called by: the tick, every day.

create function billing_private.purge_history(p_now timestamptz, p_limit integer default 5000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_history_days from billing.settings as s));
  drift constant bigint[] := array(select d.id from billing.drift as d where d.found_at < before order by d.found_at limit p_limit);
  missed constant text[] := array(
    select m.event_id from billing.missed_webhooks as m where m.found_at < before order by m.found_at limit p_limit
  );
  -- The last run of a kind says since when something may be missing, and a backfill that the project was filled by it.
  runs constant bigint[] := array(
    select r.id
    from billing.history_runs as r
    where r.kind <> 'backfill'
      and r.finished_at < before
      and exists (
        select from billing.history_runs as later where later.kind = r.kind and later.id > r.id and later.status in ('complete', 'incomplete')
      )
      and not exists (select from billing.drift as d where d.run_id = r.id and d.found_at >= before)
    order by r.id
    limit p_limit
  );
begin
  if drift <> '{}' then
    perform billing_private.record_purge('billing.drift', before, cardinality(drift), p_now);
    delete from billing.drift as d where d.id = any (drift);
  end if;
  if missed <> '{}' then
    perform billing_private.record_purge('billing.missed_webhooks', before, cardinality(missed), p_now);
    delete from billing.missed_webhooks as m where m.event_id = any (missed);
  end if;
  -- A run waits for its drift: it would take more than a piece with it.
  if runs <> '{}' and cardinality(drift) < p_limit then
    perform billing_private.record_purge('billing.history_runs', before, cardinality(runs), p_now);
    delete from billing.history_runs as r where r.id = any (runs);
    return cardinality(drift) + cardinality(missed) + cardinality(runs);
  end if;
  return cardinality(drift) + cardinality(missed);
end;
$$;

comment on function billing_private.purge_history is
  'Removes drift and missed webhooks that were found more than settings.keep_history_days ago, and the runs of that age, of each at most p_limit, and says so in billing.purges. Backfills stay, and the last run of each kind. Run by the tick every day. Returns how many.';
