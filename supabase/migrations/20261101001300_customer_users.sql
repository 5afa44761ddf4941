-- Whose customer: what has been said about a Stripe customer's user, and which of it holds.
-- What is said is kept apart from what follows from it, because either side may come first: the customer may be
-- unknown when a checkout names its user, and the user may sign up after both.
-- Reads: checkout, customer and subscription events, auth.users. Writes: customer_claims, customers.user_id.

create table billing_private.customer_claims (
  customer_id text not null,
  source text not null,
  claimed_user text not null,
  as_of timestamptz not null,
  event_id text not null,
  is_waiting boolean not null,
  primary key (customer_id, source),
  constraint source_is_known check (source in ('checkout_session', 'customer', 'subscription'))
);

comment on table billing_private.customer_claims is
  'The newest word of each source on which user a customer is. checkout_session: client_reference_id or metadata.user_id; customer, subscription: metadata.user_id.';
comment on column billing_private.customer_claims.claimed_user is 'As it was said, in lower case; it may be no user, or not yet.';
comment on column billing_private.customer_claims.is_waiting is 'Could be a user''s id, but no such user existed when it was said.';

create index customer_claims_by_user on billing_private.customer_claims (claimed_user);
create index customer_claims_waiting on billing_private.customer_claims (customer_id) where is_waiting;
alter table billing_private.customer_claims enable row level security;

create function billing_private.as_uuid(p_text text)
returns uuid
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case when p_text ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then p_text::uuid end;
end;
$$;

comment on function billing_private.as_uuid is 'The text as a uuid, or null where it is none.';

create function billing_private.user_of_customer(p_customer_id text)
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
  from billing_private.customer_claims as c
  join auth.users as u on u.id = billing_private.as_uuid(c.claimed_user)
  where c.customer_id = p_customer_id
  order by array_position(array['checkout_session', 'customer', 'subscription'], c.source)
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

comment on function billing_private.user_of_customer is
  'The user a customer is: by the checkout session, else the customer''s metadata, else a subscription''s, else, where settings allow it, by confirmed email; null when nothing names an existing user.';

create function billing_private.link_customer(p_customer_id text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  named constant uuid := billing_private.user_of_customer(p_customer_id);
begin
  if named is null then
    -- Only a link by email can end so: what a claim says is kept.
    update billing.customers as c set user_id = null where c.id = p_customer_id and c.user_id is not null;
  else
    insert into billing.customers as c (id, user_id, deleted_at)
    values (
      p_customer_id, named, (select v.deleted_at from billing_private.object_versions as v where v.object_id = p_customer_id)
    )
    on conflict (id) do update set user_id = excluded.user_id where c.user_id is distinct from excluded.user_id;
  end if;
  if found then
    perform billing_private.audit(
      case when named is null then 'customer.unlinked' else 'customer.linked' end,
      'system', p_customer_id, p_customer_id, jsonb_build_object('user_id', named), p_now
    );
  end if;
end;
$$;

comment on function billing_private.link_customer is 'Gives a customer the user that is named for it, as soon as that user exists. Audited when it changes.';

create function billing_private.claim_customer(
  p_event billing.webhook_events, p_customer_id text, p_source text, p_user text
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  claimed constant text := lower(btrim(p_user));
  is_user boolean;
begin
  if p_customer_id is null or coalesce(claimed, '') = '' then
    return;
  end if;
  is_user := exists (select from auth.users as u where u.id = billing_private.as_uuid(claimed));
  insert into billing_private.customer_claims as c (customer_id, source, claimed_user, as_of, event_id, is_waiting)
  values (
    p_customer_id, p_source, claimed, p_event.created, p_event.id,
    not is_user and billing_private.as_uuid(claimed) is not null
  )
  on conflict (customer_id, source) do update
    set
      claimed_user = excluded.claimed_user,
      as_of = excluded.as_of,
      event_id = excluded.event_id,
      is_waiting = excluded.is_waiting
    where (excluded.as_of, excluded.event_id collate "C") > (c.as_of, c.event_id collate "C");

  if not is_user then
    perform billing_private.audit(
      'customer.user_unknown', 'system', p_customer_id, p_customer_id,
      jsonb_build_object('source', p_source, 'claimed_user', left(claimed, 100)), p_event.created, p_event.id
    );
  end if;
  perform billing_private.link_customer(p_customer_id, p_event.received_at);
end;
$$;

comment on function billing_private.claim_customer is
  'Records who a source says a customer is, newest word of the source first, and links. An id that is no user is an audit fact, not an error.';

create function billing_private.link_from_customer(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  claimed constant text := p_event.payload #>> '{data,object,metadata,user_id}';
begin
  if coalesce(btrim(claimed), '') <> '' then
    perform billing_private.claim_customer(p_event, p_event.object_id, 'customer', claimed);
  else
    perform billing_private.link_customer(p_event.object_id, p_event.received_at);
  end if;
end;
$$;

comment on function billing_private.link_from_customer is 'Handler: customer.created, updated: metadata.user_id, else the email where allowed.';

create function billing_private.link_from_subscription(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.claim_customer(
    p_event, p_event.customer_id, 'subscription', p_event.payload #>> '{data,object,metadata,user_id}'
  );
end;
$$;

comment on function billing_private.link_from_subscription is 'Handler: customer.subscription.*: metadata.user_id.';

create function billing_private.link_from_checkout(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  session constant jsonb := p_event.payload #> '{data,object}';
begin
  perform billing_private.claim_customer(
    p_event,
    p_event.customer_id,
    'checkout_session',
    coalesce(nullif(session ->> 'client_reference_id', ''), session #>> '{metadata,user_id}')
  );
end;
$$;

comment on function billing_private.link_from_checkout is 'Handler: checkout.session.completed: client_reference_id, else metadata.user_id.';

create function billing_private.link_waiting_customers(p_now timestamptz, p_limit integer default 1000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  waiting record;
  linked integer := 0;
begin
  for waiting in
    select c.customer_id, c.source
    from billing_private.customer_claims as c
    join auth.users as u on u.id = billing_private.as_uuid(c.claimed_user)
    where c.is_waiting
    limit p_limit
  loop
    update billing_private.customer_claims as c
    set is_waiting = false
    where c.customer_id = waiting.customer_id and c.source = waiting.source;
    perform billing_private.link_customer(waiting.customer_id, p_now);
    linked := linked + 1;
  end loop;
  return linked;
end;
$$;

comment on function billing_private.link_waiting_customers is
  'Links customers whose user was created in the very moment the claim was recorded, when neither transaction could see the other. Run by cron every minute. Returns how many.';

create function billing_private.tg_users__after_write()
returns trigger
language plpgsql
-- Definer: sign-ups run as Supabase Auth's role, which has no business in billing.
security definer
set search_path = ''
as $$
declare
  known record;
begin
  for known in
    select c.customer_id as id
    from billing_private.customer_claims as c
    where c.claimed_user = new.id::text
    union
    select c.id
    from billing.customers as c
    where new.email_confirmed_at is not null
      and lower(c.email) = lower(new.email)
      and (select s.link_customers_by_email from billing.settings as s)
  loop
    perform billing_private.link_customer(known.id, now());
  end loop;
  return null;
-- A failure here must not refuse a sign-up: it is logged, and cron links by what was claimed.
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
