-- Linking: a customer is given the owner that the best of its hints names, as soon as that user exists.
-- Reads: customer_owner_hints, customers, settings, auth.users; checkout, customer and subscription events.
-- Writes: customers.owner_id, customer_owner_hints, event_handlers, audit_events, and what the owner has by the customer:
-- usage, credits, entitlements.
-- Called by: projection; reads of Stripe; users_come_and_go; settings.

create function billing_private.owner_of_customer(p_customer_id text)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  named uuid;
begin
  select u.id
  into named
  from billing_private.customer_owner_hints as c
  join auth.users as u on u.id = billing_private.as_uuid(c.hinted_owner)
  where c.customer_id = p_customer_id and billing_private.is_trusted_source(c.source)
  order by array_position(array['checkout_session', 'customer', 'subscription', 'client_reference', 'payment_link'], c.source)
  limit 1;
  if named is null and (select s.link_customers_by_email from billing.settings as s) then
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
  'The user a customer is: by metadata of the checkout session, else of the customer, else of a subscription, else by a client_reference_id that settings trust, else, where settings allow it, by confirmed email; null when nothing names an existing user.';

create function billing_private.link_customer_to_owner(p_customer_id text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  named constant uuid := billing_private.owner_of_customer(p_customer_id);
  previous uuid;
begin
  select c.owner_id into previous from billing.customers as c where c.id = p_customer_id;
  if previous is not distinct from named then
    return;
  elsif named is null then
    -- Only a link by email can end this way: hints are never deleted.
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
    'system', p_customer_id, p_customer_id, jsonb_build_object('owner_id', named), p_now
  );
  -- Whatever takes an owner's lock comes last.
  perform billing_private.refresh_usage_of_customer(p_customer_id);
  perform billing_private.match_credits_of_customer(p_customer_id, p_now);
  perform billing_private.refresh_entitlements_of(array[previous, named], p_now, p_customer_id);
  -- After the users' turns, as in projection.
  perform billing_private.alert_two_subscriptions(p_customer_id, p_now);
end;
$$;

comment on function billing_private.link_customer_to_owner is 'Gives a customer the user that is named for it, as soon as that user exists; what the user has by the customer follows. Audited when it changes. The caller holds the customer''s lock.';

create function billing_private.link_by_owner_hint(p_event billing.stripe_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_customer_id is null or billing_private.hinted_owner_of(p_event.payload #> '{data,object}', p_source) is null then
    return;
  elsif p_event.id is null then
    perform billing_private.correct_owner_hint(p_event, p_customer_id, p_source);
  else
    perform billing_private.record_owner_hint(p_event, p_customer_id, p_source);
  end if;
  perform billing_private.link_customer_to_owner(p_customer_id, p_event.received_at);
end;
$$;

comment on function billing_private.link_by_owner_hint is 'Records the user an event or a read names for a customer, if any, and links.';

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
  ('customer.created', 'billing_private.link_from_customer', 20, 'links the customer to its user'),
  ('customer.updated', 'billing_private.link_from_customer', 20, 'links the customer to its user'),
  ('customer.subscription.created', 'billing_private.link_from_subscription', 20, 'links the customer to its user'),
  ('customer.subscription.updated', 'billing_private.link_from_subscription', 20, 'links the customer to its user'),
  ('checkout.session.completed', 'billing_private.link_from_checkout', 20, 'links the customer to the user who checked out');
