-- About a person: which rows tell something of somebody who is to be forgotten.
-- Reads: customers, payments, events, outbox, audit_events. Writes: nothing. Called by: forget_user.

create function billing_private.payments_about(p_subjects text[])
returns setof text
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select p.id from billing.payments as p where p.customer = any (p_subjects)
  union
  select s.id from unnest(p_subjects) as s (id);
end;
$$;

comment on function billing_private.payments_about is 'The payments of customers, and those made without one.';

create function billing_private.objects_about(p_subjects text[])
returns setof text
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select billing_private.payments_about(p_subjects)
  union
  select s.id from billing.subscriptions as s where s.customer = any (p_subjects)
  union
  select i.id
  from billing.subscriptions as s
  join billing.subscription_items as i on i.subscription = s.id
  where s.customer = any (p_subjects)
  union
  select i.id from billing.invoices as i where i.customer = any (p_subjects)
  union
  select m.id from billing.payment_methods as m where m.customer = any (p_subjects);
end;
$$;

comment on function billing_private.objects_about is
  'Whatever of a person has metadata: the customers themselves, and what they have, as billing.object_metadata names it.';

create function billing_private.references_to(p_user_id uuid, p_subjects text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  payments constant text[] := array(select billing_private.payments_about(p_subjects));
begin
  return array(
    select p_user_id::text where p_user_id is not null
    union
    select s.id from unnest(p_subjects || payments) as s (id)
    union
    select e.object_id from billing.webhook_events as e where e.customer_id = any (p_subjects) and e.object_id is not null
    union
    select c.id from billing.checkout_sessions as c where c.payment_intent = any (p_subjects)
    union
    select h.object_id from billing_private.payment_sources as h where h.payment_id = any (payments)
    union
    select r.id from billing.refunds as r where r.payment_id = any (payments)
    union
    select d.id from billing.disputes as d where d.payment_id = any (payments)
  );
end;
$$;

comment on function billing_private.references_to is
  'Ids by which an object that names no customer may name a person: the user''s, and of all that Stripe has told of the person''s customers and payments.';

create function billing_private.events_about(p_user_id uuid, p_subjects text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  named constant text[] := billing_private.references_to(p_user_id, p_subjects);
begin
  return array(
    select e.id from billing.webhook_events as e where e.customer_id = any (p_subjects)
    union
    select p.event_id
    from billing_private.webhook_payloads as p
    where p.customer_id is null and billing_private.references_of(p.payload -> 'data') && named
    union
    select k.event_id
    from billing_private.kept_payloads as k
    where k.customer_id is null and billing_private.references_of(k.payload -> 'data') && named
  );
end;
$$;

comment on function billing_private.events_about is
  'Ids of the events received about a person: their customers'', and those without a customer that name something of theirs, of whatever type.';

create function billing_private.effects_about(p_subjects text[], p_events text[])
returns bigint[]
language plpgsql
stable
set search_path = ''
as $$
declare
  about bigint[];
begin
  about := array(
    select o.id
    from billing.outbox as o
    where coalesce(o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id')
      = any (p_subjects || p_events)
  );
  return about || array(
    -- The alert that one of them is dead tells why.
    select o.id
    from billing.outbox as o
    where coalesce(o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id')
      = any (about::text[])
      and o.kind = 'alert'
  );
end;
$$;

comment on function billing_private.effects_about is
  'The outbox rows that concern a person: mail, what is read or told of the events, and alerts about those.';

create function billing_private.customers_of_owner(p_owner_id uuid)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(array_agg(k.id order by k.id), '{}')
    from (
      select c.id from billing.customers as c where c.owner_id = p_owner_id
      union
      -- Unlinked when the account was deleted, and nobody else's since.
      select c.id
      from billing.audit_events as u
      join billing.customers as c on c.id = u.customer_id and c.owner_id is null
      where u.action = 'customer.unlinked'
        and u.detail ->> 'former_owner_id' = p_owner_id::text
        and not exists (
          select
          from billing.audit_events as later
          where later.customer_id = u.customer_id
            and later.action in ('customer.linked', 'customer.unlinked')
            and later.id > u.id
        )
    ) as k
  );
end;
$$;

comment on function billing_private.customers_of_owner is
  'Ids of the customers that a user is, or was when the account was deleted; in order.';

create function billing_private.guest_purchases_of_owner(p_owner_id uuid)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(array_agg(distinct coalesce(s.payment_intent, s.id)), '{}')
    from billing.checkout_sessions as s
    where s.customer is null and lower(btrim(s.client_reference_id)) = p_owner_id::text
  );
end;
$$;

comment on function billing_private.guest_purchases_of_owner is
  'What a user bought without being a customer, as far as the checkout session named the user: the payment, or the session where nothing was paid.';
