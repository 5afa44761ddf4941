-- When settings name other keys of metadata that users may read, what was stored before follows, in small batches.
-- Reads: settings, object_metadata. Writes: metadata of the tables that users read. Called by: settings, cron.

create table billing_private.metadata_pass (
  is_running boolean primary key default true,
  changed_at timestamptz not null,
  done_up_to text not null,
  constraint there_is_one_pass check (is_running)
);

comment on table billing_private.metadata_pass is
  'One row while stored metadata still has to follow a change of settings.visible_metadata; none otherwise.';
comment on column billing_private.metadata_pass.changed_at is 'When the setting was changed (UTC).';
comment on column billing_private.metadata_pass.done_up_to is 'Objects up to this id (billing.object_metadata.object_id) are done.';

alter table billing_private.metadata_pass enable row level security;
create policy nobody_reads on billing_private.metadata_pass using (false);

create function billing_private.tg_settings__visible_metadata()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  insert into billing_private.metadata_pass (changed_at, done_up_to)
  values (now(), '')
  on conflict (is_running) do update set changed_at = excluded.changed_at, done_up_to = excluded.done_up_to;
  return null;
end;
$$;

comment on function billing_private.tg_settings__visible_metadata is
  'Trigger function: a changed settings.visible_metadata starts a pass over what is stored.';

create trigger settings_that_show_other_metadata_start_a_pass
  after update on billing.settings
  for each row
  when (old.visible_metadata is distinct from new.visible_metadata)
  execute function billing_private.tg_settings__visible_metadata();

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

create function billing_private.show_metadata_of(p_object_ids text[])
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

comment on function billing_private.show_metadata_of is
  'Gives objects the metadata that their owner may read by the settings of now. The caller holds their customers'' locks.';

create function billing_private.show_metadata(p_now timestamptz, p_limit integer default 5000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  pass billing_private.metadata_pass;
  batch text[];
begin
  -- A projection may have read the settings before they were changed. After a minute none of those is under way.
  select *
  into pass
  from billing_private.metadata_pass as p
  where p.changed_at <= p_now - interval '1 minute'
  for update skip locked;
  if not found then
    return 0;
  end if;
  batch := array(
    select m.object_id
    from billing.object_metadata as m
    where m.object_id > pass.done_up_to
    order by m.object_id
    limit p_limit
  );
  if cardinality(batch) = 0 then
    delete from billing_private.metadata_pass as p where p.is_running;
    return 0;
  end if;
  perform billing_private.lock_customers(billing_private.customers_of_objects(batch));
  perform billing_private.show_metadata_of(batch);
  update billing_private.metadata_pass as p set done_up_to = batch[cardinality(batch)] where p.is_running;
  return cardinality(batch);
end;
$$;

comment on function billing_private.show_metadata is
  'One batch of the pass after a change of settings.visible_metadata. Run by cron every minute. Returns how many objects it was about; 0 when there is nothing to do.';

select cron.schedule('duebase-show-metadata', '* * * * *', 'select billing_private.show_metadata(now())');
