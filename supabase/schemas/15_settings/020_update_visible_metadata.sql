-- The pass after a change of settings.visible_metadata: what users may read of metadata is computed again.
-- Reads: settings, object_metadata. Writes: metadata of the tables that users read. Called by: settings_passes.

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
