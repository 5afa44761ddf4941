-- Who gets what about subscriptions: cancellations, pauses. For trials that end, see trial_reminders.
-- Reads: the event, what is projected. Writes: outbox, audit_events. Called by: projection.

create function billing_private.trial_ended_without_card(p_subscription jsonb, p_outcome text)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(
    p_subscription #>> '{trial_settings,end_behavior,missing_payment_method}' = p_outcome
      and coalesce(p_subscription -> 'default_payment_method', 'null') = 'null'
      and (p_outcome = 'pause' or (p_subscription ->> 'ended_at')::bigint - (p_subscription ->> 'trial_end')::bigint between 0 and 86400),
    false
  );
end;
$$;

comment on function billing_private.trial_ended_without_card is
  'Whether a trial ran out with nothing to charge, so that Stripe paused (pause) or canceled (cancel) the subscription.';

create function billing_private.was_canceled_by_dunning(p_subscription jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_subscription #> '{metadata,duebase_dunning_case}' is not null and exists (
    select
    from billing.dunning_cases as c
    where c.subscription = p_subscription ->> 'id'
      and c.id::text = p_subscription #>> '{metadata,duebase_dunning_case}'
      and billing_private.ended_by_dunning(c)
  );
end;
$$;

comment on function billing_private.was_canceled_by_dunning is
  'Whether a subscription was canceled for non-payment by a dunning case, as the mark in its metadata and the case say.';

create function billing_private.cancellation_fact(p_subscription text, p_canceled_at timestamptz, p_ends_at timestamptz)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select format('canceled:%s:%s', p_subscription, extract(epoch from coalesce(p_canceled_at, p_ends_at))::bigint)
  );
end;
$$;

comment on function billing_private.cancellation_fact is
  'Dedupe key of the mail about one cancellation: Stripe''s canceled_at is the time of the request and stays as it is when the end comes, so that what was announced is not told again, and what was undone and canceled anew is.';

create function billing_private.cancellation_reason(p_subscription billing.subscriptions)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_subscription.ended_at is null then 'at_period_end'
    when p_subscription.cancellation_details ->> 'reason' in ('payment_failed', 'payment_disputed')
    then p_subscription.cancellation_details ->> 'reason'
    when p_subscription.ended_at >= p_subscription.cancel_at - interval '1 hour' and not billing_private.was_canceled(p_subscription)
    then 'term_ended'
    else 'requested'
  end;
end;
$$;

comment on function billing_private.cancellation_reason is
  'Why a subscription ends, as emails/contract.ts has it: at_period_end (it still runs), payment_failed (by Stripe''s own retries), payment_disputed, term_ended (a fixed term was over), requested.';

create function billing_private.end_unless_paid(p_subscription billing.subscriptions, p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('action', f.end_action, 'at', f.ends_at)
    from billing_private.dunning_facts(array[p_subscription.customer], p_now) as f
    where f.subscription = p_subscription.id
      and f.ends_at is not null
      and billing_private.end_removes_access(f.end_action, f.subscription)
      -- What is held does not end.
      and billing_private.dunning_obstacles(f, p_now) = '{}'
  );
end;
$$;

comment on function billing_private.end_unless_paid is
  'What dunning does to a subscription if nobody pays, and when: {action, at}, as billing.my_billing_status tells it. Null where nothing, also where the subscription ends by itself before.';

create function billing_private.enqueue_cancellation_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  has_ended constant boolean := p_event.type = 'customer.subscription.deleted';
  -- A test clock may be ahead of ours.
  moment constant timestamptz := greatest(p_event.received_at, p_event.created);
  known billing.subscriptions;
  ends_at timestamptz;
  fact text;
  names constant jsonb := jsonb_build_object('customerName', null, 'productName', null);
begin
  if has_ended and o ->> 'status' = 'incomplete_expired' then
    return;
  elsif has_ended and billing_private.was_canceled_by_dunning(o) then
    return; -- told by what ended it, or by nobody where the customer paid in that moment
  elsif not has_ended
    and not coalesce(p_event.payload #> '{data,previous_attributes}' ?| array['cancel_at_period_end', 'cancel_at', 'canceled_at'], false)
  then
    return;
  end if;
  select * into known from billing.subscriptions as s where s.id = p_event.object_id;
  -- The event is stale: it may have been undone since, or the subscription may have ended.
  if not found or (has_ended and known.ended_at is null) or (not has_ended and not billing_private.is_canceled_for_later(known)) then
    return;
  end if;
  ends_at := coalesce(known.ended_at, billing_private.scheduled_end(known), p_event.created);
  fact := billing_private.cancellation_fact(known.id, known.canceled_at, ends_at);
  if has_ended and billing_private.trial_ended_without_card(o, 'cancel') then
    perform billing_private.enqueue_email(
      p_event, 'trial-ended-without-card', fact, jsonb_build_object('subscription', p_event.object_id),
      names || jsonb_build_object(
        'trialEnd', billing_private.unix_time(o -> 'trial_end'), 'outcome', 'canceled', 'price', billing_private.email_price(o, p_event.created)
      )
    );
    return;
  end if;
  perform billing_private.enqueue_email(
    p_event, 'subscription-canceled', fact, jsonb_build_object('subscription', p_event.object_id),
    names || jsonb_build_object(
      'reason', billing_private.cancellation_reason(known),
      'endsAt', ends_at,
      'openInvoice', (
        select jsonb_build_object('amountDue', i.amount_remaining, 'currency', i.currency, 'hostedInvoiceUrl', i.hosted_invoice_url)
        from billing.invoices as i
        where i.subscription = p_event.object_id
          and i.status = 'open'
          and i.amount_remaining > 0
          and (
            has_ended
            or exists (select from billing_private.overdue_invoices as v where v.invoice = i.id and v.overdue_since <= moment)
          )
        order by i.created desc
        limit 1
      ),
      'unlessPaid', case when not has_ended then billing_private.end_unless_paid(known, moment) end
    )
  );
end;
$$;

comment on function billing_private.enqueue_cancellation_email is
  'Handler: customer.subscription.deleted, and updated where somebody has newly canceled it for a later day. One mail for one cancellation: announced, it is not told again when the end comes. A fixed term is told when it is over.';

create function billing_private.was_paused_by_dunning(p_subscription jsonb, p_paused_at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_subscription #> '{metadata,duebase_dunning_case}' is not null and exists (
    select
    from billing.dunning_cases as c
    where c.subscription = p_subscription ->> 'id'
      and c.id::text = p_subscription #>> '{metadata,duebase_dunning_case}'
      and billing_private.was_paused_by_end_of_case(c, p_paused_at)
  );
end;
$$;

comment on function billing_private.was_paused_by_dunning is
  'Whether a pause that began at p_paused_at is the end of a dunning case, as the mark in the subscription''s metadata and the case say.';

create function billing_private.pause_reason(p_subscription jsonb, p_event_at timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  cause constant text := billing_private.pause_cause(p_subscription -> 'status_details');
  trial_end constant timestamptz := billing_private.unix_time(p_subscription -> 'trial_end');
begin
  return case
    when cause = 'trial_end_without_payment_method' then 'trial_ended'
    when cause = 'pause_requested' then 'requested'
    when cause in ('first_payment_failure', 'final_payment_failure') then 'nonpayment'
    -- Where the version of a payload has no cause: a trial is over in the moment of the pause, or was no reason for it.
    when cause is null
      and billing_private.trial_ended_without_card(p_subscription, 'pause')
      and trial_end between p_event_at - interval '1 day' and p_event_at + interval '1 hour'
    then 'trial_ended'
    else 'other'
  end;
end;
$$;

comment on function billing_private.pause_reason is
  'Why a subscription is paused, as far as that is known: trial_ended, requested, nonpayment; other, for causes Stripe adds and for payloads of versions that name none.';

create function billing_private.pause_fact(p_subscription text, p_since timestamptz)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return format('paused:%s:%s', p_subscription, extract(epoch from p_since)::bigint);
end;
$$;

comment on function billing_private.pause_fact is 'Dedupe key of the mail about one pause, which began at p_since.';

create function billing_private.enqueue_pause_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  since constant timestamptz := coalesce(billing_private.paused_at(o -> 'status_details'), p_event.created);
  reason constant text := billing_private.pause_reason(o, p_event.created);
  fact constant text := billing_private.pause_fact(p_event.object_id, since);
  about constant jsonb := jsonb_build_object('subscription', p_event.object_id);
  names constant jsonb := jsonb_build_object('customerName', null, 'productName', null);
begin
  if not exists (select from billing.subscriptions as s where s.id = p_event.object_id and s.status = 'paused') then
    return;
  elsif billing_private.was_paused_by_dunning(o, since) then
    return; -- told by what paused it, or by nobody where the customer paid in that moment
  elsif reason = 'nonpayment' and billing_private.is_paid_since(p_event.object_id, since) then
    return; -- there is no open payment to speak of any more
  elsif reason = 'trial_ended' then
    perform billing_private.enqueue_email(
      p_event, 'trial-ended-without-card', fact, about,
      names || jsonb_build_object(
        'trialEnd', coalesce(billing_private.unix_time(o -> 'trial_end'), p_event.created), 'outcome', 'paused',
        'price', billing_private.email_price(o, p_event.created)
      )
    );
  else
    perform billing_private.enqueue_email(
      p_event, 'subscription-paused', fact, about,
      names || jsonb_build_object('reason', reason, 'pausedAt', since) || case when reason = 'nonpayment' then jsonb_build_object('unpaid', null) else '{}' end
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_pause_email is 'Handler: customer.subscription.paused. One mail for one pause, and none that names a cause it did not have.';

create function billing_private.resumption_facts(p_subscription text, p_at timestamptz)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Whoever tells of it may do so after midnight.
  return array(
    select format('resumed-on:%s:%s', p_subscription, to_char(p_at at time zone 'UTC' - d.days * interval '1 day', 'YYYY-MM-DD'))
    from generate_series(0, 1) as d (days)
  );
end;
$$;

comment on function billing_private.resumption_facts is
  'What an email tells that was enqueued at p_at as a subscription goes on: that it went on that day (UTC), or the day before.';

create function billing_private.enqueue_resumption_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if not exists (select from billing.subscriptions as s where s.id = p_event.object_id and s.status in ('active', 'trialing')) then
    return;
  elsif billing_private.has_resumption_email(p_event.object_id, p_event.created) then
    return;
  end if;
  perform billing_private.enqueue_email(
    p_event, 'subscription-resumed', format('resumed:%s:%s', p_event.object_id, extract(epoch from p_event.created)::bigint),
    jsonb_build_object(
      'subscription', p_event.object_id, 'tells', jsonb_build_array((billing_private.resumption_facts(p_event.object_id, p_event.created))[1])
    ),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'resumedAt', p_event.created,
      'nextPaymentAt', (billing_private.subscription_period(o)).period_end,
      'price', billing_private.email_price(o, p_event.created)
    )
  );
end;
$$;

comment on function billing_private.enqueue_resumption_email is 'Handler: customer.subscription.resumed. Nothing where the mail about the payment that resumed it says so.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.subscription.updated', 'billing_private.enqueue_cancellation_email', 40, 'email: subscription canceled for a later day'),
  ('customer.subscription.deleted', 'billing_private.enqueue_cancellation_email', 40, 'email: subscription canceled'),
  ('customer.subscription.paused', 'billing_private.enqueue_pause_email', 40, 'email: subscription paused'),
  ('customer.subscription.resumed', 'billing_private.enqueue_resumption_email', 40, 'email: subscription resumed');
