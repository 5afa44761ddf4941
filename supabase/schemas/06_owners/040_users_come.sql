-- Users come: what happens to customers when a user signs up or confirms an address. For users who go see remove_owner.
-- Reads: customer_owner_hints, customers, webhook_events, auth.users. Writes: customers.owner_id, audit_events, and
-- what a user has by a customer: usage, credits, entitlements; deleted_owners; unlinked_users.
-- Called by: triggers on auth.users; the tick.

create table billing_private.unlinked_users (
  user_id uuid primary key,
  noted_at timestamptz not null,
  tried_at timestamptz,
  problem text
);

comment on table billing_private.unlinked_users is
  'Users whose sign-up, or confirmed address, could not be seen to at that moment: something failed, or was locked. The tick links them and takes them out.';
comment on column billing_private.unlinked_users.user_id is 'The user (auth.users.id).';
comment on column billing_private.unlinked_users.noted_at is 'When that was (UTC).';
comment on column billing_private.unlinked_users.tried_at is 'When the tick last tried to (UTC).';
comment on column billing_private.unlinked_users.problem is 'What that try raised; also in job_problems, until it succeeds.';

alter table billing_private.unlinked_users enable row level security;
create policy nobody_reads on billing_private.unlinked_users using (false);

create function billing_private.customers_of_user(p_user_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  select array(
    select h.customer_id
    from billing_private.customer_owner_hints as h
    where h.hinted_owner = p_user_id::text
    union
    select c.id
    from auth.users as u
    join billing.customers as c on lower(c.email) = lower(u.email)
    where u.id = p_user_id and u.email_confirmed_at is not null and billing_private.links_by_email()
    order by 1
  );
$$;

comment on function billing_private.customers_of_user is
  'Customers that a user may be linked to: those that a hint says are theirs and, where settings link by email, those with the confirmed address. In order.';

create function billing_private.link_user(p_user_id uuid, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  known constant text[] := billing_private.customers_of_user(p_user_id);
begin
  perform billing_private.lock_links(known, array[p_user_id]);
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(known) as c (id);
  perform billing_private.match_credits_of_waiting_guests(p_now, p_user_id);
end;
$$;

comment on function billing_private.link_user is
  'Links a user to the customers that are theirs, with what was bought as a guest.';

create function billing_private.link_unlinked_users(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  unlinked uuid;
begin
  select u.user_id
  into unlinked
  from billing_private.unlinked_users as u
  -- As in remove_deferred_owners: one that always fails is in nobody's way.
  where u.tried_at is null or u.tried_at <= p_now - interval '50 seconds'
  order by u.tried_at nulls first, u.user_id
  limit 1;
  if unlinked is null then
    return 0;
  end if;
  begin
    -- Whoever has gone since is not linked, and stays known as deleted.
    if exists (select from auth.users as u where u.id = unlinked) then
      delete from billing_private.deleted_owners as d where d.owner_id = unlinked;
      perform billing_private.link_user(unlinked, p_now);
    end if;
    delete from billing_private.unlinked_users as u where u.user_id = unlinked;
  exception when others then
    update billing_private.unlinked_users as u
    set tried_at = p_now, problem = format('%s (%s)', sqlerrm, sqlstate)
    where u.user_id = unlinked;
  end;
  perform billing_private.record_job_problem(
    'link-users',
    (
      select format('%s user(s) cannot be linked to their customers yet; %s: %s', count(*), min(u.user_id::text), min(u.problem))
      from billing_private.unlinked_users as u
      where u.problem is not null
      having count(*) > 0
    ),
    p_now
  );
  return 1;
end;
$$;

comment on function billing_private.link_unlinked_users is
  'Tries once more to link one user whom the sign-up could not link. What it raises is in job_problems, and the next user has its turn. Run by the tick every minute. Returns how many it tried.';

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
  -- Nearly never.
  if named <> array[]::text[] or missed <> array[]::text[] then
    -- All locks before the first link: nothing is waited for after that.
    perform billing_private.lock_links(named || missed);
    update billing_private.customer_owner_hints as c
    set is_waiting = false
    where c.customer_id = any (named)
      and c.is_waiting
      and billing_private.owner_exists(billing_private.as_uuid(c.hinted_owner));
    perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(named || missed) as c (id);
  end if;
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
-- Nobody waits to sign up for what others hold of ours.
set lock_timeout = '2s'
as $$
begin
  if tg_op = 'INSERT' then
    delete from billing_private.deleted_owners as d where d.owner_id = new.id;
  end if;
  perform billing_private.link_user(new.id, now());
  return null;
-- A failure here must not refuse a sign-up: it is logged, and the tick does it.
exception when others then
  raise warning 'duebase: user % could not be linked to its Stripe customer: % (%)', new.id, sqlerrm, sqlstate;
  begin
    insert into billing_private.unlinked_users as u (user_id, noted_at)
    values (new.id, now())
    on conflict (user_id) do update set noted_at = excluded.noted_at;
  exception when others then
    raise warning 'duebase: user % is not on record as unlinked: % (%)', new.id, sqlerrm, sqlstate;
  end;
  return null;
end;
$$;

comment on function billing_private.tg_users__after_write is
  'Trigger function on auth.users: links customers that named this user before it existed, or whose email it has just confirmed. What fails, or is locked for more than two seconds, the tick does.';

create trigger duebase_links_customers
  after insert or update of email, email_confirmed_at on auth.users
  for each row execute function billing_private.tg_users__after_write();
