-- Linking: a customer is given the owner that the best of its hints names, as soon as that owner exists.
-- Reads: customer_owner_hints, customers, settings, known owners, auth.users; checkout, customer and subscription events.
-- Writes: customers.owner_id, customer_owner_hints, event_handlers, audit_events, and what the owner has by the customer:
-- usage, credits, entitlements.
-- Called by: projection; reads of Stripe; sign-ups; owners who are removed; settings; operators.

create function billing_private.owner_of_customer(p_customer_id text)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  named uuid;
begin
  select h.id
  into named
  from (
    select billing_private.as_uuid(c.hinted_owner) as id, c.source
    from billing_private.customer_owner_hints as c
    where c.customer_id = p_customer_id and billing_private.is_trusted_source(c.source)
  ) as h
  where billing_private.owner_exists(h.id)
  order by array_position(array['operator', 'checkout_session', 'customer', 'subscription', 'client_reference', 'payment_link'], h.source)
  limit 1;
  if named is null and billing_private.links_by_email() then
    select u.id
    into named
    from billing.customers as c
    -- Single sign-on users may share an address, so theirs says nothing; Auth indexes, and keeps unique, the others'.
    join auth.users as u on u.email = lower(c.email) and not u.is_sso_user
    where c.id = p_customer_id and u.email_confirmed_at is not null;
  end if;
  return named;
end;
$$;

comment on function billing_private.owner_of_customer is
  'The owner of a customer: as an operator said, else by metadata of the checkout session, else of the customer, else of a subscription, else by a client_reference_id that settings trust, else, where settings allow it, by confirmed email; null when nothing names an existing owner.';

create function billing_private.lock_links(p_customers text[], p_owners uuid[] default '{}')
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.lock_customers(p_customers);
  perform billing_private.lock_plans_of_customers_shared(p_customers);
  perform from billing_private.credit_purchases as p where p.customer = any (p_customers) order by p.id for update;
  -- Whoever has such a customer, and whoever may get it.
  perform billing_private.lock_owners(p_owners || array(
    select c.owner_id from billing.customers as c where c.id = any (p_customers)
    union
    select billing_private.as_uuid(h.hinted_owner) from billing_private.customer_owner_hints as h where h.customer_id = any (p_customers)
    union
    select billing_private.owner_of_customer(c.id) from unnest(p_customers) as c (id) where billing_private.links_by_email()
  ));
end;
$$;

comment on function billing_private.lock_links is
  'Takes, in the order of locks, all that linking these customers needs: their own locks, those of their plans, what they bought, and the locks of the owners they have or may get. While these are held no such owner is deleted. p_owners: further owners to lock.';

create function billing_private.link_customer_to_owner(p_customer_id text, p_now timestamptz, p_actor text default 'system')
returns void
language plpgsql
set search_path = ''
as $$
declare
  named uuid := billing_private.owner_of_customer(p_customer_id);
  previous uuid;
begin
  select c.owner_id into previous from billing.customers as c where c.id = p_customer_id;
  if previous is not distinct from named then
    if named is null then
      perform billing_private.alert_unowned_subscriptions(array[p_customer_id], p_now);
    end if;
    return;
  end if;
  perform billing_private.lock_links(array[p_customer_id], array[named]);
  -- Once more: an owner that was being deleted is gone now.
  named := billing_private.owner_of_customer(p_customer_id);
  if previous is not distinct from named then
    return;
  elsif named is null then
    -- A link by email that holds no longer, an operator's word that was taken back, or an owner that is gone.
    update billing.customers as c set owner_id = null where c.id = p_customer_id;
  else
    insert into billing.customers as c (id, owner_id, deleted_at)
    values (
      p_customer_id, named, (
        select coalesce(v.deleted_at, case when coalesce(v.found_missing_at >= v.as_of, true) then v.found_missing_at end)
        from billing_private.object_versions as v
        where v.object_id = p_customer_id
      )
    )
    on conflict (id) do update set owner_id = excluded.owner_id;
  end if;
  perform billing_private.audit(
    case when named is null then 'customer.unlinked' else 'customer.linked' end,
    p_actor, p_customer_id, p_customer_id, jsonb_build_object('owner_id', named), p_now
  );
  perform billing_private.refresh_usage_of_customer(p_customer_id);
  perform billing_private.match_credits_of_customer(p_customer_id, p_now);
  perform billing_private.refresh_entitlements_of(array[previous, named], p_now, p_customer_id);
  -- After the owners' locks, as in projection.
  perform billing_private.alert_two_subscriptions(p_customer_id, p_now);
end;
$$;

comment on function billing_private.link_customer_to_owner is 'Gives a customer the owner that is named for it, as soon as that owner exists; what the owner has by the customer follows. Audited when it changes. The caller holds the customer''s lock.';

create function billing_private.link_by_owner_hint(p_event billing.stripe_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_customer_id is null then
    return;
  elsif billing_private.hinted_owner_of(p_event.payload #> '{data,object}', p_source) is null then
    -- An operator may have said whose the customer is before anything was known of it.
    if not exists (
      select from billing_private.customer_owner_hints as c where c.customer_id = p_customer_id and c.source = 'operator'
    ) then
      return;
    end if;
  elsif p_event.id is null then
    perform billing_private.correct_owner_hint(p_event, p_customer_id, p_source);
  else
    perform billing_private.record_owner_hint(p_event, p_customer_id, p_source);
  end if;
  perform billing_private.link_customer_to_owner(p_customer_id, p_event.received_at);
end;
$$;

comment on function billing_private.link_by_owner_hint is 'Records the owner an event or a read names for a customer, if any, and links.';

create function billing_private.link_from_customer(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.named_owner(p_event.payload #> '{data,object}') is not null then
    perform billing_private.link_by_owner_hint(p_event, p_event.object_id, 'customer');
  else
    perform billing_private.link_customer_to_owner(p_event.object_id, p_event.received_at);
  end if;
end;
$$;

comment on function billing_private.link_from_customer is 'Handler: customer.created, updated: metadata.owner_id or user_id, else the email where allowed.';

create function billing_private.link_from_subscription(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.link_by_owner_hint(p_event, p_event.customer_id, 'subscription');
end;
$$;

comment on function billing_private.link_from_subscription is 'Handler: customer.subscription.*: metadata.owner_id or user_id.';

create function billing_private.link_from_checkout(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.link_by_owner_hint(
    p_event, p_event.customer_id, billing_private.hint_source_of_session(p_event.payload #> '{data,object}')
  );
end;
$$;

comment on function billing_private.link_from_checkout is 'Handler: checkout.session.completed: metadata.owner_id or user_id, else client_reference_id.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.created', 'billing_private.link_from_customer', 20, 'links the customer to its owner'),
  ('customer.updated', 'billing_private.link_from_customer', 20, 'links the customer to its owner'),
  ('customer.subscription.created', 'billing_private.link_from_subscription', 20, 'links the customer to its owner'),
  ('customer.subscription.updated', 'billing_private.link_from_subscription', 20, 'links the customer to its owner'),
  ('checkout.session.completed', 'billing_private.link_from_checkout', 20, 'links the customer to the user who checked out');
