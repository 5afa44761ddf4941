-- New cards: which payment methods became a default since something fell overdue, or were renewed by their bank.
-- Which cards are new follows from what is known, in whatever order it came.
-- Reads: the event, customers, subscriptions, payment_methods, invoices. Writes: given_cards. Called by: charge_new_cards,
-- card_charges.

create function billing_private.given_card(p_event billing.stripe_events)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  previous constant jsonb := p_event.payload #> '{data,previous_attributes}';
  own constant text := billing_private.stripe_id(case o ->> 'object'
    when 'customer' then o #> '{invoice_settings,default_payment_method}' else o -> 'default_payment_method'
  end);
  is_other_method constant boolean := case o ->> 'object'
    when 'customer' then previous -> 'invoice_settings' ? 'default_payment_method' else previous ? 'default_payment_method'
  end;
  shown text;
begin
  if p_event.type = 'duebase.refreshed' then
    -- A read tells no previous value: what it replaces does. It runs before the object is projected.
    select case o ->> 'object'
      when 'customer' then (select c.default_payment_method from billing.customers as c where c.id = p_event.object_id)
      else (select s.default_payment_method from billing.subscriptions as s where s.id = p_event.object_id)
    end
    into shown;
    return case
      when not exists (select from billing_private.object_versions as v where v.object_id = p_event.object_id and v.as_of is not null) then null
      else nullif(coalesce(own, billing_private.stripe_id(o -> 'default_source')), shown)
    end;
  elsif is_other_method and own is not null then
    return own;
  elsif previous ? 'default_source' and own is null then
    -- A source counts only where no payment method goes before it.
    return billing_private.stripe_id(o -> 'default_source');
  end if;
  return case
    when is_other_method and o ->> 'object' = 'subscription' and coalesce(o -> 'default_source', 'null') = 'null' then ''
  end;
end;
$$;

comment on function billing_private.given_card is
  'The payment method that an event, or a read, of a customer or a subscription makes its default; empty where a subscription goes over to its customer''s; null where the default stays what it is. Attaching a card makes it no default.';

create function billing_private.record_given_card(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  card constant jsonb := p_event.payload #> '{data,object,card}';
  method text;
  renewed text := '';
begin
  if p_event.type like 'payment_method.%' then
    -- The same payment method with other data on the card is another card.
    if p_event.type = 'payment_method.automatically_updated'
      or p_event.payload #> '{data,previous_attributes,card}' ?| array['exp_month', 'exp_year', 'last4', 'fingerprint']
    then
      method := p_event.object_id;
      renewed := left(md5(concat_ws('-', card ->> 'last4', card ->> 'exp_year', card ->> 'exp_month', card ->> 'fingerprint')), 12);
    end if;
  else
    method := billing_private.given_card(p_event);
  end if;
  if method is null then
    return;
  end if;
  insert into billing_private.given_cards as g (object_id, payment_method, renewal, given_at)
  values (
    p_event.object_id, method, renewed,
    case when p_event.type = 'duebase.refreshed' then greatest(p_event.created, p_event.received_at) else p_event.created end
  )
  on conflict (object_id, payment_method, renewal) do update set given_at = greatest(g.given_at, excluded.given_at);
end;
$$;

comment on function billing_private.record_given_card is
  'Handler: customer.updated, customer.subscription.updated, payment_method.automatically_updated, payment_method.updated, and reads. Keeps which card was given when, also from a stale event.';

create function billing_private.new_cards(p_invoice text)
returns table (payment_method text, renewal text)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  with known as (
    select
      v.overdue_since,
      s.id as subscription,
      u.id as customer,
      s.default_payment_method as own,
      u.default_payment_method as theirs,
      own.given_at as own_since,
      greatest(theirs.given_at, case when s.default_payment_method is null then without.given_at end) as theirs_since,
      coalesce(own.given_at, s.created, '-infinity') as own_known_since
    from billing_private.overdue_invoices as v
    join billing.invoices as i on i.id = v.invoice and i.collection_method = 'charge_automatically'
    join billing.customers as u on u.id = v.customer
    left join billing.subscriptions as s on s.id = v.subscription
    left join billing_private.given_cards as own
      on own.object_id = s.id and own.payment_method = s.default_payment_method and own.renewal = ''
    left join billing_private.given_cards as without on without.object_id = s.id and without.payment_method = '' and without.renewal = ''
    left join billing_private.given_cards as theirs
      on theirs.object_id = u.id and theirs.payment_method = u.default_payment_method and theirs.renewal = ''
    where v.invoice = p_invoice
  ),
  given as (
    -- The subscription's own, given after the payment failed, and not before the customer's.
    select k.own as payment_method, '' as renewal
    from known as k
    where k.own_since >= k.overdue_since and (k.theirs_since is null or k.own_since >= k.theirs_since)
    union
    -- The customer's: where it is what is charged, given after the payment failed; else given after the subscription's own.
    select k.theirs, ''
    from known as k
    where k.theirs is not null -- a subscription may go over to its customer's default where there is none
      and k.theirs_since >= case when k.own is null or k.own = k.theirs then k.overdue_since else k.own_known_since end
    union
    -- What the bank has made of the card since, the newest of it.
    select g.payment_method, g.renewal
    from known as k
    join billing_private.given_cards as g on g.object_id = coalesce(k.own, k.theirs) and g.payment_method = g.object_id
    where g.given_at >= k.overdue_since
      and g.given_at = (select max(n.given_at) from billing_private.given_cards as n where n.object_id = g.object_id)
  )
  select g.payment_method, g.renewal
  from given as g
  where not exists (select from billing.payment_methods as m where m.id = g.payment_method and m.detached_at is not null);
end;
$$;

comment on function billing_private.new_cards is
  'The cards to which an overdue invoice that is charged automatically may be charged beside what Stripe tries by itself: defaults given after it failed, a customer''s default that is newer than the subscription''s own, and the renewal of a card. Not one that was detached.';
