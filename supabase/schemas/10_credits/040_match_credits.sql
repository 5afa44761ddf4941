-- Matching: whatever becomes known of a purchase (the checkout, the payment, a refund, the owner) brings the ledger to what
-- is due by all that is known. A purchase's row is locked first, so of two that learn at once the second sees the first.
-- Reads: checkout_sessions, payments, customers, whether an owner is there. Writes: credit_purchases, and through it the ledger.
-- Called by: projection, the trigger on payments, the link of a customer to an owner, the tick.

create function billing_private.credits_of_returned_money(p_payment billing.payments, p_due bigint)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  received constant numeric := coalesce(nullif(p_payment.amount_received, 0), p_payment.amount, 0);
begin
  return case
    when received > 0 then floor(p_due * least(p_payment.amount_refunded + p_payment.amount_lost, received) / received)
    else 0
  end;
end;
$$;

comment on function billing_private.credits_of_returned_money is
  'Of p_due credits, those whose money was refunded or lost to a dispute; rounded in the customer''s favour, and all when all of it is gone.';

create function billing_private.match_credits_to_purchase(p_id text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  purchase billing_private.credit_purchases;
  payment billing.payments;
  checkout billing.checkout_sessions;
  bought record;
  owner uuid;
  due bigint;
  asked_back bigint;
begin
  select * into purchase from billing_private.credit_purchases as p where p.id = p_id for update;
  if not found then
    return;
  end if;
  select * into payment from billing.payments as p where p.id = p_id;
  select * into checkout from billing.checkout_sessions as s where s.id = purchase.session;
  purchase.customer := coalesce(checkout.customer, payment.customer);
  purchase.guest := case when purchase.customer is null then billing_private.owner_of_session(checkout) end;
  owner := billing_private.owner_of_purchase(purchase);
  purchase.is_waiting := owner is null and purchase.guest is not null;

  bought := billing_private.bought_credits(checkout.metadata);
  if bought.credits is null then
    bought := billing_private.bought_credits(billing_private.metadata_of(p_id));
  end if;
  due := case
    -- Of a session that was first told without its payment, the payment is the purchase.
    when checkout.id is not null and p_id <> coalesce(checkout.payment_intent, checkout.id) then 0
    when payment.amount_received > 0 or checkout.payment_status in ('paid', 'no_payment_required') then coalesce(bought.credits, 0)
    else 0
  end;
  asked_back := billing_private.credits_of_returned_money(payment, due);

  if purchase.holder is not null or (owner is not null and due > 0) then
    perform billing_private.lock_owners(array[purchase.holder, owner]);
    -- Somebody who was deleted meanwhile is seen as gone from here on.
    if not billing_private.owner_exists(owner) then
      owner := null;
    end if;
    purchase := billing_private.transfer_credits(purchase, owner, coalesce(bought.kind, purchase.kind), p_now);
  end if;
  if purchase.holder is not null then
    purchase := billing_private.match_standing_to_payment(purchase, due, asked_back, p_now);
  end if;

  update billing_private.credit_purchases as p
  set
    customer = purchase.customer, guest = purchase.guest, is_waiting = purchase.is_waiting, holder = purchase.holder, kind = purchase.kind,
    credited = purchase.credited, asked_back = purchase.asked_back, taken_back = purchase.taken_back, standing = purchase.standing
  where p.id = p_id and p is distinct from purchase;
end;
$$;

comment on function billing_private.match_credits_to_purchase is
  'Brings the ledger to what a purchase is worth by all that is known: nothing before it is paid and its owner known, then its credits, less the share of the money that went back.';

create function billing_private.record_credit_purchase(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  session constant jsonb := p_event.payload #> '{data,object}';
  paid_with constant text := billing_private.stripe_id(session -> 'payment_intent');
  metadata constant jsonb := session -> 'metadata';
begin
  if session ->> 'mode' is distinct from 'payment' then
    return;
  end if;
  -- The payment's lock, so that its trigger finds this purchase, or match_credits_to_purchase finds the payment.
  if paid_with is not null then
    perform pg_advisory_xact_lock(hashtextextended(paid_with, 7306));
  end if;
  insert into billing_private.credit_purchases as p (id, session)
  values (coalesce(paid_with, p_event.object_id), p_event.object_id)
  on conflict (id) do update set session = excluded.session where p.session is null;

  if metadata ?| array['credit_kind', 'credits'] and (billing_private.bought_credits(metadata)).credits is null then
    perform billing_private.audit(
      'credits.unreadable', 'system', p_event.object_id, p_event.customer_id,
      jsonb_strip_nulls(jsonb_build_object(
        'credit_kind', left(metadata ->> 'credit_kind', 80), 'credits', left(metadata ->> 'credits', 80)
      )),
      p_event.created, p_event.id
    );
  end if;
end;
$$;

comment on function billing_private.record_credit_purchase is
  'Handler: checkout.session.* of a one-time payment that came to its end. Runs before the customer is linked, because a payment''s lock is taken before any owner''s.';

create function billing_private.match_credits_to_checkout(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  purchase record;
begin
  if p_event.payload #>> '{data,object,mode}' is distinct from 'payment' then
    return;
  end if;
  for purchase in select p.id from billing_private.credit_purchases as p where p.session = p_event.object_id order by p.id loop
    perform billing_private.match_credits_to_purchase(purchase.id, p_event.received_at);
  end loop;
end;
$$;

comment on function billing_private.match_credits_to_checkout is 'Handler: checkout.session.*: gives what was bought, once the customer is linked.';

create function billing_private.tg_payments__after_write()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.metadata_of(new.id) ?| array['credit_kind', 'credits'] then
    insert into billing_private.credit_purchases (id) values (new.id) on conflict (id) do nothing;
  end if;
  perform billing_private.match_credits_to_purchase(new.id, now());
  return null;
end;
$$;

comment on function billing_private.tg_payments__after_write is
  'Trigger function: a payment that came in or was returned matches the credits it bought.';

create trigger payments_that_arrive_match_credits
  after insert on billing.payments
  for each row execute function billing_private.tg_payments__after_write();

create trigger payments_that_change_match_credits
  after update on billing.payments
  for each row
  when (
    (old.amount, old.amount_received, old.amount_refunded, old.amount_lost, old.customer)
    is distinct from (new.amount, new.amount_received, new.amount_refunded, new.amount_lost, new.customer)
  )
  execute function billing_private.tg_payments__after_write();

create function billing_private.tg_object_metadata__after_write()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  object_id constant text := coalesce(new.object_id, old.object_id);
begin
  -- Metadata is kept just before its object: a payment that arrives with it is matched by its own trigger.
  if not exists (select from billing.payments as p where p.id = object_id) then
    return null;
  end if;
  insert into billing_private.credit_purchases (id) values (object_id) on conflict (id) do nothing;
  perform billing_private.match_credits_to_purchase(object_id, now());
  return null;
end;
$$;

comment on function billing_private.tg_object_metadata__after_write is
  'Trigger function: a payment whose metadata changed matches the credits it bought.';

create trigger metadata_that_arrives_matches_credits
  after insert on billing.object_metadata
  for each row
  when (new.metadata ?| array['credit_kind', 'credits'])
  execute function billing_private.tg_object_metadata__after_write();

create trigger metadata_that_changes_matches_credits
  after update on billing.object_metadata
  for each row
  when (old.metadata ?| array['credit_kind', 'credits'] or new.metadata ?| array['credit_kind', 'credits'])
  execute function billing_private.tg_object_metadata__after_write();

create trigger metadata_that_goes_matches_credits
  after delete on billing.object_metadata
  for each row
  when (old.metadata ?| array['credit_kind', 'credits'])
  execute function billing_private.tg_object_metadata__after_write();
create function billing_private.match_credits_of_customer(p_customer_id text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  purchase record;
begin
  -- All of them before any owner's lock.
  perform from billing_private.credit_purchases as p where p.customer = p_customer_id order by p.id for update;
  for purchase in select p.id from billing_private.credit_purchases as p where p.customer = p_customer_id order by p.id loop
    perform billing_private.match_credits_to_purchase(purchase.id, p_now);
  end loop;
end;
$$;

comment on function billing_private.match_credits_of_customer is
  'Credits go with the customer to the owner it is linked to. Called under the customer''s lock.';

create function billing_private.match_credits_of_waiting_guests(p_now timestamptz, p_owner_id uuid default null, p_limit integer default 1000)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  purchase record;
  matched integer := 0;
begin
  for purchase in
    select p.id
    from billing_private.credit_purchases as p
    where p.is_waiting and (p_owner_id is null or p.guest = p_owner_id) and billing_private.owner_exists(p.guest)
    order by p.id
    limit p_limit
    for update of p skip locked
  loop
    perform billing_private.match_credits_to_purchase(purchase.id, p_now);
    matched := matched + 1;
  end loop;
  return matched;
end;
$$;

comment on function billing_private.match_credits_of_waiting_guests is
  'Gives guests what they bought before they signed up. p_owner_id: only this one''s. Run at sign-up, and by the tick every minute for those who signed up at the same time as the checkout. Returns how many.';

insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, h.handler, h.position, h.description
from (
  values
    ('billing_private.record_credit_purchase', 15, 'keeps which payment a checkout made, for credits'),
    ('billing_private.match_credits_to_checkout', 40, 'gives the credits that were bought')
) as h (handler, position, description)
cross join unnest(array[
  'checkout.session.completed', 'checkout.session.async_payment_succeeded', 'checkout.session.async_payment_failed'
]) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('checkout.session', 'billing_private.record_credit_purchase', 15),
  ('checkout.session', 'billing_private.match_credits_to_checkout', 40);
