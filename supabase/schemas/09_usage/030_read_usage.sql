-- Reading usage: how much of a metric is used and left in the period that an owner is in.
-- Reads: subscriptions, subscription_usage. Writes: nothing.
-- Called by: record_usage; the application, as service_role; current_usage(metric) and my_usage by signed-in users, for their owners.

create type billing.usage_reading as (
  metric text,
  used bigint,
  usage_limit bigint,
  remaining bigint,
  period_start timestamptz,
  period_end timestamptz
);

comment on type billing.usage_reading is
  'What an owner has used of a metric and what is left (null: unlimited), over all subscriptions in force. period_end: when the first of their periods ends; null while Stripe has not told.';

create function billing_private.usage_in_force(p_owner_id uuid, p_metric text, p_now timestamptz)
returns setof billing.subscription_usage
language plpgsql
set search_path = ''
as $$
declare
  period record;
  next_period billing.subscription_usage;
begin
  for period in
    select u as usage, s.cancel_at_period_end or coalesce(s.cancel_at <= p_now, false) as ends
    from billing.subscription_usage as u
    join billing.subscriptions as s on s.id = u.subscription
    where u.owner_id = p_owner_id
      and u.metric = p_metric
      and u.is_open
      -- As for entitlements: dunning may keep a subscription in force, or take it.
      and coalesce(billing_private.dunning_access(s.id), s.status in ('active', 'trialing', 'past_due'))
    order by u.usage_limit is not null, u.period_end, u.id
  loop
    if coalesce((period.usage).period_end > p_now, true) then
      return next period.usage;
    elsif not period.ends then
      -- The period is over and its renewal has not been told: what is used from here on belongs to the next one.
      next_period := null;
      select u.*
      into next_period
      from billing.subscription_usage as u
      where u.subscription = (period.usage).subscription
        and u.metric = p_metric
        and u.period_start = (period.usage).period_end
      order by u.used desc, u.id
      limit 1;
      if not found then
        next_period := period.usage;
        next_period.id := null;
        next_period.period_start := (period.usage).period_end;
        next_period.period_end := null;
        next_period.used := 0;
      end if;
      next_period.usage_limit := (period.usage).usage_limit;
      return next next_period;
    end if;
  end loop;
end;
$$;

comment on function billing_private.usage_in_force is
  'The periods that usage counts to at p_now, unlimited ones first, then the ones that end first. A renewal that is late does not end a subscription: its next period has no id before something is recorded, and no end before Stripe tells it.';

create function billing_private.read_usage(p_owner_id uuid, p_metric text, p_now timestamptz)
returns billing.usage_reading
language plpgsql
set search_path = ''
as $$
declare
  reading billing.usage_reading;
begin
  select
    p_metric,
    coalesce(sum(u.used), 0)::bigint,
    case when not coalesce(bool_or(u.usage_limit is null), false) then coalesce(sum(u.usage_limit), 0)::bigint end,
    case when not coalesce(bool_or(u.usage_limit is null), false) then coalesce(sum(greatest(u.usage_limit - u.used, 0)), 0)::bigint end,
    min(u.period_start),
    min(u.period_end)
  into reading
  from billing_private.usage_in_force(p_owner_id, p_metric, p_now) as u;
  return reading;
end;
$$;

comment on function billing_private.read_usage is 'What is used and left of a metric over all periods in force; all zero where there is none.';

create function billing.current_usage(owner_id uuid, metric text, p_now timestamptz default now())
returns billing.usage_reading
language plpgsql
-- Definer: see record_usage.
security definer
set search_path = ''
as $$
begin
  return billing_private.read_usage(owner_id, metric, p_now);
end;
$$;

comment on function billing.current_usage(uuid, text, timestamptz) is
  'What an owner has used of a metric and what is left, over all subscriptions in force; all zero where no plan has the metric. For service_role.';

create function billing.my_usage(metric text, owner_id uuid default null)
returns billing.usage_reading
language plpgsql
-- Definer: a signed-in user reads no internals. The user is the token's; an owner is one the user belongs to.
security definer
set search_path = ''
as $$
begin
  return billing_private.read_usage(billing_private.chosen_owner(owner_id), metric, now());
end;
$$;

comment on function billing.my_usage is
  'current_usage of an owner the signed-in user belongs to. owner_id may be left out by who belongs to one owner only: of several, one has to be named (DU071).';

-- A second argument here would be taken for current_usage(owner_id, metric) by who passes both by name.
create function billing.current_usage(metric text)
returns billing.usage_reading
language plpgsql
-- Definer: see my_usage.
security definer
set search_path = ''
as $$
begin
  return billing_private.read_usage(billing_private.chosen_owner(null), metric, now());
end;
$$;

comment on function billing.current_usage(text) is
  'current_usage of the only owner the signed-in user belongs to; who belongs to several asks my_usage (DU071).';

grant execute on function billing.current_usage(uuid, text, timestamptz) to service_role;
grant execute on function billing.current_usage(text) to authenticated, service_role;
grant execute on function billing.my_usage(text, uuid) to authenticated;
