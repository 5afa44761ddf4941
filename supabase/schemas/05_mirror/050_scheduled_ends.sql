-- Scheduled ends: when a subscription is set to end, and whether that is because somebody canceled it.
-- Reads: subscriptions. Writes: nothing. Called by: dunning, emails, owners, health.

create function billing_private.scheduled_end(p_subscription billing.subscriptions)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_subscription.ended_at is not null then null
    -- Classic billing sets both. Before 2019 Stripe had no cancel_at.
    else coalesce(p_subscription.cancel_at, case when p_subscription.cancel_at_period_end then p_subscription.current_period_end end)
  end;
end;
$$;

comment on function billing_private.scheduled_end is
  'When a subscription is set to end (UTC): canceled for that day, or a fixed term. Null: it goes on, or has ended.';

create function billing_private.was_canceled(p_subscription billing.subscriptions)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(
    p_subscription.cancel_at_period_end
    or (
      p_subscription.cancel_at is not null
      and (
        -- Only who cancels is asked what for.
        p_subscription.cancellation_details ->> 'feedback' is not null
        or (
          -- A schedule sets cancel_at for the end of its phase, and canceled_at with it; while it governs the subscription
          -- nothing else may. A term that came with the subscription was set in the moment it was made.
          p_subscription.schedule is null
          and p_subscription.canceled_at > greatest(p_subscription.created, p_subscription.start_date) + interval '1 minute'
        )
      )
    ),
    false
  );
end;
$$;

comment on function billing_private.was_canceled is
  'Whether somebody canceled a subscription for a day: for the end of its period (cancel_at_period_end; under flexible billing cancel_at alone) or for another. False for a fixed term, set when it was made or by a schedule. Stripe''s canceled_at is the time of the request.';

create function billing_private.is_canceled_for_later(p_subscription billing.subscriptions)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return p_subscription.ended_at is null and billing_private.was_canceled(p_subscription);
end;
$$;

comment on function billing_private.is_canceled_for_later is
  'Whether somebody canceled a subscription for a day that has not come (see was_canceled).';

create function billing_private.ends_with_period(p_subscription billing.subscriptions)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(p_subscription.cancel_at_period_end, false)
    or coalesce(p_subscription.cancel_at <= p_subscription.current_period_end, false);
end;
$$;

comment on function billing_private.ends_with_period is
  'Whether a subscription is set to end no later than its period, so that Stripe renews and charges nothing more: by cancel_at_period_end, or under flexible billing by cancel_at alone. False for a later day: until then it is charged.';
