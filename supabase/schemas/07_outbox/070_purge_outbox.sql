-- Purge: effects that left, or were withheld, long ago are removed.
-- Writes: outbox, told_facts. Called by: the tick, every hour.

create function billing_private.purge_outbox(p_now timestamptz, p_limit integer default 10000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(days => (select s.keep_outbox_days from billing.settings as s));
  purged integer;
begin
  delete from billing.outbox as o
  where o.id in (
    select f.id
    from billing.outbox as f
    where f.finished_at < before and f.status in ('delivered', 'canceled', 'withheld')
    limit p_limit
  );
  get diagnostics purged = row_count;
  delete from billing_private.told_facts as t where t.sent_at < before;
  return purged;
end;
$$;

comment on function billing_private.purge_outbox is
  'Removes effects delivered, canceled or withheld more than settings.keep_outbox_days ago, at most p_limit; the dead are kept. Also what emails of that age told that left before a backup was restored. Run by the tick every hour.';
