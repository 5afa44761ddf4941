-- Whose customer: what has been said about a Stripe customer's user, and which of it holds.
-- Hints are stored apart from the link they lead to, because either may come first: the customer may be
-- unknown when a checkout names its user, and the user may sign up after both.
-- Reads: checkout, customer and subscription events, auth.users. Writes: customer_owner_hints, customers.owner_id.
-- Called by: projection; reads of Stripe; sign-ups and deletions in auth.users; cron.

create table billing_private.customer_owner_hints (
  customer_id text not null,
  source text not null,
  hinted_owner text not null,
  as_of timestamptz not null,
  object_id text not null,
  is_waiting boolean not null,
  is_tied boolean not null default false,
  primary key (customer_id, source),
  constraint source_is_known check (source in ('checkout_session', 'customer', 'subscription', 'client_reference', 'payment_link'))
);

comment on table billing_private.customer_owner_hints is
  'The newest hint of each source about which owner a customer belongs to. checkout_session, customer, subscription: metadata.user_id or owner_id, which only the merchant can write. client_reference: client_reference_id of a checkout session that was made without a Payment Link; payment_link: of one that a Payment Link made, where the payer can write it.';
comment on column billing_private.customer_owner_hints.hinted_owner is 'As it was said, in lower case; it may be no user, or not yet.';
comment on column billing_private.customer_owner_hints.object_id is 'The object that said so: the session, the customer itself, the subscription.';
comment on column billing_private.customer_owner_hints.is_waiting is 'Could be a user''s id, but no such user existed when it was said.';
comment on column billing_private.customer_owner_hints.is_tied is 'The source named different users within that one second: each further hint of that second is compared with all of them.';

create index customer_owner_hints_by_owner on billing_private.customer_owner_hints (hinted_owner);
-- Few: what a payer could have written, to be applied again when settings change.
create index customer_owner_hints_by_payers on billing_private.customer_owner_hints (customer_id)
  where source in ('client_reference', 'payment_link');
create index customer_owner_hints_waiting on billing_private.customer_owner_hints (customer_id) where is_waiting;
alter table billing_private.customer_owner_hints enable row level security;

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

create function billing_private.is_trusted_source(p_source text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when p_source in ('client_reference', 'payment_link') then case
      coalesce((select s.trust_client_reference_id from billing.settings as s), 'without_payment_link')
        when 'always' then true
        when 'without_payment_link' then p_source = 'client_reference'
        else false
    end
    else true
  end;
end;
$$;

comment on function billing_private.is_trusted_source is
  'Whether what a source of customer_owner_hints says links a customer: metadata always, a bare client_reference_id as settings say.';

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

create function billing_private.named_owner(p_object jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return nullif(lower(btrim(coalesce(
    nullif(btrim(p_object #>> '{metadata,owner_id}'), ''), p_object #>> '{metadata,user_id}'
  ))), '');
end;
$$;

comment on function billing_private.named_owner is
  'The user that an object''s metadata names, as it is written there but in lower case: owner_id, else user_id; null where it names none. A payer cannot write metadata.';

create function billing_private.hint_source_of_session(p_session jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.named_owner(p_session) is not null then 'checkout_session'
    when billing_private.stripe_id(p_session -> 'payment_link') is null then 'client_reference'
    else 'payment_link'
  end;
end;
$$;

comment on function billing_private.hint_source_of_session is
  'By which source of customer_owner_hints a checkout session says whose it is. Beside metadata its client_reference_id says nothing, and may be the id of an order.';

create function billing_private.hinted_owner_of(p_object jsonb, p_source text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  if p_source not in ('client_reference', 'payment_link') then
    return billing_private.named_owner(p_object);
  elsif p_source = billing_private.hint_source_of_session(p_object) then
    return nullif(lower(btrim(p_object ->> 'client_reference_id')), '');
  end if;
  return null;
end;
$$;

comment on function billing_private.hinted_owner_of is 'The user an object names by a source of customer_owner_hints, in lower case; null where it names none by that.';

create function billing_private.latest_hint_of_second(
  p_customer_id text, p_source text, p_created timestamptz,
  out hinted_owner text, out object_id text, out is_certain boolean
)
language sql
stable
set search_path = ''
as $$
  with hints as (
    select
      e.id,
      e.object_id,
      e.payload #> '{data,object}' as object,
      nullif(nullif(e.payload #> '{data,previous_attributes}', 'null'), '{}') as previous,
      billing_private.event_rank(e.type, e.payload #> '{data,object}') as rank,
      billing_private.hinted_owner_of(e.payload #> '{data,object}', p_source) as named
    from billing.webhook_events as e
    join billing.event_handlers as h
      on h.event_type = e.type
      and h.enabled
      and h.handler = case p_source
        when 'customer' then 'billing_private.link_from_customer'
        when 'subscription' then 'billing_private.link_from_subscription'
        else 'billing_private.link_from_checkout'
      end
    where e.customer_id = p_customer_id
      and e.created = p_created
      and not exists (select from billing.failed_webhooks as f where f.event_id = e.id and f.status = 'quarantined')
  ),
  -- As latest_of_second has it: a higher rank comes later, and so does an update that lists a state as its previous one.
  ranked as (
    select
      s.*,
      exists (
        select
        from hints as later
        where later.object_id = s.object_id
          and later.id <> s.id
          and (
            later.rank > s.rank
            or later.rank = s.rank
            and later.previous is not null
            and later.object <> s.object
            and billing_private.attributes_match(s.object, later.previous)
          )
      ) as is_superseded
    from hints as s
    where s.named is not null
  ),
  contenders as (
    select * from ranked where not is_superseded
    union all
    select * from ranked where not exists (select from ranked where not is_superseded)
  )
  select
    c.named,
    c.object_id,
    not exists (select from contenders as d where d.object_id = c.object_id and d.named <> c.named)
  from contenders as c
  order by c.id collate "C" desc
  limit 1;
$$;

comment on function billing_private.latest_hint_of_second is
  'Of the hints one source gave in one second about a customer''s owner, the one that counts: a function of the events received. Not certain: events of one object disagree and do not tell which came last, so Stripe has to be asked.';

create function billing_private.resolve_hint_tie(p_event billing.webhook_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  latest constant record := billing_private.latest_hint_of_second(p_customer_id, p_source, p_event.created);
  was_disputed boolean;
begin
  select c.is_tied
  into was_disputed
  from billing_private.customer_owner_hints as c
  where c.customer_id = p_customer_id and c.source = p_source;
  update billing_private.customer_owner_hints as c
  set
    hinted_owner = latest.hinted_owner,
    object_id = latest.object_id,
    is_waiting = billing_private.could_sign_up(latest.hinted_owner),
    is_tied = true
  where c.customer_id = p_customer_id and c.source = p_source;
  -- A session's owner never changes: reading it again gives nothing new.
  if not latest.is_certain and p_source in ('customer', 'subscription') then
    -- The earlier read may be finished, so this one has its own key.
    perform billing_private.enqueue_refresh(p_event, case when was_disputed then p_event.id end);
  end if;
end;
$$;

comment on function billing_private.resolve_hint_tie is
  'Two hints of one source in one second: stores the one that counts, and enqueues a read from Stripe where the events do not decide.';

create function billing_private.could_sign_up(p_owner text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  claimed_id constant uuid := billing_private.as_uuid(p_owner);
begin
  return claimed_id is not null and not exists (select from auth.users as u where u.id = claimed_id);
end;
$$;

comment on function billing_private.could_sign_up is 'Whether a hinted owner may still sign up: the hint has the form of a user''s id, and there is no such user.';

create function billing_private.record_owner_hint(p_event billing.webhook_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  hinted constant text := billing_private.hinted_owner_of(p_event.payload #> '{data,object}', p_source);
  stored billing_private.customer_owner_hints;
begin
  insert into billing_private.customer_owner_hints as c (customer_id, source, hinted_owner, as_of, object_id, is_waiting)
  values (p_customer_id, p_source, hinted, p_event.created, p_event.object_id, billing_private.could_sign_up(hinted))
  on conflict (customer_id, source) do update
    set
      hinted_owner = excluded.hinted_owner,
      as_of = excluded.as_of,
      object_id = excluded.object_id,
      is_waiting = excluded.is_waiting,
      is_tied = false
    where excluded.as_of > c.as_of
      -- The same hint from another object: of the two objects, the same one is stored whichever comes first.
      or excluded.as_of = c.as_of
      and excluded.hinted_owner = c.hinted_owner
      and not c.is_tied
      and excluded.object_id collate "C" > c.object_id collate "C";
  if not found then
    select * into stored from billing_private.customer_owner_hints as c where c.customer_id = p_customer_id and c.source = p_source;
    if stored.as_of = p_event.created and (stored.is_tied or stored.hinted_owner <> hinted) then
      perform billing_private.resolve_hint_tie(p_event, p_customer_id, p_source);
    end if;
  end if;

  if not exists (select from auth.users as u where u.id = billing_private.as_uuid(hinted)) then
    -- What is no user's id may be anything, an address too: the event has it, the audit trail does not.
    perform billing_private.audit(
      'customer.owner_unknown', 'system', p_customer_id, p_customer_id,
      jsonb_build_object('source', p_source, 'hinted_owner', billing_private.as_uuid(hinted)), p_event.created, p_event.id
    );
  elsif not billing_private.is_trusted_source(p_source) then
    perform billing_private.audit(
      'customer.hint_not_trusted', 'system', p_customer_id, p_customer_id,
      jsonb_build_object('source', p_source, 'hinted_owner', billing_private.as_uuid(hinted)), p_event.created, p_event.id
    );
  end if;
end;
$$;

comment on function billing_private.record_owner_hint is
  'Records which owner an event names for a customer; of one source the newest hint counts. An id that is no user is an audit fact, not an error; so is one that settings do not trust.';

create function billing_private.correct_owner_hint(p_read billing.webhook_events, p_customer_id text, p_source text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  hinted constant text := billing_private.hinted_owner_of(p_read.payload #> '{data,object}', p_source);
begin
  -- A read shows what an object says, not since when: it corrects the hint of that object, and keeps its place among
  -- what other objects said.
  insert into billing_private.customer_owner_hints as c (customer_id, source, hinted_owner, as_of, object_id, is_waiting)
  values (
    p_customer_id, p_source, hinted,
    -- Before all that events can say.
    coalesce(to_timestamp((p_read.payload #>> '{data,object,created}')::double precision - 1), p_read.created),
    p_read.object_id, billing_private.could_sign_up(hinted)
  )
  on conflict (customer_id, source) do update
    set hinted_owner = excluded.hinted_owner, is_waiting = excluded.is_waiting
    where c.object_id = excluded.object_id;
end;
$$;

comment on function billing_private.correct_owner_hint is 'Records who an object read from Stripe says a customer is, unless another object has said so since.';

create function billing_private.link_by_owner_hint(p_event billing.webhook_events, p_customer_id text, p_source text)
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

create function billing_private.link_from_customer(p_event billing.webhook_events)
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

comment on function billing_private.link_from_customer is 'Handler: customer.created, updated: metadata.user_id or owner_id, else the email where allowed.';

create function billing_private.link_from_subscription(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.link_by_owner_hint(p_event, p_event.customer_id, 'subscription');
end;
$$;

comment on function billing_private.link_from_subscription is 'Handler: customer.subscription.*: metadata.user_id or owner_id.';

create function billing_private.link_from_checkout(p_event billing.webhook_events)
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

comment on function billing_private.link_from_checkout is 'Handler: checkout.session.completed: metadata.user_id or owner_id, else client_reference_id.';
