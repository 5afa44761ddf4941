-- Owners go: what becomes of customers, and of all that is kept by owner, when a user or a team is deleted.
-- Reads: customer_owner_hints, customers, subscriptions, audit_events. Writes: deleted_owners, customers.owner_id,
-- audit_events, outbox (alerts), job_problems, and whatever has an owner_id. Called by: the trigger on auth.users; the application,
-- when a team is deleted or restored; the tick, for what failed; linking and projection, for what is learnt later.

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
  -- What a manager began for a team stays the team's, and no longer says whose address it was made with. Where nobody knows
  -- whether Stripe made the session, the same call cannot be made again.
  update billing_private.checkout_attempts as a
  set
    user_id = null,
    request = a.request - 'customer_email',
    status = case when a.status = 'making' and a.request ? 'customer_email' then 'expired' else a.status end
  where a.user_id = p_owner_id;
end;
$$;

comment on function billing_private.release_rows_of is
  'What is kept by owner, when the owner is gone: the books (usage, credits) stay and name nobody; balances, keys, seats and attempts at buying go, and the address in what a deleted user began for a team. Entitlements end by themselves, in save_entitlements.';

create function billing_private.deleted_owner_of(p_customer_id text)
returns billing_private.deleted_owners
language plpgsql
stable
set search_path = ''
as $$
declare
  deleted billing_private.deleted_owners;
begin
  select d.*
  into deleted
  from billing_private.deleted_owners as d
  where d.owner_id in (
    select billing_private.as_uuid(h.hinted_owner)
    from billing_private.customer_owner_hints as h
    where h.customer_id = p_customer_id and billing_private.is_trusted_source(h.source)
    union all
    -- Whose the customer was: a link by email has no hint.
    select billing_private.as_uuid(u.detail ->> 'former_owner_id')
    from billing.audit_events as u
    where u.customer_id = p_customer_id and u.action = 'customer.unlinked'
  )
  order by d.deleted_at desc, d.owner_id
  limit 1;
  return deleted;
end;
$$;

comment on function billing_private.deleted_owner_of is
  'The deleted owner whom a customer of nobody belongs to: one that a hint names which is believed, or one from whom the customer was taken. Of several the one deleted last; null where there is none.';

create function billing_private.alert_unowned_subscriptions(p_customers text[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  running record;
  gone billing_private.deleted_owners;
begin
  for running in
    select s.id, s.customer, s.status
    from billing.customers as c
    join billing.subscriptions as s on s.customer = c.id
    where c.id = any (p_customers)
      and c.owner_id is null
      and c.deleted_at is null
      and s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused')
      and not billing_private.ends_with_period(s)
    order by s.id
  loop
    gone := billing_private.deleted_owner_of(running.customer);
    continue when gone.owner_id is null;
    perform billing_private.enqueue(
      'alert',
      format('alert:owner_deleted_with_subscription:%s:%s:%s', running.id, gone.owner_id, extract(epoch from gone.deleted_at)),
      jsonb_build_object(
        'cause', 'owner_deleted_with_subscription', 'owner_id', gone.owner_id, 'reason', gone.reason,
        'subscription', running.id, 'customer', running.customer, 'status', running.status
      ),
      p_now
    );
  end loop;
end;
$$;

comment on function billing_private.alert_unowned_subscriptions is
  'Enqueues the alert that a deleted owner''s subscription goes on, once for each subscription, whatever is learnt first: nothing else stops the charges. One that Stripe ends with its period (ends_with_period) is not among them, nor is one of a customer that somebody else has now. The caller holds the customers'' locks.';

create function billing_private.remove_owner(p_owner_id uuid, p_reason text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  naming constant text[] := billing_private.lock_owner_to_remove(p_owner_id);
  unlinked text[];
begin
  insert into billing_private.deleted_owners as d (owner_id, deleted_at, reason, is_finished)
  values (p_owner_id, p_now, p_reason, true)
  on conflict (owner_id) do update set is_finished = true, problem = null;
  unlinked := billing_private.unlink_customers_of(p_owner_id, p_reason, p_now);
  perform billing_private.match_credits_of_customer(c.id, p_now) from unnest(unlinked) as c (id);
  perform billing_private.release_rows_of(p_owner_id);
  -- Last: whoever listens is told once of all that ended.
  perform billing_private.save_entitlements(p_owner_id, p_now);
  -- Somebody else may be named for the same customer, by a source that counts for less.
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(naming) as c (id);
  -- Of those that were the owner's, also the ones that an earlier attempt unlinked.
  perform billing_private.alert_unowned_subscriptions(naming || billing_private.customers_of_owner(p_owner_id), p_now);
  return cardinality(unlinked);
end;
$$;

comment on function billing_private.remove_owner is
  'Sees to what a deleted owner had: customers stay, unlinked and on record, or go to the next owner that is named for them; entitlements end; books stay and name nobody. p_reason: user_deleted, owner_deleted. Returns how many customers were unlinked; safe any number of times.';

create function billing_private.remove_owner_or_defer(p_owner_id uuid, p_reason text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
-- Whoever deletes an account or a team does not wait for what others hold of ours: the tick does.
set lock_timeout = '2s'
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
  begin
    insert into billing_private.deleted_owners as d (owner_id, deleted_at, reason, is_finished)
    values (p_owner_id, p_now, p_reason, false)
    on conflict (owner_id) do update set is_finished = false;
  exception when others then
    raise warning 'duebase: deleted owner % is not on record; call billing.owner_deleted again: % (%)', p_owner_id, sqlerrm, sqlstate;
  end;
  return unlinked;
end;
$$;

comment on function billing_private.remove_owner_or_defer is
  'remove_owner, for whoever must neither fail nor wait with it: a deletion of an account or of a team. What fails, or is locked for more than two seconds, is logged; what can be done without locks is done at once, and the tick does the rest.';

create function billing_private.record_unremoved_owners(p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  unremoved record;
begin
  select count(*) as owners, min(d.owner_id::text) as one, (array_agg(d.problem order by d.owner_id))[1] as problem
  into unremoved
  from billing_private.deleted_owners as d
  where not d.is_finished and d.problem is not null;
  perform billing_private.record_job_problem(
    'remove-owners',
    case when unremoved.owners > 0 then format(
      '%s deleted owner(s) cannot be removed yet; %s: %s', unremoved.owners, unremoved.one, unremoved.problem
    ) end,
    p_now
  );
end;
$$;

comment on function billing_private.record_unremoved_owners is
  'Keeps in job_problems (remove-owners) how many deleted owners could not be removed, and what the first of them raised.';

create function billing_private.remove_deferred_owners(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  deferred billing_private.deleted_owners;
begin
  select *
  into deferred
  from billing_private.deleted_owners as d
  -- Whoever waited longest comes first, and each has one try a minute: one that always fails is in nobody's way.
  where not d.is_finished and (d.tried_at is null or d.tried_at <= p_now - interval '50 seconds')
  order by d.tried_at nulls first, d.owner_id
  limit 1;
  if deferred.owner_id is null then
    return 0;
  end if;
  begin
    perform billing_private.lock_owner_to_remove(deferred.owner_id);
    -- It may have been restored while this waited.
    if exists (select from billing_private.deleted_owners as d where d.owner_id = deferred.owner_id and not d.is_finished) then
      perform billing_private.remove_owner(deferred.owner_id, deferred.reason, p_now);
    end if;
  exception when others then
    update billing_private.deleted_owners as d
    set tried_at = p_now, problem = format('%s (%s)', sqlerrm, sqlstate)
    where d.owner_id = deferred.owner_id;
  end;
  perform billing_private.record_unremoved_owners(p_now);
  return 1;
end;
$$;

comment on function billing_private.remove_deferred_owners is
  'Tries once more to see to one owner whose deletion met with a failure, as remove_owner does. What it raises is in job_problems, and the next owner has its turn. Run by the tick every minute. Returns how many it tried.';

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
  'Tells that an owner of the application''s, such as a team, was deleted; call it from a trigger on the application''s table. Its customers are unlinked, on record, and not linked to it again, unless billing.owner_restored takes it back; entitlements end; the books stay and name nobody. Where a subscription goes on, the operator is alerted: cancel it at Stripe. Returns how many customers were unlinked. Raises DU020 for null and nothing else. Users go with their account: without settings.owners_function this does nothing about a user who is there.';

create function billing.owner_restored(owner_id uuid, p_now timestamptz default now())
returns integer
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  naming constant text[] := billing_private.customers_naming(owner_restored.owner_id);
  linked integer;
begin
  if owner_id is null then
    perform billing_private.raise_error('DU020', 'no owner was restored: owner_id is null');
  elsif billing_private.owners_are_users() then
    -- A user comes back with the account, by signing up under the same id.
    return 0;
  end if;
  perform billing_private.lock_links(naming, array[owner_restored.owner_id]);
  delete from billing_private.deleted_owners as d where d.owner_id = owner_restored.owner_id;
  if not found then
    return 0;
  end if;
  perform billing_private.audit('owner.restored', 'operator', owner_restored.owner_id::text, null, '{}', p_now);
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(naming) as c (id);
  select count(*) into linked from billing.customers as c where c.id = any (naming) and c.owner_id = owner_restored.owner_id;
  return linked;
end;
$$;

comment on function billing.owner_restored is
  'Takes owner_deleted back, for a team that the application restored: customers that name it are linked to it again, with what their subscriptions and purchases give and what the open usage periods have counted. Credits that were granted stay in the books of nobody. Returns how many customers were linked; 0 for an owner that is not deleted, and for users, who come back with their account. Raises DU020 for null.';

grant execute on function billing.owner_deleted(uuid, timestamptz), billing.owner_restored(uuid, timestamptz) to service_role;
