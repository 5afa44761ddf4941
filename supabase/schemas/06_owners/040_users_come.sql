-- Users come: what happens to customers when a user signs up or confirms an address. For users who go see remove_owner.
-- Reads: customer_owner_hints, customers, webhook_events, auth.users. Writes: customers.owner_id, audit_events, and
-- what a user has by a customer: usage, credits, entitlements; deleted_owners.
-- Called by: triggers on auth.users; the tick.

create function billing_private.link_waiting_customers(p_now timestamptz, p_limit integer default 1000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  owners_are_users constant boolean := billing_private.owners_are_users();
  named constant text[] := array(
    select c.customer_id
    from billing_private.customer_owner_hints as c
    where c.is_waiting
      -- As owner_exists has it, without a call for each of what may be many.
      and case
        when owners_are_users then exists (select from auth.users as u where u.id = billing_private.as_uuid(c.hinted_owner))
        else not billing_private.is_deleted_owner(billing_private.as_uuid(c.hinted_owner))
      end
    order by c.customer_id
    limit p_limit
  );
  missed constant text[] := billing_private.missed_addresses(p_now, p_limit);
begin
  -- All locks before the first link: nothing is waited for after that.
  perform billing_private.lock_links(named || missed);
  update billing_private.customer_owner_hints as c
  set is_waiting = false
  where c.customer_id = any (named)
    and c.is_waiting
    and billing_private.owner_exists(billing_private.as_uuid(c.hinted_owner));
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(named || missed) as c (id);
  return cardinality(named) + cardinality(missed) + billing_private.match_credits_of_waiting_guests(p_now, null, p_limit);
end;
$$;

comment on function billing_private.link_waiting_customers is
  'Links customers whose owner came, or whose user signed up, or confirmed the address, at the same time as their event was projected, when neither transaction could see the other; likewise what guests bought. Run by the tick every minute. Returns how many.';

create function billing_private.missed_addresses(p_now timestamptz, p_limit integer)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  if not billing_private.links_by_email() then
    return array[]::text[];
  end if;
  return array(
    select c.id
    -- Only what arrived of late can have met a sign-up that was not committed yet.
    from (
      select distinct e.customer_id
      from billing.webhook_events as e
      where e.received_at > p_now - interval '1 hour' and e.type in ('customer.created', 'customer.updated')
    ) as recent
    join billing.customers as c on c.id = recent.customer_id and c.owner_id is null
    join auth.users as u on u.email = lower(c.email) and not u.is_sso_user and u.email_confirmed_at is not null
    order by c.id
    limit p_limit
  );
end;
$$;

comment on function billing_private.missed_addresses is
  'Where settings allow linking by email: the customers of the last hour''s events whose user could not be seen yet.';

create function billing_private.tg_users__after_write()
returns trigger
language plpgsql
-- Definer: sign-ups run as Supabase Auth's role, which has no business in billing.
security definer
set search_path = ''
as $$
declare
  known text[];
begin
  if tg_op = 'INSERT' then
    delete from billing_private.deleted_owners as d where d.owner_id = new.id;
  end if;
  known := array(
    select c.customer_id
    from billing_private.customer_owner_hints as c
    where c.hinted_owner = new.id::text
    union
    select c.id
    from billing.customers as c
    where new.email_confirmed_at is not null
      and lower(c.email) = lower(new.email)
      and billing_private.links_by_email()
  );
  perform billing_private.lock_links(known, array[new.id]);
  perform billing_private.link_customer_to_owner(c.id, now()) from unnest(known) as c (id);
  perform billing_private.match_credits_of_waiting_guests(now(), new.id);
  return null;
-- A failure here must not refuse a sign-up: it is logged, and the tick links by the hints.
exception when others then
  raise warning 'duebase: user % could not be linked to its Stripe customer: % (%)', new.id, sqlerrm, sqlstate;
  return null;
end;
$$;

comment on function billing_private.tg_users__after_write is
  'Trigger function on auth.users: links customers that named this user before it existed, or whose email it has just confirmed.';

create trigger duebase_links_customers
  after insert or update of email, email_confirmed_at on auth.users
  for each row execute function billing_private.tg_users__after_write();
