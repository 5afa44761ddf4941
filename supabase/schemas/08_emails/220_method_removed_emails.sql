-- The email that a payment method was removed which the next payment needs. Off by default (see settings.emails_on).
-- Three events may tell of one removal, in any order: the payment method's, its customer's, its subscription's. Whether
-- something is missing is decided some minutes later, when whoever exchanges a card has given the new one.
-- Reads: the event, stripe_events, subscriptions, customers, payment_methods. Writes: outbox.
-- Called by: projection, write_emails.

create function billing_private.cleared_default(p_event billing.stripe_events)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  previous constant jsonb := p_event.payload #> '{data,previous_attributes}';
begin
  if p_event.type = 'customer.updated' then
    return case when billing_private.default_payment_method(o) is null then
      coalesce(
        billing_private.stripe_id(previous #> '{invoice_settings,default_payment_method}'),
        billing_private.stripe_id(previous -> 'default_source')
      )
    end;
  elsif p_event.type = 'customer.subscription.updated' then
    return case
      when coalesce(billing_private.stripe_id(o -> 'default_payment_method'), billing_private.stripe_id(o -> 'default_source')) is null
      then coalesce(billing_private.stripe_id(previous -> 'default_payment_method'), billing_private.stripe_id(previous -> 'default_source'))
    end;
  end if;
  return null;
end;
$$;

comment on function billing_private.cleared_default is
  'The payment method that an update of a customer or subscription took away as its default, and put none in its place; null where it did not.';

create function billing_private.enqueue_method_removed_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  removed text;
begin
  if billing_private.is_email_off('payment-method-removed') then
    return;
  end if;
  removed := case p_event.type when 'payment_method.detached' then p_event.object_id else billing_private.cleared_default(p_event) end;
  if removed is not null and p_event.customer_id is not null then
    perform billing_private.enqueue_email_to(
      p_event.customer_id, p_event.created, 'payment-method-removed', format('method-removed:%s:%s', p_event.customer_id, removed),
      jsonb_build_object('removed', removed), '{}', p_event.received_at, interval '10 minutes'
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_method_removed_email is
  'Handler: payment_method.detached, and customer.updated and customer.subscription.updated where a default was cleared. Once for each payment method of a customer.';

create function billing_private.lacks_method(p_subscription billing.subscriptions)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return billing_private.renews_at(p_subscription, p_subscription.current_period_end)
    and p_subscription.collection_method is distinct from 'send_invoice'
    and not exists (
      select
      from (
        select p_subscription.default_payment_method as id
        union all
        select c.default_payment_method from billing.customers as c where c.id = p_subscription.customer
      ) as d
      where d.id is not null
        and not exists (select from billing.payment_methods as m where m.id = d.id and m.detached_at is not null)
    )
    and billing_private.next_payment_props(p_subscription) #>> '{price,amount}' is distinct from '0';
end;
$$;

comment on function billing_private.lacks_method is
  'Whether a subscription will be charged at the end of its period and there is nothing to charge: no default of its own or its customer''s that is still attached.';

create function billing_private.was_default(p_customer text, p_method text, p_at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from billing.customers as c where c.id = p_customer and c.default_payment_method = p_method)
    or exists (select from billing.subscriptions as s where s.customer = p_customer and s.default_payment_method = p_method)
    or exists (
      select
      from billing.stripe_events as e
      where e.customer_id = p_customer
        and e.created between p_at - interval '1 hour' and p_at + interval '1 hour'
        and e.type in ('customer.updated', 'customer.subscription.updated')
        and billing_private.cleared_default(e) = p_method
    );
end;
$$;

comment on function billing_private.was_default is
  'Whether a payment method that was removed at p_at was a default of its customer or of a subscription then, as rows still say or an event about that time does.';

create function billing_private.method_removed_props(p_payload jsonb, p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  happened constant timestamptz := (p_payload ->> 'happened_at')::timestamptz;
  method billing.payment_methods;
  waiting billing.subscriptions;
begin
  select s.*
  into waiting
  from billing.subscriptions as s
  where s.customer = p_payload ->> 'customer' and s.current_period_end > p_now and billing_private.lacks_method(s)
  order by s.current_period_end, s.id
  limit 1;
  if not found
    or not billing_private.was_default(p_payload ->> 'customer', p_payload ->> 'removed', happened)
    -- A new one is there, and is becoming the default.
    or exists (
      select
      from billing.payment_methods as m
      where m.customer = p_payload ->> 'customer'
        and m.id <> p_payload ->> 'removed'
        and m.detached_at is null
        and m.created >= happened - interval '5 minutes'
    )
  then
    return null;
  end if;
  select * into method from billing.payment_methods as m where m.id = p_payload ->> 'removed';
  return (billing_private.next_payment_props(waiting) - 'paymentMethod') || jsonb_build_object(
    'customerName', null,
    'productName', billing_private.fill_email_props(
      jsonb_build_object('subscription', waiting.id, 'props', jsonb_build_object('productName', null))
    ) -> 'productName',
    'removed', case
      when method.type is not null then jsonb_build_object('type', method.type, 'brand', method.card_brand, 'last4', method.card_last4)
    end
  );
end;
$$;

comment on function billing_private.method_removed_props is
  'What the email about a payment method that was removed says, of the subscription that is charged next; null where nothing lacks one: it was no default, there is another, a new one was given since, or nothing will be charged.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('payment_method.detached', 'billing_private.enqueue_method_removed_email', 42, 'email: payment method removed that the next payment needs'),
  ('customer.updated', 'billing_private.enqueue_method_removed_email', 42, 'email: payment method removed that the next payment needs'),
  ('customer.subscription.updated', 'billing_private.enqueue_method_removed_email', 42, 'email: payment method removed that the next payment needs');
