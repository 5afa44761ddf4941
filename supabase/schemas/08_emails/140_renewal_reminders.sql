-- Renewal reminders: one before each renewal of a subscription that is charged every six months or less often, as many
-- days ahead as settings say. Off by default (see settings.emails_on).
-- Mastercard asks for one 7 to 30 days ahead where the billing period is longer than 180 days
-- (https://support.stripe.com/questions/guidance-for-mastercard-recurring-billing-compliance-updates), California for one
-- 15 to 45 days ahead where the first term was a year or longer (Business and Professions Code, § 17602).
-- Reads: prices, subscription_items, subscriptions, settings. Writes: outbox. Called by: the tick, write_emails.

create function billing_private.renews_at(p_subscription billing.subscriptions, p_at timestamptz)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(
    p_subscription.status = 'active'
      and p_subscription.pause_collection is null
      and coalesce(billing_private.scheduled_end(p_subscription) > p_at, true),
    false
  );
end;
$$;

comment on function billing_private.renews_at is
  'Whether a subscription renews at p_at as things stand: it is paid for, its collection is not paused, and it is not set to end by then.';

create function billing_private.enqueue_due_renewal_reminders(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  due record;
  reminded integer := 0;
begin
  if billing_private.is_email_off('renewal-ahead') then
    return 0;
  end if;
  for due in
    select s.id, s.customer, s.current_period_end as renews_at
    from billing.prices as p
    -- Price by price, of which few have long terms: the limit keeps the planner from reading all items at once.
    cross join lateral (
      select s.id, s.customer, i.current_period_end
      from billing.subscription_items as i
      join billing.subscriptions as s on s.id = i.subscription
      where i.price = p.id
        and i.current_period_end > p_now
        and i.current_period_end <= p_now + (select x.renewal_reminder_days from billing.settings as x) * interval '24 hours'
        and billing_private.renews_at(s, i.current_period_end)
        and not exists (
          select
          from billing.outbox as o
          where o.dedupe_key = format('renewal:%s:%s', s.id, extract(epoch from i.current_period_end)::bigint)
        )
      limit 500
    ) as s
    where billing_private.is_long_term(p.recurring)
    group by s.id, s.customer, s.current_period_end
    order by s.current_period_end, s.id
    limit 500
  loop
    perform billing_private.enqueue_email_to(
      due.customer, p_now, 'renewal-ahead', format('renewal:%s:%s', due.id, extract(epoch from due.renews_at)::bigint),
      jsonb_build_object('subscription', due.id, 'renews_at', due.renews_at, 'not_after', due.renews_at), '{}', p_now
    );
    reminded := reminded + 1;
  end loop;
  return reminded;
end;
$$;

comment on function billing_private.enqueue_due_renewal_reminders is
  'Enqueues the reminders of renewals within settings.renewal_reminder_days, once for each renewal. Returns how many, 500 at most; the next run takes the rest.';

create function billing_private.renewal_props(p_payload jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  renewal constant timestamptz := (p_payload ->> 'renews_at')::timestamptz;
  known billing.subscriptions;
  renewing text[];
  next jsonb;
begin
  select * into known from billing.subscriptions as s where s.id = p_payload ->> 'subscription';
  renewing := array(
    select p.name
    from billing.subscription_items as i
    join billing.prices as c on c.id = i.price
    left join billing.products as p on p.id = i.product
    where i.subscription = known.id and i.current_period_end = renewal and billing_private.is_long_term(c.recurring)
    order by i.created, i.id
  );
  -- Moved, paid ahead, or canceled meanwhile.
  if not billing_private.renews_at(known, renewal) or cardinality(renewing) = 0 then
    return null;
  end if;
  next := billing_private.next_payment_props(known);
  if next #> '{price,amount}' = '0' then
    return null; -- nothing will be charged
  end if;
  return (next - 'nextPaymentAt') || jsonb_build_object(
    'customerName', null, 'productName', renewing[1], 'renewsAt', renewal, 'collectionMethod', known.collection_method
  );
end;
$$;

comment on function billing_private.renewal_props is
  'What the email about a renewal ahead says; null where it does not come any more, or costs nothing.';
