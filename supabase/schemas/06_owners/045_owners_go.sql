-- Owners go: what becomes of customers, and of all that is kept by owner, when a user or a team is deleted.
-- Reads: customer_owner_hints, customers, subscriptions, audit_events. Writes: deleted_owners, customers.owner_id,
-- audit_events, outbox (alerts), and whatever has an owner_id. Called by: the trigger on auth.users; the application,
-- when a team is deleted; the tick, for what failed.

create function billing_private.customers_naming(p_owner_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  select array(
    select c.id from billing.customers as c where c.owner_id = p_owner_id
    union
    select h.customer_id from billing_private.customer_owner_hints as h where h.hinted_owner = p_owner_id::text
    order by 1
  );
$$;

comment on function billing_private.customers_naming is 'Customers that an owner has, and those that a hint says the owner has; in order.';

create function billing_private.lock_owner_to_remove(p_owner_id uuid)
returns text[]
language plpgsql
set search_path = ''
as $$
declare
  naming text[];
begin
  for try in 1..10 loop
    begin
      naming := billing_private.customers_naming(p_owner_id);
      perform billing_private.lock_links(naming, array[p_owner_id]);
      if not exists (select from billing.customers as c where c.owner_id = p_owner_id and c.id <> all (naming)) then
        return naming;
      end if;
      -- Another one was linked before this had the owner's lock. Its lock comes before that one: give all back.
      raise triggered_action_exception;
    exception when triggered_action_exception then
      null;
    end;
  end loop;
  raise serialization_failure using message = format('billing: customers of owner %s keep coming', p_owner_id);
end;
$$;

comment on function billing_private.lock_owner_to_remove is
  'Takes the locks of an owner''s customers, of those that name the owner, and of the owner (7308), in the order of locks. From then on nobody links a customer to the owner, or writes credits or entitlements of the owner. Returns these customers.';

create function billing_private.unlink_customers_of(p_owner_id uuid, p_reason text, p_now timestamptz)
returns text[]
language plpgsql
set search_path = ''
as $$
declare
  unlinked text[];
begin
  with changed as (
    update billing.customers as c set owner_id = null where c.owner_id = p_owner_id returning c.id
  )
  select coalesce(array_agg(c.id order by c.id), '{}') into unlinked from changed as c;
  perform billing_private.audit(
    'customer.unlinked', 'system', c.id, c.id,
    jsonb_build_object('owner_id', null, 'former_owner_id', p_owner_id, 'reason', p_reason), p_now
  )
  from unnest(unlinked) as c (id);
  return unlinked;
end;
$$;

comment on function billing_private.unlink_customers_of is
  'Takes an owner''s customers from the owner and puts on record whose they were. Takes no lock but those of the rows. Returns them in order.';

create function billing_private.release_rows_of(p_owner_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- In the order in which record_usage locks them, so that it is waited for.
  perform from billing.subscription_usage as u where u.owner_id = p_owner_id order by u.id for update;
  update billing.subscription_usage as u set owner_id = null where u.owner_id = p_owner_id;
  delete from billing_private.usage_records as r where r.owner_id = p_owner_id;
  update billing.credit_entries as e set owner_id = null where e.owner_id = p_owner_id;
  delete from billing_private.credit_balances as b where b.owner_id = p_owner_id;
  update billing_private.credit_purchases as p set holder = null where p.holder = p_owner_id;
  delete from billing_private.checkout_attempts as a where a.owner_id = p_owner_id;
  delete from billing.seats as s where s.owner_id = p_owner_id;
  delete from billing_private.seat_counts as n where n.owner_id = p_owner_id;
end;
$$;

comment on function billing_private.release_rows_of is
  'What is kept by owner, when the owner is gone: the books (usage, credits) stay and name nobody; balances, keys, seats and attempts at buying go. Entitlements end by themselves, in save_entitlements.';

create function billing_private.alert_unowned_subscriptions(p_owner_id uuid, p_customers text[], p_reason text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  running jsonb;
begin
  select jsonb_agg(jsonb_build_object('subscription', s.id, 'customer', s.customer, 'status', s.status) order by s.id)
  into running
  from billing.customers as c
  join billing.subscriptions as s on s.customer = c.id
  where c.id = any (p_customers)
    and c.owner_id is null
    and c.deleted_at is null
    and s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused')
    and not coalesce(s.cancel_at_period_end, false);
  if running is not null then
    perform billing_private.enqueue(
      'alert', format('alert:owner_deleted_with_subscription:%s', p_owner_id),
      jsonb_build_object(
        'cause', 'owner_deleted_with_subscription', 'owner_id', p_owner_id, 'reason', p_reason, 'subscriptions', running
      ),
      p_now
    );
  end if;
end;
$$;

comment on function billing_private.alert_unowned_subscriptions is
  'Enqueues the alert that a deleted owner''s subscriptions go on, once for an owner: nothing else stops the charges. One that Stripe ends with its period is not among them, nor is one of a customer that somebody else has now.';

create function billing_private.remove_owner(p_owner_id uuid, p_reason text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  naming constant text[] := billing_private.lock_owner_to_remove(p_owner_id);
  unlinked text[];
begin
  insert into billing_private.deleted_owners as d (owner_id, deleted_at, is_finished)
  values (p_owner_id, p_now, true)
  on conflict (owner_id) do update set is_finished = true;
  unlinked := billing_private.unlink_customers_of(p_owner_id, p_reason, p_now);
  perform billing_private.match_credits_of_customer(c.id, p_now) from unnest(unlinked) as c (id);
  perform billing_private.release_rows_of(p_owner_id);
  -- Last: whoever listens is told once of all that ended.
  perform billing_private.save_entitlements(p_owner_id, p_now);
  -- Somebody else may be named for the same customer, by a source that counts for less.
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(naming) as c (id);
  -- Of those that were the owner's, also the ones that an earlier attempt unlinked.
  perform billing_private.alert_unowned_subscriptions(p_owner_id, billing_private.customers_of_owner(p_owner_id), p_reason, p_now);
  return cardinality(unlinked);
end;
$$;

comment on function billing_private.remove_owner is
  'Sees to what a deleted owner had: customers stay, unlinked and on record, or go to the next owner that is named for them; entitlements end; books stay and name nobody. p_reason: user_deleted, owner_deleted. Returns how many customers were unlinked; safe any number of times.';

create function billing_private.remove_owner_or_defer(p_owner_id uuid, p_reason text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  unlinked integer := 0;
begin
  begin
    return billing_private.remove_owner(p_owner_id, p_reason, p_now);
  exception when others then
    raise warning 'duebase: customers of deleted owner % could not be seen to: % (%)', p_owner_id, sqlerrm, sqlstate;
  end;
  begin
    unlinked := cardinality(billing_private.unlink_customers_of(p_owner_id, p_reason, p_now));
    perform billing_private.release_rows_of(p_owner_id);
    delete from billing.entitlements as e where e.owner_id = p_owner_id;
    if found then
      perform billing_private.next_entitlement_version(p_owner_id, p_now);
    end if;
  exception when others then
    raise warning 'duebase: rows of deleted owner % could not be released: % (%)', p_owner_id, sqlerrm, sqlstate;
    unlinked := 0;
  end;
  insert into billing_private.deleted_owners as d (owner_id, deleted_at, is_finished)
  values (p_owner_id, p_now, false)
  on conflict (owner_id) do update set is_finished = false;
  return unlinked;
end;
$$;

comment on function billing_private.remove_owner_or_defer is
  'remove_owner, for whoever must not fail with it: a deletion of an account or of a team. What fails is logged; what can be done without locks is done at once, and the tick does the rest.';

create function billing_private.remove_deferred_owners(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  deferred constant uuid := (
    select d.owner_id from billing_private.deleted_owners as d where not d.is_finished order by d.owner_id limit 1
  );
begin
  if deferred is null then
    return 0;
  end if;
  perform billing_private.remove_owner(
    deferred, case when billing_private.owners_are_users() then 'user_deleted' else 'owner_deleted' end, p_now
  );
  return 1;
end;
$$;

comment on function billing_private.remove_deferred_owners is
  'Sees to one owner whose deletion met with a failure, as remove_owner does. Run by the tick every minute. Returns how many.';

create function billing_private.tg_users__after_delete()
returns trigger
language plpgsql
-- Definer: accounts are deleted as Supabase Auth's role, which has no business in billing.
security definer
set search_path = ''
as $$
begin
  perform billing_private.remove_owner_or_defer(old.id, 'user_deleted', now());
  return null;
end;
$$;

comment on function billing_private.tg_users__after_delete is
  'Trigger function on auth.users: what a deleted user had as an owner. A failure of ours keeps no account from being deleted.';

create trigger duebase_unlinks_customers
  after delete on auth.users
  for each row execute function billing_private.tg_users__after_delete();

create function billing.owner_deleted(owner_id uuid, p_now timestamptz default now())
returns integer
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  if owner_id is null then
    perform billing_private.raise_error('DU020', 'no owner was deleted: owner_id is null');
  elsif billing_private.owners_are_users() and exists (select from auth.users as u where u.id = owner_deleted.owner_id) then
    -- Owners are users here, and this one is there: it goes with its account.
    return 0;
  end if;
  return billing_private.remove_owner_or_defer(owner_id, 'owner_deleted', p_now);
end;
$$;

comment on function billing.owner_deleted is
  'Tells that an owner of the application''s, such as a team, was deleted; call it from a trigger on the application''s table. Its customers are unlinked, on record, and not linked to it again; entitlements end; the books stay and name nobody. Where a subscription goes on, the operator is alerted: cancel it at Stripe. Returns how many customers were unlinked. Raises DU020 for null and nothing else. Users go with their account: without settings.owners_function this does nothing about a user who is there.';

grant execute on function billing.owner_deleted(uuid, timestamptz) to service_role;
