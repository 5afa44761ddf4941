-- Users come and go: what happens to customers when a user signs up, confirms an address, or is deleted.
-- Reads: customer_owner_hints, customers, webhook_events, auth.users. Writes: customers.owner_id, audit_events, and
-- what a user has by a customer: usage, credits, entitlements.
-- Called by: triggers on auth.users; the tick.

create function billing_private.link_waiting_customers(p_now timestamptz, p_limit integer default 1000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  named constant text[] := array(
    select c.customer_id
    from billing_private.customer_owner_hints as c
    join auth.users as u on u.id = billing_private.as_uuid(c.hinted_owner)
    where c.is_waiting
    order by c.customer_id
    limit p_limit
  );
  missed constant text[] := billing_private.missed_addresses(p_now, p_limit);
begin
  -- All turns before the first link: a link takes its users' turns, and nothing is waited for after that.
  perform billing_private.lock_customers(named || missed);
  perform billing_private.lock_plans_of_customers_shared(named || missed);
  update billing_private.customer_owner_hints as c
  set is_waiting = false
  where c.customer_id = any (named)
    and c.is_waiting
    and exists (select from auth.users as u where u.id = billing_private.as_uuid(c.hinted_owner));
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(named || missed) as c (id);
  return cardinality(named) + cardinality(missed) + billing_private.match_credits_of_waiting_guests(p_now, null, p_limit);
end;
$$;

comment on function billing_private.link_waiting_customers is
  'Links customers whose user signed up, or confirmed the address, at the same time as their event was projected, when neither transaction could see the other; likewise what guests bought. Run by the tick every minute. Returns how many.';

create function billing_private.missed_addresses(p_now timestamptz, p_limit integer)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  if not coalesce((select s.link_customers_by_email from billing.settings as s), false) then
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
  known := array(
    select c.customer_id
    from billing_private.customer_owner_hints as c
    where c.hinted_owner = new.id::text
    union
    select c.id
    from billing.customers as c
    where new.email_confirmed_at is not null
      and lower(c.email) = lower(new.email)
      and (select s.link_customers_by_email from billing.settings as s)
  );
  perform billing_private.lock_customers(known);
  perform billing_private.lock_plans_of_customers_shared(known);
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

create function billing_private.audit_unlinked(p_customers text[], p_user_id uuid)
returns void
language sql
set search_path = ''
as $$
  select billing_private.audit(
    'customer.unlinked', 'system', c.id, c.id,
    jsonb_build_object('owner_id', null, 'former_owner_id', p_user_id, 'reason', 'user_deleted'), now()
  )
  from unnest(p_customers) as c (id);
$$;

comment on function billing_private.audit_unlinked is 'Puts on record whose customers were when their account was deleted. Takes no lock.';

create function billing_private.tg_users__on_delete()
returns trigger
language plpgsql
-- Definer: see tg_users__after_write.
security definer
set search_path = ''
as $$
declare
  known record;
begin
  if tg_when = 'BEFORE' then
    -- All locks that may be needed, before any row is changed.
    perform billing_private.lock_customers(array(
      select c.id from billing.customers as c where c.owner_id = old.id
      union
      select c.customer_id from billing_private.customer_owner_hints as c where c.hinted_owner = old.id::text
    ));
    for known in update billing.customers as c set owner_id = null where c.owner_id = old.id returning c.id loop
      perform billing_private.audit_unlinked(array[known.id], old.id);
      perform billing_private.match_credits_of_customer(known.id, now());
    end loop;
    perform billing_private.save_entitlements(old.id, now());
    return old;
  end if;
  -- Somebody else may be named for the same customer, by a source that counts for less.
  for known in select c.customer_id as id from billing_private.customer_owner_hints as c where c.hinted_owner = old.id::text order by 1 loop
    perform billing_private.link_customer_to_owner(known.id, now());
  end loop;
  return null;
-- A failure here must not keep an account from being deleted: the foreign key of customers unlinks them as well, and
-- whose they were is on record all the same.
exception when others then
  raise warning 'duebase: customers of deleted user % could not be seen to: % (%)', old.id, sqlerrm, sqlstate;
  if tg_when = 'BEFORE' then
    perform billing_private.audit_unlinked(array(select c.id from billing.customers as c where c.owner_id = old.id), old.id);
    return old;
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_users__on_delete is
  'Trigger function on auth.users: a deleted user''s customers stay, unlinked and on record, or go to the next user that is named for them.';

create trigger duebase_unlinks_customers
  before delete on auth.users
  for each row execute function billing_private.tg_users__on_delete();
create trigger duebase_relinks_customers
  after delete on auth.users
  for each row execute function billing_private.tg_users__on_delete();
