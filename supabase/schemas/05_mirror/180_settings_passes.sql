-- When settings change how what is stored is to be read, it follows in small batches.
-- Reads: settings, object_metadata. Writes: metadata of the tables that users read. Called by: settings, cron.

create table billing_private.settings_passes (
  setting text primary key,
  changed_at timestamptz not null,
  done_up_to text not null,
  constraint setting_has_a_pass check (setting in ('visible_metadata', 'trusted_customers', 'trusted_guests'))
);

comment on table billing_private.settings_passes is
  'One row for each setting that what is stored still has to follow; none otherwise.';
comment on column billing_private.settings_passes.setting is
  'visible_metadata: what users read of metadata. trusted_customers, trusted_guests: whose customers, and what was bought without one, after a change of trust_client_reference_id.';
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
      ('trusted_guests', old.trust_client_reference_id is distinct from new.trust_client_reference_id)
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

create function billing_private.customers_of_objects(p_object_ids text[])
returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(distinct o.customer), '{}')
  from (
    select c.id as customer from billing.customers as c where c.id = any (p_object_ids)
    union all
    select s.customer from billing.subscriptions as s where s.id = any (p_object_ids)
    union all
    select s.customer
    from billing.subscription_items as i
    join billing.subscriptions as s on s.id = i.subscription
    where i.id = any (p_object_ids)
    union all
    select i.customer from billing.invoices as i where i.id = any (p_object_ids)
    union all
    select p.customer from billing.payments as p where p.id = any (p_object_ids)
    union all
    select m.customer from billing.payment_methods as m where m.id = any (p_object_ids)
  ) as o
  where o.customer is not null;
$$;

comment on function billing_private.customers_of_objects is 'The customers that objects with metadata belong to.';

create function billing_private.update_visible_metadata_of(p_object_ids text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  shown record;
begin
  for shown in
    select m.object_id as id, billing_private.visible_metadata(m.metadata) as metadata
    from billing.object_metadata as m
    where m.object_id = any (p_object_ids)
  loop
    update billing.customers as t set metadata = shown.metadata where t.id = shown.id and t.metadata <> shown.metadata;
    update billing.subscriptions as t set metadata = shown.metadata where t.id = shown.id and t.metadata <> shown.metadata;
    update billing.subscription_items as t set metadata = shown.metadata where t.id = shown.id and t.metadata <> shown.metadata;
    update billing.invoices as t set metadata = shown.metadata where t.id = shown.id and t.metadata <> shown.metadata;
    update billing.payments as t set metadata = shown.metadata where t.id = shown.id and t.metadata <> shown.metadata;
    update billing.payment_methods as t set metadata = shown.metadata where t.id = shown.id and t.metadata <> shown.metadata;
  end loop;
end;
$$;

comment on function billing_private.update_visible_metadata_of is
  'Gives objects the metadata that their owner may read by the settings of now. The caller holds their customers'' locks.';

create function billing_private.update_visible_metadata(p_now timestamptz, p_limit integer)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  after_id constant text := billing_private.lock_settings_pass('visible_metadata', p_now);
  batch text[];
begin
  if after_id is null then
    return 0;
  end if;
  batch := array(
    select m.object_id from billing.object_metadata as m where m.object_id > after_id order by m.object_id limit p_limit
  );
  perform billing_private.lock_customers(billing_private.customers_of_objects(batch));
  perform billing_private.update_visible_metadata_of(batch);
  return billing_private.advance_settings_pass('visible_metadata', batch);
end;
$$;

comment on function billing_private.update_visible_metadata is
  'One batch of the pass after a change of settings.visible_metadata. Returns how many objects it was about; 0 when there is nothing to do.';
