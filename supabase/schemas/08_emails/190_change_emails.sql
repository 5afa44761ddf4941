-- Who gets what about changes of a running subscription. These mails are off by default (see settings.emails_on), and
-- what they say is decided when they are written: a change that was taken back meanwhile is told to nobody.
-- Reads: the event, subscriptions, prices. Writes: outbox. Called by: projection, write_emails.

create function billing_private.shown_subscription(p_subscription text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    (
      select e.payload #> '{data,object}'
      from billing_private.object_versions as v
      join billing.stripe_events as e on e.id = v.event_id
      where v.object_id = p_subscription
    ),
    jsonb_build_object('id', p_subscription)
  );
end;
$$;

comment on function billing_private.shown_subscription is
  'A subscription in Stripe''s shape, as the event that its row shows told it; its id alone where it was read and no event tells it.';

create function billing_private.next_payment_props(p_subscription billing.subscriptions)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'nextPaymentAt', case when p_subscription.pause_collection is null then p_subscription.current_period_end end,
    'price', case
      -- The next phase of a schedule may cost something else.
      when p_subscription.schedule is null
      then billing_private.email_price(billing_private.shown_subscription(p_subscription.id), p_subscription.current_period_end)
    end
  )
  -- Filled in where it is null, see fill_email_props. An invoice that is sent is charged to nothing.
  || case when p_subscription.collection_method = 'send_invoice' then '{}' else '{"paymentMethod": null}' end::jsonb;
end;
$$;

comment on function billing_private.next_payment_props is
  'What emails say of the next payment of a subscription that goes on: when, how much per interval where that can be told, and from what.';

create function billing_private.subscription_before(p_event billing.stripe_events, p_known billing.subscriptions)
returns billing.subscriptions
language plpgsql
stable
set search_path = ''
as $$
declare
  previous constant jsonb := coalesce(nullif(p_event.payload #> '{data,previous_attributes}', 'null'), '{}');
  was constant jsonb := (p_event.payload #> '{data,object}') || previous;
  before billing.subscriptions := p_known;
begin
  before.ended_at := null;
  before.cancel_at := billing_private.unix_time(was -> 'cancel_at');
  before.cancel_at_period_end := coalesce((was ->> 'cancel_at_period_end')::boolean, false);
  before.canceled_at := billing_private.unix_time(was -> 'canceled_at');
  before.schedule := billing_private.stripe_id(was -> 'schedule');
  before.current_period_end := (billing_private.subscription_period(was)).period_end;
  -- Of nested objects Stripe names only the keys that changed.
  before.cancellation_details := coalesce(nullif(p_event.payload #> '{data,object,cancellation_details}', 'null'), '{}')
    || coalesce(nullif(previous -> 'cancellation_details', 'null'), '{}');
  return before;
end;
$$;

comment on function billing_private.subscription_before is
  'A subscription as it was set to end before an update, by the update''s previous_attributes; what has nothing to do with its end is as it is known.';

create function billing_private.runs_without_end(p_subscription billing.subscriptions)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(
    p_subscription.status in ('active', 'trialing') and billing_private.scheduled_end(p_subscription) is null, false
  );
end;
$$;

comment on function billing_private.runs_without_end is 'Whether a subscription runs, is paid for, and is set to end on no day.';

create function billing_private.undone_cancellation(
  p_event billing.stripe_events, p_known billing.subscriptions, out fact text, out was_to_end_at timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  before constant billing.subscriptions := billing_private.subscription_before(p_event, p_known);
begin
  -- By the event alone: what is known may be an event of the same second, until it is read.
  if p_event.payload #> '{data,previous_attributes}' ?| array['cancel_at_period_end', 'cancel_at', 'canceled_at']
    and coalesce(o -> 'cancel_at', 'null') = 'null'
    and o -> 'cancel_at_period_end' is distinct from 'true'
    and billing_private.was_canceled(before)
  then
    was_to_end_at := billing_private.scheduled_end(before);
    fact := format('undone:%s:%s', p_event.object_id, extract(epoch from coalesce(before.canceled_at, was_to_end_at))::bigint);
  end if;
end;
$$;

comment on function billing_private.undone_cancellation is
  'The cancellation for a later day that an update took back, by Stripe''s canceled_at, which tells cancellations apart, and the day it was for; nulls where it took none back. The end of a fixed term that is lifted was no cancellation.';

create function billing_private.enqueue_change_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  known billing.subscriptions;
  before jsonb;
  undone record;
begin
  if p_event.payload #> '{data,previous_attributes}' is null
    or (billing_private.is_email_off('plan-changed') and billing_private.is_email_off('cancellation-undone'))
  then
    return;
  end if;
  select * into known from billing.subscriptions as s where s.id = p_event.object_id;
  undone := billing_private.undone_cancellation(p_event, known);
  before := case when not billing_private.is_email_off('plan-changed') then billing_private.plan_before(p_event) end;
  if before is not null
    -- One event, one mail: who cancels in the same moment is told of that.
    and not (
      p_event.payload #> '{data,previous_attributes}' ?| array['cancel_at_period_end', 'cancel_at', 'canceled_at']
      and billing_private.is_canceled_for_later(known)
    )
  then
    perform billing_private.enqueue_email_to(
      p_event.customer_id, p_event.created, 'plan-changed',
      format('plan-changed:%s:%s', p_event.object_id, p_event.id),
      jsonb_build_object(
        'subscription', p_event.object_id, 'before', before, 'after', billing_private.email_plan(o, p_event.created),
        'was_to_end_at', undone.was_to_end_at
      ),
      '{}', p_event.received_at,
      -- By then its invoice has arrived, and whoever tries several plans has chosen one.
      interval '2 minutes'
    );
  elsif undone.was_to_end_at is not null then
    perform billing_private.enqueue_email_to(
      p_event.customer_id, p_event.created, 'cancellation-undone', undone.fact,
      jsonb_build_object('subscription', p_event.object_id, 'was_to_end_at', undone.was_to_end_at), '{}', p_event.received_at,
      interval '1 minute'
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_change_email is
  'Handler: customer.subscription.updated, where the plan was changed, or a cancellation for a later day was taken back; one mail for both in one event. Which changes a mail tells is decided when it is written, see plan_changes.';

create function billing_private.undone_cancellation_props(p_payload jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  known billing.subscriptions;
begin
  select * into known from billing.subscriptions as s where s.id = p_payload ->> 'subscription';
  if not billing_private.runs_without_end(known) then
    return null;
  end if;
  return jsonb_build_object('customerName', null, 'productName', null, 'wasToEndAt', p_payload -> 'was_to_end_at')
    || billing_private.next_payment_props(known);
end;
$$;

comment on function billing_private.undone_cancellation_props is
  'What the email about a cancellation that was undone says; null where the subscription was canceled again, or has ended.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.subscription.updated', 'billing_private.enqueue_change_email', 41, 'email: plan changed, cancellation undone');
