-- What applications ask: whether an owner has a feature, in policies of their own; and whether a cache is still right.
-- Reads: entitlements, entitlement_versions. Called by: policies, applications, through the Data API.

create function billing.has_feature(feature text)
returns boolean
language plpgsql
stable
-- Definer: the policy of entitlements would ask for the caller's owners a second time.
security definer
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.entitlements as e
    where e.feature = has_feature.feature
      -- As billing_private.my_owner_array has it, in this one statement: this is asked by every query of an application.
      and e.owner_id = any (
        case
          when (select s.owners_function is null from billing.settings as s) then array[(select auth.uid())]
          else (select billing_private.my_owner_array(false))
        end
      )
  );
end;
$$;

comment on function billing.has_feature(text) is
  'Whether the signed-in user may use a feature now: whether any owner the user belongs to has it. Rows that belong to one owner ask for that one: owner_id in (select owner_id from billing.entitlements where feature = ''…''). In a policy write (select billing.has_feature(''…'')): it is then asked once a query, not once a row.';

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

create function billing.user_has_feature(user_id uuid, feature text)
returns boolean
language plpgsql
stable
-- Definer: asks for the owners of a user who is not the caller. For servers only.
security definer
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.entitlements as e
    where e.owner_id = any (array(select o.owner_id from billing_private.owners_of(user_has_feature.user_id) as o))
      and e.feature = user_has_feature.feature
  );
end;
$$;

comment on function billing.user_has_feature(uuid, text) is
  'Whether a user may use a feature now: whether any owner the user belongs to has it; for servers, as service_role. Raises what settings.owners_function raises.';

create function billing.entitlements_version()
returns bigint
language plpgsql
stable
-- Definer: the policy of the versions would ask for the caller's owners a second time.
security definer
set search_path = ''
as $$
declare
  owners uuid[];
  changes bigint;
begin
  -- Nothing is called where every user is their own owner: caches ask often.
  if (select s.owners_function is null from billing.settings as s) then
    return coalesce((select v.version from billing.entitlement_versions as v where v.owner_id = auth.uid()), 0);
  end if;
  owners := billing_private.my_owner_ids();
  changes := coalesce((select sum(v.version) from billing.entitlement_versions as v where v.owner_id = any (owners)), 0);
  if cardinality(owners) = 0 then
    return 0;
  end if;
  -- Who leaves one team and joins another may come to the same sum: the last twenty bits say which owners they are.
  return changes * 1048576 + (hashtextextended(owners::text, 0) & 1048575);
end;
$$;

comment on function billing.entitlements_version is
  'A number that grows with every version of entitlement_versions that the signed-in user reads, and with nothing else but this: where settings.owners_function is set it changes, up or down, when the user joins or leaves an owner. 0: there were no changes yet, or the user has no owner. A cache that has the same number is right.';

grant execute on function billing.has_feature(text), billing.entitlements_version() to authenticated, service_role;
grant execute on function billing.owner_has_feature(uuid, text), billing.user_has_feature(uuid, text) to service_role;
