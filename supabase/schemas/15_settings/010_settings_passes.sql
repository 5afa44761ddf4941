-- Settings passes: when settings change how stored rows are to be read, the rows follow in small batches.
-- Reads: settings. Writes: settings_passes, and through the passes what users read. Called by: settings, the tick.

create table billing_private.settings_passes (
  setting text primary key,
  changed_at timestamptz not null,
  done_up_to text not null,
  constraint setting_has_a_pass check (setting in ('visible_metadata', 'trusted_customers', 'trusted_guests', 'owners'))
);

comment on table billing_private.settings_passes is
  'One row for each setting that what is stored still has to follow; none otherwise.';
comment on column billing_private.settings_passes.setting is
  'visible_metadata: what users read of metadata. trusted_customers, trusted_guests: whose customers, and what was bought without one, after a change of trust_client_reference_id. owners: whose customers are, after a change of owners_function.';
comment on column billing_private.settings_passes.changed_at is 'When the setting was changed (UTC).';
comment on column billing_private.settings_passes.done_up_to is 'Rows up to this id are done.';

alter table billing_private.settings_passes enable row level security;
create policy nobody_reads on billing_private.settings_passes using (false);

create function billing_private.tg_settings__after_update()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  insert into billing_private.settings_passes as p (setting, changed_at, done_up_to)
  select c.setting, now(), ''
  from (
    values
      ('visible_metadata', old.visible_metadata is distinct from new.visible_metadata),
      ('trusted_customers', old.trust_client_reference_id is distinct from new.trust_client_reference_id),
      ('trusted_guests', old.trust_client_reference_id is distinct from new.trust_client_reference_id),
      ('owners', old.owners_function is distinct from new.owners_function)
  ) as c (setting, has_changed)
  where c.has_changed
  on conflict (setting) do update set changed_at = excluded.changed_at, done_up_to = excluded.done_up_to;
  return null;
end;
$$;

comment on function billing_private.tg_settings__after_update is
  'Trigger function: a setting that changes how stored rows are read starts a pass over them.';

create trigger settings_that_change_what_is_stored_begin_passes
  after update on billing.settings
  for each row execute function billing_private.tg_settings__after_update();

create function billing_private.lock_settings_pass(p_setting text, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
begin
  return (
    -- A projection may have read the settings before they were changed. After a minute none of those is under way.
    select p.done_up_to
    from billing_private.settings_passes as p
    where p.setting = p_setting and p.changed_at <= p_now - interval '1 minute'
    for update skip locked
  );
end;
$$;

comment on function billing_private.lock_settings_pass is
  'Where the next batch of a pass begins: after this id; null where there is no pass, or somebody else is at it. Locks it until commit.';

create function billing_private.advance_settings_pass(p_setting text, p_batch text[])
returns integer
language plpgsql
set search_path = ''
as $$
begin
  if cardinality(p_batch) = 0 then
    delete from billing_private.settings_passes as p where p.setting = p_setting;
  else
    update billing_private.settings_passes as p set done_up_to = p_batch[cardinality(p_batch)] where p.setting = p_setting;
  end if;
  return cardinality(p_batch);
end;
$$;

comment on function billing_private.advance_settings_pass is
  'Records that a batch of a pass, in the order of its ids, is done; an empty one ends the pass. Returns how many it were.';

create function billing_private.run_settings_pass(p_now timestamptz, p_limit integer default 2000)
returns integer
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select from billing_private.settings_passes) then
    return 0;
  end if;
  -- One kind a call: each takes its own locks first.
  return coalesce(
    nullif(billing_private.update_visible_metadata(p_now, p_limit), 0),
    nullif(billing_private.relink_hinted_customers(p_now, p_limit), 0),
    nullif(billing_private.relink_owned_customers(p_now, least(p_limit, 200)), 0),
    billing_private.match_credits_of_hinted_guests(p_now, p_limit)
  );
end;
$$;

comment on function billing_private.run_settings_pass is
  'One batch of what still has to follow a change of settings. Run by the tick every minute. Returns how many rows it was about; 0 when there is nothing to do.';
