-- Purge: effects that left long ago are removed.
-- Writes: outbox. Called by: the tick, every hour.

create function billing_private.purge_outbox(p_now timestamptz, p_limit integer default 10000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  purged integer;
begin
  -- Ninety days: three times as long as Stripe can send an event again, so a dedupe key outlives its last repetition.
  delete from billing.outbox as o
  where o.id in (
    select f.id
    from billing.outbox as f
    where f.finished_at < p_now - interval '90 days' and f.status in ('delivered', 'canceled')
    limit p_limit
  );
  get diagnostics purged = row_count;
  return purged;
end;
$$;

comment on function billing_private.purge_outbox is
  'Removes effects delivered or canceled more than 90 days ago, at most p_limit; the dead are kept. Run by the tick every hour.';
