-- Entitlement versions: what clients and caches listen to. Realtime checks row level security of a row that is inserted or
-- updated, and of one that is deleted it checks nothing: everybody who listens is told its key, and nobody who filters by
-- owner_id is told at all. So a revocation is an update here, and no row is ever deleted.
-- Reads: subscription_usage. Written by: refresh_entitlements, owners who are removed. Read by: applications, through
-- Realtime and the Data API.

create table billing.entitlement_versions (
  owner_id uuid primary key,
  version bigint not null,
  updated_at timestamptz not null
);

comment on table billing.entitlement_versions is
  'One row per owner that ever had an entitlement or a limit: how often what the owner may use has changed. Clients subscribe to it by Realtime (owner_id=eq.…) and read again what they show. Updated, never deleted: of an owner that is deleted or forgotten an id and a number stay.';
comment on column billing.entitlement_versions.owner_id is 'Whose. It stays when the owner is deleted, and names nobody then.';
comment on column billing.entitlement_versions.version is
  'Grows by one with each change of the owner''s entitlements, limits or usage periods, and when a dunning case opens, is about more, or closes. Entitlements that change together share it.';
comment on column billing.entitlement_versions.updated_at is 'When that was (UTC).';

alter table billing.entitlement_versions enable row level security;
grant select on billing.entitlement_versions to authenticated, service_role;

create policy members_read on billing.entitlement_versions
  for select to authenticated
  using (owner_id = any ((select billing_private.my_owner_array(false))::uuid[]));

-- Without the platform there is no such publication; one for all tables has this one already.
do $$
begin
  if exists (select from pg_catalog.pg_publication as p where p.pubname = 'supabase_realtime' and not p.puballtables) then
    alter publication supabase_realtime add table billing.entitlement_versions;
  end if;
end;
$$;

create function billing_private.tg_entitlement_versions__before_delete()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.raise_error('DU075', format('%s on %I.%I refused', tg_op, tg_table_schema, tg_table_name));
  return null;
end;
$$;

comment on function billing_private.tg_entitlement_versions__before_delete is
  'Trigger function: refuses to remove versions (DU075). Realtime would tell everybody whose they were, and a version that began again would be one that a cache knows.';

create trigger versions_are_never_removed
  before delete or truncate on billing.entitlement_versions
  for each statement execute function billing_private.tg_entitlement_versions__before_delete();

create table billing_private.limits_told (
  owner_id uuid primary key,
  limits text not null
);

comment on column billing_private.limits_told.limits is 'A digest of them.';
comment on table billing_private.limits_told is
  'Digest of the limits and usage periods that each owner''s version has told of. No row: there are none. Tells a change of limits from all else that happens to a subscription.';
comment on column billing_private.limits_told.owner_id is 'Whose; the row goes with the owner''s last open usage period.';

alter table billing_private.limits_told enable row level security;
create policy nobody_reads on billing_private.limits_told using (false);

create function billing_private.record_limits(p_owner_id uuid)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  told constant text := (select t.limits from billing_private.limits_told as t where t.owner_id = p_owner_id);
  present constant text := (
    select md5(string_agg(
      format(
        '%s %s %s %s %s', u.subscription, u.metric, u.usage_limit,
        extract(epoch from u.period_start), extract(epoch from u.period_end)
      ),
      ',' order by u.id
    ))
    from billing.subscription_usage as u
    where u.owner_id = p_owner_id and u.is_open
  );
begin
  if present is not distinct from told then
    return false;
  elsif present is null then
    delete from billing_private.limits_told as t where t.owner_id = p_owner_id;
  else
    insert into billing_private.limits_told (owner_id, limits)
    values (p_owner_id, present)
    on conflict (owner_id) do update set limits = excluded.limits;
  end if;
  return true;
end;
$$;

comment on function billing_private.record_limits is
  'Keeps which limits and usage periods an owner has now. Returns whether they are others than before; what was used does not count. The caller holds the owner''s lock.';

create function billing_private.next_entitlement_version(p_owner_id uuid, p_now timestamptz)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  next_version bigint;
begin
  insert into billing.entitlement_versions as v (owner_id, version, updated_at)
  values (p_owner_id, 1, p_now)
  on conflict (owner_id) do update set version = v.version + 1, updated_at = excluded.updated_at
  returning v.version into next_version;
  perform pg_notify('billing_entitlements', json_build_object('owner_id', p_owner_id, 'version', next_version)::text);
  return next_version;
end;
$$;

comment on function billing_private.next_entitlement_version is
  'Moves an owner''s version on and tells of it: Realtime by the row, and NOTIFY billing_entitlements with {owner_id, version}, once this commits. Returns the version. The caller holds the owner''s lock.';
