-- What applications ask: whether a user has a feature, in policies of their own; and whether a cache is still right.
-- Reads: entitlements, entitlement_versions. Called by: policies, applications, through the Data API.

create function billing.has_feature(feature text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.entitlements as e
    where e.owner_id = (select auth.uid()) and e.feature = has_feature.feature
  );
end;
$$;

comment on function billing.has_feature(text) is
  'Whether the signed-in user may use a feature now. In a policy write (select billing.has_feature(''…'')): it is then asked once a query, not once a row.';

create function billing.owner_has_feature(owner_id uuid, feature text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.entitlements as e
    where e.owner_id = owner_has_feature.owner_id and e.feature = owner_has_feature.feature
  );
end;
$$;

comment on function billing.owner_has_feature(uuid, text) is 'Whether an owner may use a feature now; for servers, as service_role.';

create function billing.entitlements_version()
returns bigint
language plpgsql
stable
-- Definer: the versions are kept where no API role reads. It answers the caller about the caller alone.
security definer
set search_path = ''
as $$
begin
  return coalesce(
    (select v.version from billing_private.entitlement_versions as v where v.owner_id = (select auth.uid())), 0
  );
end;
$$;

comment on function billing.entitlements_version is
  'A number that grows with every change of the signed-in user''s entitlements, and with nothing else; 0 before the first. A cache that has the same number is right.';

grant execute on function billing.has_feature(text), billing.entitlements_version() to authenticated, service_role;
grant execute on function billing.owner_has_feature(uuid, text) to service_role;
