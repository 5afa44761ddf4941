-- Refresh: the entitlements of an owner, computed from what grants them and nothing else, so that they are right in
-- whatever order it became known. Nothing is written, and no version moves, unless something changed.
-- Reads: customers, subscriptions and items, catalogue_features, entitlement_summaries. Writes: entitlements,
-- entitlement_versions, limits_told, audit_events; NOTIFY. Called by: projection, linking, dunning, the tick.

create function billing_private.dunning_access(p_subscription_id text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Dunning replaces this function.
  return null;
end;
$$;

comment on function billing_private.dunning_access is
  'What dunning says of the access a subscription gives: true, it is kept (grace); false, it is taken; null, no case says anything and the status decides.';

create function billing_private.entitlements_of(p_owner_id uuid)
returns table (feature text, sources text[], valid_until timestamptz)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
    with theirs as (
      select
        c.id as customer,
        s.id,
        s.cancel_at,
        coalesce(d.access, s.status in ('active', 'trialing', 'past_due')) as grants,
        d.access is false as is_withheld
      from billing.customers as c
      join billing.subscriptions as s on s.customer = c.id
      cross join lateral billing_private.dunning_access(s.id) as d (access)
      where c.owner_id = p_owner_id and c.deleted_at is null
    ),
    granted as (
      -- least and max leave out what is null: an end that is known counts.
      select f.name, t.id as source, least(t.cancel_at, i.current_period_end) as ends_at
      from theirs as t
      join billing.subscription_items as i on i.subscription = t.id
      cross join lateral (values ('product', i.product), ('price', i.price)) as named_by (kind, id)
      join billing_private.catalogue_features as k on k.kind = named_by.kind and k.object_id = named_by.id
      cross join lateral unnest(k.features) as f (name)
      where t.grants
      union all
      select f.name, c.id, null
      from billing.customers as c
      join billing_private.entitlement_summaries as m on m.customer_id = c.id
      cross join lateral unnest(m.features || case when not m.is_whole then m.whole_features end) as f (name)
      where c.owner_id = p_owner_id
        and c.deleted_at is null
        -- Stripe knows nothing of dunning here: where that took every subscription, what they brought goes too.
        and (
          exists (select from theirs as t where t.customer = c.id and t.grants)
          or not exists (select from theirs as t where t.customer = c.id and t.is_withheld)
        )
    )
    select
      g.name,
      array_agg(distinct g.source collate "C" order by g.source collate "C"),
      case when bool_and(g.ends_at is not null) then max(g.ends_at) end
    from granted as g
    group by g.name;
end;
$$;

comment on function billing_private.entitlements_of is
  'What an owner may use, why, and until when that is known to hold: a pure function of what is projected. Subscriptions that are active, trialing or past_due grant; so do those that dunning keeps, and not those it withholds. A deleted customer grants nothing.';

create function billing_private.save_entitlements(
  p_owner_id uuid, p_now timestamptz, p_customer_id text default null, p_is_news boolean default false
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  change record;
  next_version bigint;
begin
  -- An owner may be several customers, whose events do not wait for each other. Whoever holds this lock last sees all.
  if pg_advisory_xact_lock(hashtextextended(p_owner_id::text, 7308)) is null then
    return;
  end if;
  if billing_private.record_limits(p_owner_id) or p_is_news then
    next_version := billing_private.next_entitlement_version(p_owner_id, p_now);
  end if;
  for change in
    select coalesce(w.feature, h.feature) as feature, w.sources, w.valid_until, h.id, w.feature is null as is_gone
    from billing_private.entitlements_of(p_owner_id) as w
    full join (select * from billing.entitlements as e where e.owner_id = p_owner_id) as h on h.feature = w.feature
    where (w.feature, w.sources, w.valid_until) is distinct from (h.feature, h.sources, h.valid_until)
    order by 1
  loop
    if next_version is null then
      next_version := billing_private.next_entitlement_version(p_owner_id, p_now);
    end if;
    if change.is_gone then
      delete from billing.entitlements as e where e.id = change.id;
    elsif change.id is null then
      insert into billing.entitlements (owner_id, feature, sources, valid_until, version, updated_at)
      values (p_owner_id, change.feature, change.sources, change.valid_until, next_version, p_now);
    else
      update billing.entitlements as e
      set sources = change.sources, valid_until = change.valid_until, version = next_version, updated_at = p_now
      where e.id = change.id;
    end if;
    if change.is_gone or change.id is null then
      perform billing_private.audit(
        case when change.is_gone then 'entitlement.revoked' else 'entitlement.granted' end,
        'system', p_owner_id::text, p_customer_id,
        jsonb_strip_nulls(jsonb_build_object('feature', change.feature, 'sources', change.sources, 'version', next_version)),
        p_now
      );
    end if;
  end loop;
end;
$$;

comment on function billing_private.save_entitlements is
  'Makes an owner''s entitlements what entitlements_of says, under the owner''s lock (advisory lock 7308), and tells of changes, also of the owner''s limits: audit_events, and the owner''s version once. p_customer_id: the customer whose news led here, for the audit. p_is_news: the version moves in any case.';

create function billing_private.refresh_entitlements(p_customer_id text, p_now timestamptz, p_is_news boolean default false)
returns void
language plpgsql
set search_path = ''
as $$
declare
  owner uuid;
begin
  select c.owner_id into owner from billing.customers as c where c.id = p_customer_id;
  if owner is not null then
    perform billing_private.save_entitlements(owner, p_now, p_customer_id, p_is_news);
  else
    perform billing_private.alert_unowned_subscriptions(array[p_customer_id], p_now);
  end if;
end;
$$;

comment on function billing_private.refresh_entitlements is
  'Computes anew the entitlements of the owner a customer belongs to; of nobody''s customer, only a deleted owner''s subscriptions are alerted. p_is_news: what the owner owes has changed, and clients are told though no entitlement did. The caller holds the customer''s lock.';

create function billing_private.refresh_entitlements_of(p_owners uuid[], p_now timestamptz, p_customer_id text default null)
returns void
language plpgsql
set search_path = ''
as $$
declare
  one uuid;
begin
  -- In order, so that no two that take several locks can wait for each other.
  for one in select distinct u.id from unnest(p_owners) as u (id) where u.id is not null order by 1 loop
    perform billing_private.save_entitlements(one, p_now, p_customer_id);
  end loop;
end;
$$;

comment on function billing_private.refresh_entitlements_of is 'Computes anew the entitlements of several owners.';

create function billing_private.project_entitlements(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.refresh_entitlements(p_event.customer_id, p_event.received_at);
end;
$$;

comment on function billing_private.project_entitlements is
  'Handler: whatever changes what a customer may use. Runs after the handlers that keep it.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, h.position, h.description
from (
  values
    (
      'billing_private.project_features', 20, 'keeps what features metadata names',
      array['product.created', 'product.updated', 'product.deleted', 'price.created', 'price.updated', 'price.deleted']
    ),
    (
      'billing_private.project_entitlement_summary', 10, 'keeps the entitlements Stripe keeps',
      array['entitlements.active_entitlement_summary.updated']
    ),
    (
      'billing_private.project_entitlements', 30, 'keeps entitlements',
      array[
        'customer.deleted',
        'customer.subscription.created', 'customer.subscription.updated', 'customer.subscription.deleted',
        'customer.subscription.trial_will_end', 'customer.subscription.paused', 'customer.subscription.resumed',
        'customer.subscription.pending_update_applied', 'customer.subscription.pending_update_expired',
        'entitlements.active_entitlement_summary.updated'
      ]
    ),
    (
      'billing_private.record_audit_event', 50, 'audit trail',
      array['entitlements.active_entitlement_summary.updated']
    )
) as h (handler, position, description, event_types)
cross join lateral unnest(h.event_types) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('customer', 'billing_private.project_entitlements', 30),
  ('subscription', 'billing_private.project_entitlements', 30),
  ('product', 'billing_private.project_features', 20),
  ('price', 'billing_private.project_features', 20);
-- A whole list that is no longer shown still has what a later one was cut off before.
insert into billing_private.refresh_handlers (object, handler, position, runs_on_stale) values
  ('entitlements.active_entitlement_summary', 'billing_private.project_entitlement_summary', 10, true),
  ('entitlements.active_entitlement_summary', 'billing_private.project_entitlements', 30, true);
