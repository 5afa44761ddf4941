-- Purges: the one way in which rows of a record go, by age, and the row that says so.
-- Written by: the parts of the tick that purge. Read by: operators, tg_append_only.

create table billing.purges (
  id bigint generated always as identity primary key,
  relation text not null,
  purged_before timestamptz not null,
  removed bigint not null,
  purged_at timestamptz not null,
  transaction_id xid8 not null default pg_current_xact_id(),
  constraint something_is_removed check (removed > 0)
);

comment on table billing.purges is
  'Append-only: what was removed by age from tables whose rows are never removed otherwise. Ages are columns of billing.settings (keep_…).';
comment on column billing.purges.relation is 'The table, with its schema.';
comment on column billing.purges.purged_before is 'Only rows from before this time (UTC) were removed.';
comment on column billing.purges.removed is 'How many rows.';
comment on column billing.purges.purged_at is 'When (UTC).';
comment on column billing.purges.transaction_id is 'The transaction that removed them: in it, and in no other, the table lets rows be deleted.';

-- One row for each table and transaction that purges it: asked once for every statement that deletes.
create unique index a_transaction_purges_a_table_once on billing.purges (transaction_id, relation);

create trigger purges_are_append_only
  before update or delete or truncate on billing.purges
  for each statement execute function billing_private.tg_append_only();

alter table billing.purges enable row level security;
create policy service_role_reads on billing.purges for select to service_role using (true);
grant select on billing.purges to service_role;

create function billing_private.record_purge(p_relation regclass, p_before timestamptz, p_removed bigint, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  insert into billing.purges (relation, purged_before, removed, purged_at)
  select format('%I.%I', n.nspname, c.relname), p_before, p_removed, p_now
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.oid = p_relation;
$$;

comment on function billing_private.record_purge is
  'Says that this transaction removes p_removed rows of a table, all from before p_before. Called before they are removed: without it the table refuses (DU004).';

create function billing_private.purge_audit(p_now timestamptz, p_limit integer default 10000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  before constant timestamptz := p_now - make_interval(years => (select s.keep_audit_years from billing.settings as s));
  old constant bigint[] := array(select a.id from billing.audit_events as a where a.recorded_at < before limit p_limit);
begin
  if old = '{}' then
    return 0;
  end if;
  perform billing_private.record_purge('billing.audit_events', before, cardinality(old), p_now);
  delete from billing.audit_events as a where a.id = any (old);
  return cardinality(old);
end;
$$;

comment on function billing_private.purge_audit is
  'Removes facts that were recorded more than settings.keep_audit_years ago, at most p_limit, and says so in billing.purges. Run by the tick every day. Returns how many.';
