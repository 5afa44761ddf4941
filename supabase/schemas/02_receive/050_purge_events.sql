-- Purging what was received: repetitions, then events. Payloads go by the month, see drop_payloads.
-- Reads: settings, kept_payloads, webhook_payloads. Writes: webhook_duplicates, failed_webhooks, webhook_events, purges.
-- Called by: the tick, every day.

create function billing_private.purge_duplicates(p_now timestamptz, p_limit integer default 10000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_duplicates_days from billing.settings as s));
  -- They are numbered as they come: the oldest are found without an index by time.
  old constant bigint[] := array(
    select o.id
    from (select d.id, d.received_at from billing.webhook_duplicates as d order by d.id limit p_limit) as o
    where o.received_at < before
  );
begin
  if old = '{}' then
    return 0;
  end if;
  perform billing_private.record_purge('billing.webhook_duplicates', before, cardinality(old), p_now);
  delete from billing.webhook_duplicates as d where d.id = any (old);
  return cardinality(old);
end;
$$;

comment on function billing_private.purge_duplicates is
  'Removes repeated deliveries that came more than settings.keep_duplicates_days ago, of the oldest p_limit, and says so in billing.purges. Returns how many.';

create function billing_private.purgeable_events(p_before timestamptz, p_limit integer)
returns setof text
language plpgsql
stable
set search_path = ''
-- A few events are asked about: no table of payloads is read from end to end for them.
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  return query
  select e.id
  from billing.webhook_events as e
  where e.received_at < p_before
    -- What is still projected or compared keeps its payload, and with it its event.
    and not exists (select from billing_private.kept_payloads as k where k.event_id = e.id)
    and not exists (select from billing_private.webhook_payloads as p where p.event_id = e.id and p.received_at = e.received_at)
    and not exists (select from billing.failed_webhooks as f where f.event_id = e.id and f.status <> 'resolved')
  limit p_limit;
end;
$$;

comment on function billing_private.purgeable_events is
  'Events received before p_before, at most p_limit, of which no payload is kept and no failure is open.';

create function billing_private.purge_events(p_now timestamptz, p_limit integer default 5000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_events_days from billing.settings as s));
  old constant text[] := array(select billing_private.purgeable_events(before, p_limit));
begin
  if old = '{}' then
    return 0;
  end if;
  perform billing_private.record_purge('billing.webhook_events', before, cardinality(old), p_now);
  delete from billing.failed_webhooks as f where f.event_id = any (old);
  delete from billing.webhook_events as e where e.id = any (old);
  return cardinality(old);
end;
$$;

comment on function billing_private.purge_events is
  'Removes from the ledger what was received more than settings.keep_events_days ago, at most p_limit, and says so in billing.purges. Stripe sends what happened up to 30 days ago, so a repetition still finds its event. Returns how many.';

create function billing_private.purge_payloads(p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- A month without payloads is something too: the one after it may hold some.
  return (
    select billing_private.drop_payloads(p_now - make_interval(days => s.keep_payloads_days), p_now) is not null from billing.settings as s
  );
end;
$$;

comment on function billing_private.purge_payloads is
  'drop_payloads by the age that settings.keep_payloads_days says, one month at most. Returns whether there was anything to drop.';
