-- Owner hints: what payers wrote about who they are, and what follows when settings begin or cease to trust it.
-- Reads: checkout_sessions, customers, customer_owner_hints, settings. Writes: what follows from a customer's user.
-- Called by: cron; operators.

create view billing.owner_hints
with (security_invoker = true)
as
select
  s.id as session,
  s.client_reference_id as hinted_owner,
  s.payment_link,
  s.customer,
  c.owner_id,
  c.email,
  s.completed_at
from billing.checkout_sessions as s
left join billing.customers as c on c.id = s.customer
where s.client_reference_id is not null
  and s.completed_at is not null
  and nullif(btrim(coalesce(s.metadata ->> 'owner_id', s.metadata ->> 'user_id', '')), '') is null
  and c.owner_id::text is distinct from lower(btrim(s.client_reference_id));

comment on view billing.owner_hints is
  'Completed checkouts whose client_reference_id names somebody whom the customer is not linked to: settings.trust_client_reference_id does not believe it, something that counts for more says otherwise, or there is no such user. If it is right, set metadata.owner_id of the customer at Stripe.';
comment on column billing.owner_hints.session is 'Checkout session (billing.checkout_sessions.id).';
comment on column billing.owner_hints.hinted_owner is 'client_reference_id, as the payer or the application wrote it.';
comment on column billing.owner_hints.payment_link is 'Payment Link (plink_…) that made the session; null for none, and for a pricing table.';
comment on column billing.owner_hints.owner_id is 'The user the customer is linked to; null: none.';
comment on column billing.owner_hints.completed_at is 'When it was completed (UTC).';

grant select on billing.owner_hints to service_role;

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
  -- All turns before the first link, as in link_waiting_customers.
  perform billing_private.lock_customers(batch);
  perform billing_private.lock_plans_of_customers_shared(batch);
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
  -- All of them before any user's turn.
  perform from billing_private.credit_purchases as p where p.id = any (batch) order by p.id for update;
  perform billing_private.match_credits_to_purchase(b.id, p_now) from unnest(batch) as b (id);
  return billing_private.advance_settings_pass('trusted_guests', batch);
end;
$$;

comment on function billing_private.match_credits_of_hinted_guests is
  'One batch of the pass after a change of settings.trust_client_reference_id: credits bought without a customer. Returns how many.';

create function billing_private.run_settings_pass(p_now timestamptz, p_limit integer default 2000)
returns integer
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select from billing_private.settings_passes) then
    return 0;
  end if;
  -- One kind a call: each takes its own turns first.
  return coalesce(
    nullif(billing_private.update_visible_metadata(p_now, p_limit), 0),
    nullif(billing_private.relink_hinted_customers(p_now, p_limit), 0),
    billing_private.match_credits_of_hinted_guests(p_now, p_limit)
  );
end;
$$;

comment on function billing_private.run_settings_pass is
  'One batch of what still has to follow a change of settings. Run by cron every minute. Returns how many rows it was about; 0 when there is nothing to do.';

select cron.schedule('duebase-follow-settings', '* * * * *', 'select billing_private.run_settings_pass(now())');
