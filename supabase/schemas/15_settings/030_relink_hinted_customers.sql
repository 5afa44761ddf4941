-- The passes after a change of settings.trust_client_reference_id or owners_function: whose customers are, and what was bought
-- without one.
-- Reads: checkout_sessions, customer_owner_hints, credit_purchases, settings. Writes: customers.owner_id, and what follows
-- from it. Called by: settings_passes.

create function billing_private.relink_hinted_customers(p_now timestamptz, p_limit integer)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  after_id constant text := billing_private.lock_settings_pass('trusted_customers', p_now);
  batch text[];
begin
  if after_id is null then
    return 0;
  end if;
  batch := array(
    select distinct c.customer_id
    from billing_private.customer_owner_hints as c
    where c.source in ('client_reference', 'payment_link') and c.customer_id > after_id
    order by c.customer_id
    limit p_limit
  );
  -- All locks before the first link, as in link_waiting_customers.
  perform billing_private.lock_links(batch);
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(batch) as c (id);
  return billing_private.advance_settings_pass('trusted_customers', batch);
end;
$$;

comment on function billing_private.relink_hinted_customers is
  'One batch of the pass after a change of settings.trust_client_reference_id: customers that a client_reference_id names a user for. Returns how many.';

create function billing_private.match_credits_of_hinted_guests(p_now timestamptz, p_limit integer)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  after_id constant text := billing_private.lock_settings_pass('trusted_guests', p_now);
  batch text[];
begin
  if after_id is null then
    return 0;
  end if;
  batch := array(
    select p.id
    from billing_private.credit_purchases as p
    join billing.checkout_sessions as s on s.id = p.session
    where p.id > after_id and p.customer is null and s.client_reference_id is not null
    order by p.id
    limit p_limit
  );
  -- All of them before any user's lock.
  perform from billing_private.credit_purchases as p where p.id = any (batch) order by p.id for update;
  perform billing_private.match_credits_to_purchase(b.id, p_now) from unnest(batch) as b (id);
  return billing_private.advance_settings_pass('trusted_guests', batch);
end;
$$;

comment on function billing_private.match_credits_of_hinted_guests is
  'One batch of the pass after a change of settings.trust_client_reference_id: credits bought without a customer. Returns how many.';

create function billing_private.relink_owned_customers(p_now timestamptz, p_limit integer)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  after_id constant text := billing_private.lock_settings_pass('owners', p_now);
  batch text[];
begin
  if after_id is null then
    return 0;
  end if;
  batch := array(
    select k.id
    from (
      (
        select distinct h.customer_id as id
        from billing_private.customer_owner_hints as h
        where h.customer_id > after_id
        order by h.customer_id
        limit p_limit
      )
      union
      (select c.id from billing.customers as c where c.id > after_id and c.owner_id is not null order by c.id limit p_limit)
    ) as k
    order by k.id
    limit p_limit
  );
  -- All locks before the first link, as in link_waiting_customers.
  perform billing_private.lock_links(batch);
  update billing_private.customer_owner_hints as h
  set is_waiting = billing_private.could_sign_up(h.hinted_owner)
  where h.customer_id = any (batch) and h.is_waiting is distinct from billing_private.could_sign_up(h.hinted_owner);
  perform billing_private.link_customer_to_owner(c.id, p_now) from unnest(batch) as c (id);
  return billing_private.advance_settings_pass('owners', batch);
end;
$$;

comment on function billing_private.relink_owned_customers is
  'One batch of the pass after a change of settings.owners_function: customers that something names an owner for, and those that have one. Returns how many.';
