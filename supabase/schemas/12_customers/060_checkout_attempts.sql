-- Checkout attempts: which session at Stripe an owner has open, so that two tabs, or two managers of a team, do not
-- both pay.
-- Stripe sends no event for a session that is made, so the checkout function says here what it is about to ask for
-- before it asks, and what came of it. The attempt's id is the idempotency key at Stripe: whoever finds an attempt
-- whose function died makes the same call again and gets the same session.
-- Reads: checkout_sessions, subscriptions, subscription_items. Writes: checkout_attempts. Called by: the checkout function.

create table billing_private.checkout_attempts (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null,
  user_id uuid,
  scope text not null,
  idempotency_keys text[] not null default '{}',
  wish jsonb not null,
  request jsonb not null,
  status text not null default 'making',
  session text,
  url text,
  expires_at timestamptz,
  created_at timestamptz not null,
  constraint attempt_status_is_known check (status in ('making', 'open', 'complete', 'expired')),
  constraint an_open_session_has_an_address check (status <> 'open' or (session is not null and url is not null))
);

comment on table billing_private.checkout_attempts is
  'Attempts at buying for an owner: one row per checkout session asked for. Kept for 30 days.';
comment on column billing_private.checkout_attempts.id is 'Also the idempotency key of the call that makes the session.';
comment on column billing_private.checkout_attempts.owner_id is 'For whom: who will own what is bought.';
comment on column billing_private.checkout_attempts.user_id is 'The manager whose address Stripe was given.';
comment on column billing_private.checkout_attempts.scope is 'Of what only one session may be open: a product to subscribe to, or one exact one-time purchase.';
comment on column billing_private.checkout_attempts.idempotency_keys is 'The callers'' own names for the attempt; each owner has names of their own.';
comment on column billing_private.checkout_attempts.wish is 'What the caller asked for.';
comment on column billing_private.checkout_attempts.request is 'What Stripe was asked for: form fields.';
comment on column billing_private.checkout_attempts.status is
  'making: Stripe is being asked, or was and nobody knows the answer; open; complete; expired, also where Stripe refused to make it.';
comment on column billing_private.checkout_attempts.session is 'Checkout session (cs_…), once known.';
comment on column billing_private.checkout_attempts.url is 'Its page at Stripe.';
comment on column billing_private.checkout_attempts.expires_at is 'Until when it can be completed (UTC).';

create unique index one_checkout_is_open_per_scope on billing_private.checkout_attempts (owner_id, scope)
  where status in ('making', 'open');

create index checkout_attempts_by_owner on billing_private.checkout_attempts (owner_id);
create index checkout_attempts_by_user on billing_private.checkout_attempts (user_id);
create index checkout_attempts_by_age on billing_private.checkout_attempts (created_at);

alter table billing_private.checkout_attempts enable row level security;
create policy nobody_reads on billing_private.checkout_attempts using (false);

create function billing_private.close_old_checkouts(p_owner_id uuid, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A few of anybody's: each attempt that is added takes old ones away.
  delete from billing_private.checkout_attempts as a
  where a.id in (
    select old.id
    from billing_private.checkout_attempts as old
    where old.created_at < p_now - interval '30 days'
    order by old.created_at
    limit 10
    for update skip locked
  );
  -- What Stripe told of them meanwhile; and an idempotency key that Stripe may have forgotten makes a second session.
  update billing_private.checkout_attempts as a
  set status = case when s.status = 'complete' then 'complete' else 'expired' end
  from billing_private.checkout_attempts as held
  left join billing.checkout_sessions as s on s.id = held.session
  where held.id = a.id
    and a.owner_id = p_owner_id
    and a.status in ('making', 'open')
    and (
      s.status in ('complete', 'expired')
      or held.expires_at <= p_now
      or held.status = 'making' and held.created_at < p_now - interval '23 hours'
      or held.request = '{}'
    );
end;
$$;

comment on function billing_private.close_old_checkouts is
  'Closes an owner''s attempts that are known to be over: completed, expired, too old to be found again, or forgotten. Removes what is older than 30 days, of anybody, ten at a time.';

create function billing_private.has_just_subscribed(p_owner_id uuid, p_scope text, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing_private.checkout_attempts as a
    left join billing.checkout_sessions as c on c.id = a.session
    left join billing.subscriptions as s on s.id = c.subscription
    where a.owner_id = p_owner_id
      and a.scope = p_scope
      and a.scope like 'subscription:%'
      and a.status = 'complete'
      and case
        when s.id is null then a.expires_at > p_now
        else s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused') and exists (
          select
          from billing.subscription_items as i
          where i.subscription = s.id and a.scope in ('subscription:' || i.product, 'subscription:' || i.price)
        )
      end
  );
end;
$$;

comment on function billing_private.has_just_subscribed is
  'Whether an attempt of this scope led to a subscription that runs, or that no event has told of yet: what prepare_checkout cannot know, or did not when it was asked. An event that never comes is waited for until the session''s own end.';

create function billing.begin_checkout(
  p_owner_id uuid,
  p_user_id uuid,
  p_scope text,
  p_wish jsonb,
  p_request jsonb,
  p_key text default null,
  p_now timestamptz default now()
)
returns jsonb
language plpgsql
-- Definer: see find_portal_customer.
security definer
set search_path = ''
as $$
declare
  held billing_private.checkout_attempts;
  named billing_private.checkout_attempts;
  verdict text;
  is_new boolean := false;
begin
  perform billing_private.require_live_mode();
  -- One tab at a time, whoever's it is; the calls to Stripe are made without this lock.
  perform pg_advisory_xact_lock(hashtextextended(p_owner_id::text, 7311));
  -- Before any row: who removes the owner holds the same lock and then takes the attempts away.
  perform pg_advisory_xact_lock_shared(hashtextextended(p_owner_id::text, 7308));
  if billing_private.is_deleted_owner(p_owner_id) then
    return jsonb_build_object('outcome', 'no_owner');
  end if;
  perform billing_private.close_old_checkouts(p_owner_id, p_now);
  if p_key is not null then
    select *
    into named
    from billing_private.checkout_attempts as a
    where a.owner_id = p_owner_id and p_key = any (a.idempotency_keys);
    if named.wish <> p_wish then
      return jsonb_build_object('outcome', 'conflict');
    elsif named.status = 'complete' then
      return jsonb_build_object('outcome', 'done', 'url', named.url);
    end if;
    -- The key goes to the attempt that takes this one's place, if any does.
    update billing_private.checkout_attempts as a
    set idempotency_keys = array_remove(a.idempotency_keys, p_key)
    where a.id = named.id;
  end if;
  if (p_wish ->> 'another')::boolean is not true and billing_private.has_just_subscribed(p_owner_id, p_scope, p_now) then
    return jsonb_build_object('outcome', 'subscribed');
  end if;

  select *
  into held
  from billing_private.checkout_attempts as a
  where a.owner_id = p_owner_id and a.scope = p_scope and a.status in ('making', 'open');
  if not found then
    insert into billing_private.checkout_attempts (owner_id, user_id, scope, idempotency_keys, wish, request, created_at)
    values (p_owner_id, p_user_id, p_scope, array_remove(array[p_key], null), p_wish, p_request, p_now)
    returning * into held;
    verdict := 'make';
    is_new := true;
  elsif held.request <> p_request or held.expires_at < p_now + interval '10 minutes' then
    verdict := 'replace';
  else
    update billing_private.checkout_attempts as a
    set idempotency_keys = a.idempotency_keys || array_remove(array[p_key], null)
    where a.id = held.id;
    verdict := case held.status when 'open' then 'reuse' else 'make' end;
  end if;
  return jsonb_build_object(
    'outcome', verdict, 'is_new', is_new, 'attempt', held.id, 'request', held.request, 'session', held.session
  );
end;
$$;

comment on function billing.begin_checkout is
  'For duebase-checkout: what to do about the wish of a manager (p_user_id) to buy for an owner, {outcome, is_new, attempt, request, session}, or url with done. make: ask Stripe for request under the attempt''s id (unless is_new it may have been asked before, and repeats its answer of then); reuse: the same is open already; replace: another session of this scope, or one about to expire, has to be expired first (session is null where it is not known whether it was made: make it, then expire it); done: the key''s checkout was completed; subscribed: the owner has just bought it; conflict: the key named another wish; no_owner: the owner was deleted. Raises DU080 in mirror mode.';

create function billing.record_checkout(p_attempt uuid, p_session text, p_url text, p_expires_at timestamptz)
returns boolean
language plpgsql
-- Definer: see find_portal_customer.
security definer
set search_path = ''
as $$
begin
  update billing_private.checkout_attempts as a
  set status = 'open', session = p_session, url = p_url, expires_at = p_expires_at
  where a.id = p_attempt and a.status in ('making', 'open');
  return found;
end;
$$;

comment on function billing.record_checkout is
  'For duebase-checkout: the session that Stripe made for an attempt. False: the attempt is over, another one has taken its place meanwhile.';

create function billing.close_checkout(p_attempt uuid, p_status text)
returns boolean
language plpgsql
-- Definer: see find_portal_customer.
security definer
set search_path = ''
as $$
begin
  update billing_private.checkout_attempts as a
  set status = p_status
  where a.id = p_attempt and a.status in ('making', 'open');
  return found;
end;
$$;

comment on function billing.close_checkout is
  'For duebase-checkout: an attempt is over. p_status: complete, what it is about was bought; expired, it cannot be completed any more or was never made. False: it was over already.';

grant execute on function
  billing.begin_checkout(uuid, uuid, text, jsonb, jsonb, text, timestamptz),
  billing.record_checkout(uuid, text, text, timestamptz),
  billing.close_checkout(uuid, text)
to service_role;

-- What a manager began for a team stays the team's: only the manager's address is taken out.
insert into billing_private.personal_data (table_name, column_name, becomes, about)
select 'billing_private.checkout_attempts', p.column_name, p.becomes, 'owner_id = $2 or user_id = $2'
from (
  values
    ('wish', 'case when owner_id = $2 then ''{}'' else wish end'),
    ('request', 'case when owner_id = $2 then ''{}'' else request - ''customer_email'' end'),
    ('url', 'case when owner_id <> $2 then url when status = ''open'' then '''' end')
) as p (column_name, becomes);
