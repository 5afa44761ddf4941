-- Health of dunning, and of money that people owe or have paid and should not have.
-- Reads: dunning runs and cases, outbox (alerts), subscriptions, invoices, payments. Called by: health.

create function billing_private.health_of_dunning_run(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  missing constant timestamptz := billing_private.missing_dunning_run(p_now);
  last record;
begin
  select r.started_at, r.problem into last from billing.dunning_runs as r where r.started_at <= p_now order by r.started_at desc limit 1;
  return next billing_private.health_row(
    'dunning-run', billing_private.light(billing_private.is_dunning_run_overdue(missing, p_now), missing is not null or last.problem is not null),
    null, null, 'every day',
    case
      when missing is not null then format('the daily run of %s UTC has not finished', to_char(missing at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
      when last.problem is not null then 'the last run finished, and not all that was due was done'
      when last.started_at is null then 'no run was due yet'
      else format('the last run began %s ago', billing_private.in_words(p_now - last.started_at))
    end,
    coalesce(missing, last.started_at),
    case
      when missing is not null then 'the tick starts it again by itself; see call-dunning, and the log of duebase-dunning; npx duebase dunning status shows what waits'
      else 'select started_at, counts, problem from billing.dunning_runs order by started_at desc; the next run does what was left'
    end
  );
end;
$$;

comment on function billing_private.health_of_dunning_run is
  'Health row: the daily run: amber a quarter of an hour after its time, red after two hours. In the first day of an installation none is missed.';

create view billing_private.alerts_raised
with (security_invoker = true)
as
select o.payload ->> 'cause' as cause, o.created_at as alerted_at, o.payload
from billing.outbox as o
where o.kind = 'alert';

comment on view billing_private.alerts_raised is 'What the operator was alerted of, delivered or not, for as long as the outbox keeps it.';
comment on column billing_private.alerts_raised.cause is 'As duebase-deliver explains it.';
comment on column billing_private.alerts_raised.alerted_at is 'When it was enqueued (UTC).';

create function billing_private.health_of_open_alerts()
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  most constant integer := 1000;
  late record;
  twice record;
  gone record;
begin
  -- Mended: the subscription has not ended after all; a new one was started for the customer since, as one that has ended never
  -- runs again at Stripe; or all of the money went back.
  select count(distinct a.payload ->> 'invoice') as invoices, min(a.alerted_at) as since, min(a.payload ->> 'invoice') as first into late
  from (select * from billing_private.alerts_raised as r where r.cause = 'paid_after_end' order by r.alerted_at limit most) as a
  where exists (select from billing.subscriptions as s where s.id = a.payload ->> 'subscription' and s.status in ('canceled', 'incomplete_expired'))
    and not exists (
      select
      from billing.subscriptions as s
      where s.customer = a.payload ->> 'customer'
        and s.created > (a.payload ->> 'paid_at')::timestamptz
        -- Whatever became of it later: it was served.
        and s.status not in ('incomplete', 'incomplete_expired')
    )
    and coalesce((
      select sum(p.amount_received - p.amount_refunded) from billing.payments as p where p.invoice_id = a.payload ->> 'invoice'
    ), 1) > 0;
  return next billing_private.health_row(
    'paid-after-end', billing_private.light(late.invoices > 0),
    late.invoices, 'count', 'none',
    case
      when late.invoices = 0 then 'nobody paid for a subscription that had ended'
      else format('%s paid after the end of the subscription, and neither given back nor followed by a new one: %s', billing_private.counted(late.invoices, 'invoice was', 'invoices were'), late.first)
    end,
    late.since,
    'refund the payment in Stripe, or start a new subscription for the customer there: select created_at, payload from billing.outbox where kind = ''alert'' and payload ->> ''cause'' = ''paid_after_end'''
  );

  select count(distinct a.payload -> 'subscriptions') as sets, min(a.alerted_at) as since, min(a.payload ->> 'customer') as first into twice
  from (select * from billing_private.alerts_raised as r where r.cause = 'two_subscriptions' order by r.alerted_at limit most) as a
  where exists (
    select from billing_private.duplicate_subscriptions(a.payload ->> 'customer') as d where d.product = a.payload ->> 'product'
  );
  return next billing_private.health_row(
    'two-subscriptions', billing_private.light(twice.sets > 0),
    twice.sets, 'count', 'none',
    case
      when twice.sets = 0 then 'no owner runs two subscriptions to one product'
      else format('%s two subscriptions to one product, the first of them customer %s', billing_private.counted(twice.sets, 'owner runs', 'owners run'), twice.first)
    end,
    twice.since,
    'cancel the newer one in Stripe and refund its invoice; where both are meant, set metadata duebase_another on the second: select created_at, payload from billing.outbox where kind = ''alert'' and payload ->> ''cause'' = ''two_subscriptions'''
  );

  select count(distinct s.id) as subscriptions, min(a.alerted_at) as since, min(s.id) as first into gone
  from (select * from billing_private.alerts_raised as r where r.cause = 'owner_deleted_with_subscription' order by r.alerted_at limit most) as a
  join billing.subscriptions as s on s.id = a.payload ->> 'subscription'
  join billing.customers as c on c.id = s.customer and c.owner_id is null and c.deleted_at is null
  where s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused') and not billing_private.ends_with_period(s);
  return next billing_private.health_row(
    'deleted-owners', billing_private.light(gone.subscriptions > 0),
    gone.subscriptions, 'count', 'none',
    case
      when gone.subscriptions = 0 then 'no deleted owner has a running subscription'
      else format('%s of an owner who was deleted, and nothing else stops the charges: %s', billing_private.counted(gone.subscriptions, 'running subscription is', 'running subscriptions are'), gone.first)
    end,
    gone.since,
    'cancel it in Stripe; or say that the team is back: select billing.owner_restored(owner_id); or whose the customer is now: billing.link_customers'
  );
end;
$$;

comment on function billing_private.health_of_open_alerts is
  'Health rows: what the operator was alerted of as it happened, for as long as effects are kept, and is still so: paid after the end, two running subscriptions of one owner to one product, a deleted owner with a running subscription.';

create function billing_private.health_of_cases(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  months constant jsonb := (
    select jsonb_agg(jsonb_build_object('month', to_char(m.month at time zone 'UTC', 'YYYY-MM'), 'ended', m.cases_ended, 'paid', m.cases_ended_by_payment) order by m.month desc)
    from (
      select x.month, x.cases_ended, x.cases_ended_by_payment
      from billing.monthly_metrics as x
      where x.month >= date_trunc('month', p_now - interval '62 days', 'UTC') and x.cases_ended > 0
    ) as m
  );
begin
  return next billing_private.health_row(
    'dunning-recovery', 'green',
    (select round(100.0 * (months #>> '{0,paid}')::numeric / (months #>> '{0,ended}')::numeric, 1)), 'percent', 'shown, by month',
    case
      when months is null then 'no dunning case ended within three months'
      else (
        select string_agg(format('%s: %s of %s that ended were paid', left(m.value ->> 'month', 7), m.value ->> 'paid', billing_private.counted((m.value ->> 'ended')::bigint, 'case')), '; ' order by m.value ->> 'month' desc)
        from jsonb_array_elements(months) as m
      )
    end
  );
end;
$$;

comment on function billing_private.health_of_cases is 'Health row: dunning cases that ended by payment, of all that ended, of three months.';
