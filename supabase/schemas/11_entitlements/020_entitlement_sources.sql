-- What grants features: metadata of products and prices, and the entitlements Stripe itself keeps of a customer.
-- Each is kept as it was said last; who may use what follows from it in refresh_entitlements.
-- Reads: product.*, price.*, entitlements.active_entitlement_summary.updated. Writes: catalogue_features,
-- entitlement_summaries, changed_features. Called by: projection.

create table billing_private.catalogue_features (
  kind text not null,
  object_id text not null,
  features text[] not null,
  primary key (kind, object_id),
  constraint kind_is_known check (kind in ('product', 'price')),
  constraint there_is_a_feature check (features <> '{}')
);

comment on table billing_private.catalogue_features is
  'Features that a product or price grants to whoever subscribes to it: the keys in its metadata.features, separated by commas. No row: it names none.';
comment on column billing_private.catalogue_features.features is 'Each once, in order.';

create table billing_private.entitlement_summaries (
  customer_id text primary key,
  features text[],
  is_whole boolean,
  whole_features text[] not null default '{}',
  whole_as_of timestamptz,
  whole_event text,
  constraint a_list_says_whether_it_is_whole check ((features is null) = (is_whole is null))
);

comment on table billing_private.entitlement_summaries is
  'Active entitlements of a customer as Stripe keeps them: the lookup keys of its features.';
comment on column billing_private.entitlement_summaries.features is 'Of the summary that is shown now.';
comment on column billing_private.entitlement_summaries.is_whole is
  'False: Stripe cut the list off, and has been asked for the rest. Until it answers, what the newest whole list has counts as well.';
comment on column billing_private.entitlement_summaries.whole_features is 'Of the newest summary that was not cut off.';
comment on column billing_private.entitlement_summaries.whole_as_of is 'created of that summary''s event (UTC), or when it was read from Stripe.';
comment on column billing_private.entitlement_summaries.whole_event is 'That event; blank when it was read from Stripe. Of two in one second the greater id counts.';

create table billing_private.changed_features (
  kind text not null,
  object_id text not null,
  changed_at timestamptz not null,
  reached text not null default '',
  primary key (kind, object_id)
);

comment on table billing_private.changed_features is
  'Products and prices whose features or limits changed and whose subscribers are still to be computed anew and told; worked off in small batches every minute.';
comment on column billing_private.changed_features.changed_at is 'When we learnt of it (UTC).';
comment on column billing_private.changed_features.reached is 'Subscription items up to this id are done.';

alter table billing_private.catalogue_features enable row level security;
alter table billing_private.entitlement_summaries enable row level security;
alter table billing_private.changed_features enable row level security;
create policy nobody_reads on billing_private.catalogue_features using (false);
create policy nobody_reads on billing_private.entitlement_summaries using (false);
create policy nobody_reads on billing_private.changed_features using (false);

create function billing_private.named_features(p_metadata jsonb)
returns text[]
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array(
    select distinct btrim(f.name) collate "C"
    from unnest(string_to_array(p_metadata ->> 'features', ',')) as f (name)
    where btrim(f.name) <> ''
    order by 1
  );
end;
$$;

comment on function billing_private.named_features is
  'Features that metadata names: the keys in its field features, separated by commas, in order and each once.';

create function billing_private.project_features(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  named_by constant text := p_event.payload #>> '{data,object,object}';
  named text[];
begin
  if named_by = 'product' then
    select billing_private.named_features(p.metadata) into named from billing.products as p where p.id = p_event.object_id;
  else
    select billing_private.named_features(p.metadata) into named from billing.prices as p where p.id = p_event.object_id;
  end if;
  if coalesce(named, '{}') = coalesce(
    (select f.features from billing_private.catalogue_features as f where f.kind = named_by and f.object_id = p_event.object_id), '{}'
  ) then
    return;
  end if;

  if named = '{}' then
    delete from billing_private.catalogue_features as f where f.kind = named_by and f.object_id = p_event.object_id;
  else
    insert into billing_private.catalogue_features (kind, object_id, features)
    values (named_by, p_event.object_id, named)
    on conflict (kind, object_id) do update set features = excluded.features;
  end if;
  insert into billing_private.changed_features (kind, object_id, changed_at)
  values (named_by, p_event.object_id, p_event.received_at)
  on conflict (kind, object_id) do update set changed_at = excluded.changed_at, reached = '';
  -- A few subscribers see it at once. All of them, these too, are computed anew within minutes: a subscription that is
  -- being projected right now is invisible here, and does not see the new features either.
  perform billing_private.recount_subscribers(named_by, p_event.object_id, '', 25, p_event.received_at);
end;
$$;

comment on function billing_private.project_features is
  'Handler: product.*, price.*: keeps what features metadata names. Runs after the handler that keeps the object.';

create function billing_private.project_entitlement_summary(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  summary constant jsonb := p_event.payload #> '{data,object}';
  shown constant jsonb := billing_private.apply_object_if_newest(p_event);
  is_cut_off constant boolean := shown #> '{entitlements,has_more}' is not distinct from 'true';
begin
  if summary #> '{entitlements,has_more}' is distinct from 'true' then
    -- Stale or not: a list that was cut off later leaves open what this one has beyond it.
    insert into billing_private.entitlement_summaries as s (customer_id, whole_features, whole_as_of, whole_event)
    values (p_event.customer_id, billing_private.summary_features(summary), p_event.created, coalesce(p_event.id, ''))
    on conflict (customer_id) do update
      set whole_features = excluded.whole_features, whole_as_of = excluded.whole_as_of, whole_event = excluded.whole_event
      where s.whole_as_of is null
        or (excluded.whole_as_of, excluded.whole_event collate "C") > (s.whole_as_of, s.whole_event collate "C");
  end if;
  if shown is null then
    return;
  end if;

  insert into billing_private.entitlement_summaries as s (customer_id, features, is_whole)
  values (p_event.customer_id, billing_private.summary_features(shown), not is_cut_off)
  on conflict (customer_id) do update set features = excluded.features, is_whole = excluded.is_whole;
  if is_cut_off then
    perform billing_private.enqueue_refresh(p_event);
  end if;
end;
$$;

comment on function billing_private.project_entitlement_summary is
  'Handler: entitlements.active_entitlement_summary.updated. Of a list that is cut off, the rest is read from Stripe.';
