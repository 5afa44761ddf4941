-- Audit of settings: who changed what of how this project bills, also by hand, in Studio or SQL. A new version of a dunning policy
-- and whom it is for are audited where they are written (define_dunning_policy, assign_dunning_policy).
-- Reads: settings, dunning policies. Writes: audit_events. Called by: triggers.

create function billing_private.changed_columns(p_before jsonb, p_after jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_object_agg(n.key, jsonb_build_object('before', p_before -> n.key, 'after', n.value))
    from jsonb_each(p_after) as n
    where n.value is distinct from p_before -> n.key
  );
end;
$$;

comment on function billing_private.changed_columns is 'Columns that differ between two rows, each with its value before and after; null: none.';

create function billing_private.tg_settings__audit()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.audit(
    'settings.changed', 'operator', null, null,
    jsonb_build_object('by', session_user, 'changed', billing_private.changed_columns(to_jsonb(old), to_jsonb(new))), now()
  );
  return null;
end;
$$;

comment on function billing_private.tg_settings__audit is
  'Trigger function: records which settings were changed, by which role of the database, from what to what. Settings hold no secrets: those are in Vault and with the functions.';

create trigger settings_are_audited
  after update on billing.settings
  for each row
  when (old.* is distinct from new.*)
  execute function billing_private.tg_settings__audit();

create function billing_private.tg_dunning_policies__audit()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  changed constant jsonb := billing_private.changed_columns(to_jsonb(old) - 'superseded_at', to_jsonb(new) - 'superseded_at');
begin
  -- A version that a newer one takes the place of is audited with that.
  if changed is not null then
    perform billing_private.audit(
      'dunning.policy_changed', 'operator', new.name, null,
      jsonb_build_object('by', session_user, 'version', new.version, 'changed', changed), now()
    );
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_dunning_policies__audit is
  'Trigger function: records what somebody changed by hand of a version of a policy, which is also what open cases go by.';

create trigger dunning_policies_are_audited
  after update on billing.dunning_policies
  for each row
  execute function billing_private.tg_dunning_policies__audit();
