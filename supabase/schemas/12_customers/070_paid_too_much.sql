-- Paid too much: money that came in and should not stay, which only a person can give back. A second running
-- subscription of one buyer to one product; an invoice of a subscription that had ended.
-- Reads: subscriptions, subscription_items, customers, invoices, payments, object_metadata, webhook_events. Writes: outbox (alerts).
-- Called by: projection; the link of a customer to a user.

create function billing_private.duplicate_subscriptions(p_customer text)
returns table (product text, subscriptions text[])
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  with own as (
    select p_customer as id
    union
    select c.id
    from billing.customers as k
    join billing.customers as c on c.owner_id = k.owner_id
    where k.id = p_customer
  )
  select i.product, array_agg(distinct s.id order by s.id)
  from own
  join billing.subscriptions as s on s.customer = own.id and s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused')
  join billing.subscription_items as i on i.subscription = s.id
  where i.product is not null
    -- A second one that was asked for, see the checkout function.
    and not billing_private.metadata_of(s.id) ? 'duebase_another'
  group by i.product
  having count(distinct s.id) > 1;
end;
$$;

comment on function billing_private.duplicate_subscriptions is
  'Products that a customer, or another customer of the same user, has more than one running subscription to, and these.';

create function billing_private.alert_two_subscriptions(p_customer text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  duplicates record;
begin
  for duplicates in select * from billing_private.duplicate_subscriptions(p_customer) as t order by t.product loop
    perform billing_private.enqueue(
      'alert', format('alert:two_subscriptions:%s:%s', duplicates.product, array_to_string(duplicates.subscriptions, ',')),
      jsonb_build_object(
        'cause', 'two_subscriptions', 'customer', p_customer, 'product', duplicates.product,
        -- The newest first: it is the surplus one.
        'subscriptions', (
          select jsonb_agg(
            jsonb_build_object(
              'subscription', s.id, 'status', s.status, 'created', s.created, 'invoice', s.latest_invoice,
              -- As far as they are known by now: its invoice leads to those that come later.
              'payments', (
                select jsonb_agg(p.id order by p.id)
                from billing.payments as p
                where p.invoice_id = s.latest_invoice and p.amount_received > 0
              )
            )
            order by s.created desc nulls last, s.id
          )
          from billing.subscriptions as s
          where s.id = any (duplicates.subscriptions)
        )
      ),
      p_now, least(p_now, clock_timestamp())
    );
  end loop;
end;
$$;

comment on function billing_private.alert_two_subscriptions is
  'Enqueues the alert about two running subscriptions of one buyer to one product, once for each set of them.';

create function billing_private.alert_on_two_subscriptions(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if o ->> 'status' in ('active', 'trialing', 'past_due', 'unpaid', 'paused') then
    perform billing_private.alert_two_subscriptions(billing_private.stripe_id(o -> 'customer'), p_event.received_at);
  end if;
end;
$$;

comment on function billing_private.alert_on_two_subscriptions is
  'Handler: customer.subscription.created, updated, resumed: alerts where it is one of two to the same product.';

create function billing_private.alert_paid_after_end(p_subscription text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  late record;
begin
  for late in
    select i.id, i.customer, i.amount_paid, i.currency, p.paid_at, s.ended_at
    from billing.subscriptions as s
    join billing.invoices as i on i.subscription = s.id
    cross join lateral (
      select coalesce(
        i.paid_at,
        -- Older versions told no such moment: the first event that says it is paid.
        (
          select min(e.created)
          from billing.webhook_events as e
          where e.object_id = i.id and e.type in ('invoice.paid', 'invoice.payment_succeeded')
        )
      ) as paid_at
    ) as p
    where s.id = p_subscription
      and s.status in ('canceled', 'incomplete_expired')
      and i.status = 'paid'
      and i.amount_paid > 0
      and p.paid_at > s.ended_at
      -- The last bill for what was used comes with the end, and is paid after it as it should be.
      and i.created < s.ended_at
      -- Told already: the payment and dunning's own end met.
      and not exists (
        select
        from billing.dunning_cases as d
        join billing.outbox as o on o.dedupe_key = 'alert:paid_while_ending:' || d.id
        where d.subscription = s.id
      )
    order by i.id
  loop
    perform billing_private.enqueue(
      'alert', 'alert:paid_after_end:' || late.id,
      jsonb_build_object(
        'cause', 'paid_after_end', 'customer', late.customer, 'subscription', p_subscription, 'invoice', late.id,
        'amount_paid', late.amount_paid, 'currency', late.currency, 'paid_at', late.paid_at, 'ended_at', late.ended_at,
        'payments', (
          select jsonb_agg(p.id order by p.id) from billing.payments as p where p.invoice_id = late.id and p.amount_received > 0
        )
      ),
      p_now, least(p_now, clock_timestamp())
    );
  end loop;
end;
$$;

comment on function billing_private.alert_paid_after_end is
  'Enqueues the alert that an invoice from before a subscription''s end was paid after it, once for each invoice.';

create function billing_private.alert_on_late_payment(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if o ->> 'object' = 'subscription' then
    if o ->> 'status' in ('canceled', 'incomplete_expired') then
      perform billing_private.alert_paid_after_end(o ->> 'id', p_event.received_at);
    end if;
  elsif billing_private.invoice_status(o) = 'paid' then
    perform billing_private.alert_paid_after_end(billing_private.invoice_subscription(o), p_event.received_at);
  end if;
end;
$$;

comment on function billing_private.alert_on_late_payment is
  'Handler: invoice.paid, payment_succeeded, updated, customer.subscription.deleted: alerts where an ended subscription is paid for, whichever is heard last.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.subscription.created', 'billing_private.alert_on_two_subscriptions', 50, 'alerts of two subscriptions of one buyer to one product'),
  ('customer.subscription.updated', 'billing_private.alert_on_two_subscriptions', 50, 'alerts of two subscriptions of one buyer to one product'),
  ('customer.subscription.resumed', 'billing_private.alert_on_two_subscriptions', 50, 'alerts of two subscriptions of one buyer to one product'),
  ('customer.subscription.deleted', 'billing_private.alert_on_late_payment', 50, 'alerts of what was paid after the end'),
  ('customer.subscription.updated', 'billing_private.alert_on_late_payment', 50, 'alerts of what was paid after the end'),
  ('invoice.paid', 'billing_private.alert_on_late_payment', 50, 'alerts of what was paid after the end'),
  ('invoice.payment_succeeded', 'billing_private.alert_on_late_payment', 50, 'alerts of what was paid after the end'),
  ('invoice.updated', 'billing_private.alert_on_late_payment', 50, 'alerts of what was paid after the end');

insert into billing_private.refresh_handlers (object, handler, position) values
  ('subscription', 'billing_private.alert_on_two_subscriptions', 50),
  ('subscription', 'billing_private.alert_on_late_payment', 50),
  ('invoice', 'billing_private.alert_on_late_payment', 50);
