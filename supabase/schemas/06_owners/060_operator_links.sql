-- What an operator, or the application, knows about whose customers are: it counts for more than anything Stripe tells.
-- Reads: customers, subscriptions, checkout_sessions, known owners. Writes: customer_owner_hints, customers.owner_id,
-- audit_events, and what follows from a link. Called by: operators and the application, as service_role.

create type billing.customer_link as (
  link integer,
  customer text,
  owner_id uuid,
  outcome text,
  reason text
);

comment on type billing.customer_link is
  'What became of one link that billing.link_customers was given: link is its place in the array, from 1. outcome: linked (the customer has this owner now), unchanged (it had), kept (the customer or the owner is not known yet), taken_back, refused. reason: why it was kept or refused; else null.';

create function billing_private.read_customer_links(p_links jsonb)
returns setof billing.customer_link
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
    with links as (
      select
        l.position::integer as link,
        l.value ->> 'customer' as customer,
        l.value -> 'owner_id' as stated,
        case
          when jsonb_typeof(l.value) <> 'object' then 'not an object with customer and owner_id'
          when coalesce(l.value ->> 'customer', '') !~ '^cus_[A-Za-z0-9_]{1,250}$' then 'customer is not the id of a Stripe customer (cus_…)'
          when not l.value ? 'owner_id' then 'owner_id is missing; null takes an earlier word back'
          when l.value -> 'owner_id' <> 'null' and billing_private.as_uuid(l.value ->> 'owner_id') is null then 'owner_id is not a uuid'
        end as problem
      from jsonb_array_elements(p_links) with ordinality as l (value, position)
    ),
    read as (
      select l.link, left(l.customer, 255) as customer, billing_private.as_uuid(l.stated #>> '{}') as owner_id, l.problem
      from links as l
    )
    select
      r.link,
      r.customer,
      r.owner_id,
      case when w.problem is not null then 'refused' end,
      w.problem
    from read as r
    cross join lateral (
      select coalesce(
        r.problem,
        case
          when exists (
            select from read as o where o.customer = r.customer and o.problem is null and o.owner_id is distinct from r.owner_id
          ) then 'the customer is named with several owners'
          when billing_private.is_deleted_owner(r.owner_id) then 'the owner was deleted'
        end
      ) as problem
    ) as w
    order by r.link;
end;
$$;

comment on function billing_private.read_customer_links is
  'The links of an array as they can be read: outcome is refused, with the reason, for those that say nothing certain; else null.';

create function billing_private.is_known_customer(p_customer_id text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from billing.customers as c where c.id = p_customer_id)
    or exists (select from billing.subscriptions as s where s.customer = p_customer_id)
    or exists (select from billing.checkout_sessions as s where s.customer = p_customer_id and s.completed_at is not null);
end;
$$;

comment on function billing_private.is_known_customer is
  'Whether an event that links a customer has come: its own, one of a subscription, or a completed checkout.';

create function billing_private.record_operator_word(p_customer_id text, p_owner_id uuid, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  earlier constant text := (
    select h.hinted_owner from billing_private.customer_owner_hints as h where h.customer_id = p_customer_id and h.source = 'operator'
  );
begin
  if earlier is not distinct from p_owner_id::text then
    return false;
  end if;
  if p_owner_id is null then
    delete from billing_private.customer_owner_hints as h where h.customer_id = p_customer_id and h.source = 'operator';
  else
    insert into billing_private.customer_owner_hints (customer_id, source, hinted_owner, as_of, object_id, is_waiting)
    values (p_customer_id, 'operator', p_owner_id::text, p_now, p_customer_id, billing_private.could_sign_up(p_owner_id::text))
    on conflict (customer_id, source) do update
      set hinted_owner = excluded.hinted_owner, as_of = excluded.as_of, is_waiting = excluded.is_waiting;
  end if;
  perform billing_private.audit(
    'customer.owner_named', 'operator', p_customer_id, p_customer_id,
    jsonb_build_object('owner_id', p_owner_id, 'earlier_owner_id', earlier), p_now
  );
  return true;
end;
$$;

comment on function billing_private.record_operator_word is
  'Keeps whom an operator names as a customer''s owner, or takes it back (null). Returns whether that is news; audited then. The caller holds the customer''s lock.';

create function billing_private.apply_customer_link(p_link billing.customer_link, p_now timestamptz)
returns billing.customer_link
language plpgsql
set search_path = ''
as $$
declare
  previous uuid;
  present uuid;
  is_news boolean;
begin
  select c.owner_id into previous from billing.customers as c where c.id = p_link.customer;
  is_news := billing_private.record_operator_word(p_link.customer, p_link.owner_id, p_now);
  if not billing_private.is_known_customer(p_link.customer) then
    p_link.outcome := case when p_link.owner_id is not null then 'kept' when is_news then 'taken_back' else 'unchanged' end;
    p_link.reason := case when p_link.outcome = 'kept' then 'the customer is not known yet' end;
    return p_link;
  end if;
  perform billing_private.link_customer_to_owner(p_link.customer, p_now, 'operator');
  select c.owner_id into present from billing.customers as c where c.id = p_link.customer;
  if p_link.owner_id is null then
    p_link.outcome := case when is_news then 'taken_back' else 'unchanged' end;
  elsif present is distinct from p_link.owner_id then
    p_link.outcome := 'kept';
    p_link.reason := 'there is no such owner yet';
    if is_news then
      perform billing_private.audit(
        'customer.owner_unknown', 'operator', p_link.customer, p_link.customer,
        jsonb_build_object('source', 'operator', 'hinted_owner', p_link.owner_id), p_now
      );
    end if;
  else
    p_link.outcome := case when previous is distinct from present then 'linked' else 'unchanged' end;
  end if;
  return p_link;
end;
$$;

comment on function billing_private.apply_customer_link is
  'Keeps an operator''s word about one customer and links the customer, if it is known. Returns the link with its outcome. All locks are held.';

create function billing.link_customers(links jsonb, p_now timestamptz default now())
returns setof billing.customer_link
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  given billing.customer_link[];
  one billing.customer_link;
begin
  if jsonb_typeof(links) is distinct from 'array' then
    perform billing_private.raise_error('DU019', format('links is not an array but %s', coalesce(jsonb_typeof(links), 'null')));
  elsif jsonb_array_length(links) > 500 then
    perform billing_private.raise_error('DU019', format('%s links in one call', jsonb_array_length(links)));
  end if;
  given := array(select l from billing_private.read_customer_links(links) as l where l.outcome is null);
  perform billing_private.lock_links(array(select l.customer from unnest(given) as l), array(select l.owner_id from unnest(given) as l));
  -- Read once more: an owner that was being deleted is known as deleted now.
  for one in select * from billing_private.read_customer_links(links) loop
    if one.outcome is null then
      one := billing_private.apply_customer_link(one, p_now);
    end if;
    return next one;
  end loop;
end;
$$;

comment on function billing.link_customers is
  'Takes what an operator or the application knows about whose Stripe customers are: an array of up to 500 {customer, owner_id}. It counts for more than metadata, checkouts and emails, also those that come later; owner_id null takes it back. A customer or owner that is not known yet is linked when it comes. A link that cannot be read is refused with the reason, and the others are followed. The same again changes nothing. Returns a row per link. Raises DU019.';

grant execute on function billing.link_customers(jsonb, timestamptz) to service_role;
