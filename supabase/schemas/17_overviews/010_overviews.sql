-- Overviews: the first questions somebody has who opens Studio: who are my customers, and how are their subscriptions?
-- Reads: customers, subscriptions, invoices, payments, payment methods, dunning cases. Read by: people.

create view billing_private.open_invoices
with (security_invoker = true)
as
select
  i.id,
  i.customer,
  i.subscription,
  i.amount_remaining,
  -- A failure that no event told of, its case knows.
  coalesce(i.first_payment_failed_at, i.due_date, k.overdue_since) as overdue_since
from billing.invoices as i
left join billing.dunning_case_invoices as k on k.invoice = i.id
where i.status = 'open' and i.deleted_at is null;

comment on view billing_private.open_invoices is
  'What is open, and since when it is or will be overdue (UTC; null: never, as things stand).';
comment on column billing_private.open_invoices.overdue_since is 'First failure or due date (UTC), also one that is still to come.';
comment on column billing_private.open_invoices.amount_remaining is 'Minor units of the invoice''s currency.';

grant select on billing_private.open_invoices to service_role;

create view billing.subscription_overview
with (security_invoker = true)
as
select
  s.id,
  s.customer,
  c.owner_id,
  c.email,
  c.name,
  s.status,
  b.products,
  b.quantity,
  s.currency,
  b.monthly_amount,
  s.current_period_end,
  s.trial_end,
  coalesce(s.ended_at, s.cancel_at, case when s.cancel_at_period_end then s.current_period_end end) as ends_at,
  s.pause_collection is not null as is_collection_paused,
  coalesce(o.open_amount, 0) as open_amount,
  coalesce(o.overdue_amount, 0) as overdue_amount,
  o.overdue_since,
  d.opened_at as dunning_since,
  d.holds as dunning_holds,
  s.collection_method,
  s.created
from billing.subscriptions as s
left join billing.customers as c on c.id = s.customer
left join lateral (
  select
    string_agg(coalesce(y.name, i.product, i.price), ', ' order by i.created, i.id) as products,
    sum(i.quantity)::bigint as quantity,
    -- One item that cannot be told makes the sum untold.
    case when count(*) = count(a.monthly) then round(sum(a.monthly))::bigint end as monthly_amount
  from billing.subscription_items as i
  left join billing.prices as p on p.id = i.price
  left join billing.products as y on y.id = i.product
  cross join lateral (
    select
      billing.price_amount(p, i.quantity, s.currency)
      / greatest(coalesce((p.recurring ->> 'interval_count')::numeric, 1), 1)
      * case p.recurring ->> 'interval' when 'day' then 365.0 / 12 when 'week' then 52.0 / 12 when 'month' then 1 when 'year' then 1.0 / 12 end
      as monthly
  ) as a
  where i.subscription = s.id
) as b on true
-- Of all at once: few invoices are open at a time.
left join (
  select
    v.subscription,
    sum(v.amount_remaining)::bigint as open_amount,
    sum(v.amount_remaining) filter (where v.overdue_since <= now())::bigint as overdue_amount,
    min(v.overdue_since) filter (where v.overdue_since <= now()) as overdue_since
  from billing_private.open_invoices as v
  group by v.subscription
) as o on o.subscription = s.id
left join billing.dunning_cases as d on d.subject_id = s.id and d.status = 'open';

comment on view billing.subscription_overview is
  'One row per subscription: whose it is, what it brings, when it ends, what is open of it. Amounts in the minor unit of currency. For people; the application reads the tables.';
comment on column billing.subscription_overview.owner_id is 'The application user the customer is.';
comment on column billing.subscription_overview.products is 'Names of what it bills.';
comment on column billing.subscription_overview.quantity is 'Units over all items.';
comment on column billing.subscription_overview.monthly_amount is
  'What its prices come to in a month, whatever its interval and status; packages and tiers counted as Stripe does; before discounts and tax. Null where one of them cannot be told: metered, tiers or another currency''s amounts that are not known (read the price from Stripe), a price not heard of.';
comment on column billing.subscription_overview.ends_at is 'When it ended, or will end as things stand (UTC); null: it goes on.';
comment on column billing.subscription_overview.is_collection_paused is 'Whether collection is paused (pause_collection); the status stays as it is then.';
comment on column billing.subscription_overview.open_amount is 'What its open invoices still ask for.';
comment on column billing.subscription_overview.overdue_amount is 'Of that, what has failed or is past its due date.';
comment on column billing.subscription_overview.overdue_since is 'First failure or due date of what is overdue (UTC).';
comment on column billing.subscription_overview.dunning_since is 'When the open dunning case was opened (UTC); null: there is none.';
comment on column billing.subscription_overview.dunning_holds is 'What keeps that case from its next step, see billing.dunning_cases.holds.';

create view billing.customer_overview
with (security_invoker = true)
as
select
  c.id,
  c.owner_id,
  c.email,
  c.name,
  case
    when c.deleted_at is not null then 'deleted'
    when s.subscriptions is null then case when p.id is not null then 'one_time' else 'no_purchase' end
    else s.status
  end as status,
  s.subscriptions,
  coalesce(c.currency, s.currency, p.currency) as currency,
  s.monthly_amount,
  coalesce(o.open_amount, 0) as open_amount,
  coalesce(o.overdue_amount, 0) as overdue_amount,
  o.overdue_since,
  s.dunning_since,
  p.last_payment_at,
  p.last_payment_amount,
  m.card,
  c.created
from billing.customers as c
left join lateral (
  select
    -- The one to look at first.
    (array_agg(v.status order by array_position(
      array['past_due', 'unpaid', 'incomplete', 'trialing', 'active', 'paused', 'canceled', 'incomplete_expired'], v.status
    ), v.created desc))[1] as status,
    count(*)::integer as subscriptions,
    max(v.currency) as currency,
    -- One that cannot be told, or of another currency, makes the sum untold.
    case
      when count(*) filter (where v.status in ('active', 'past_due') and v.products is not null)
        = count(v.monthly_amount) filter (where v.status in ('active', 'past_due'))
        and count(distinct v.currency) filter (where v.status in ('active', 'past_due') and v.monthly_amount <> 0) <= 1
      then sum(v.monthly_amount) filter (where v.status in ('active', 'past_due'))::bigint
    end as monthly_amount,
    min(v.dunning_since) as dunning_since
  from billing.subscription_overview as v
  where v.customer = c.id
  having count(*) > 0
) as s on true
left join (
  select
    v.customer,
    sum(v.amount_remaining)::bigint as open_amount,
    sum(v.amount_remaining) filter (where v.overdue_since <= now())::bigint as overdue_amount,
    min(v.overdue_since) filter (where v.overdue_since <= now()) as overdue_since
  from billing_private.open_invoices as v
  group by v.customer
) as o on o.customer = c.id
left join lateral (
  select y.id, y.currency, y.created as last_payment_at, y.amount_received as last_payment_amount
  from billing.payments as y
  where y.customer = c.id and y.status = 'succeeded'
  order by y.created desc
  limit 1
) as p on true
left join lateral (
  select format('%s •••• %s, %s/%s', k.card_brand, k.card_last4, lpad(k.card_exp_month::text, 2, '0'), k.card_exp_year) as card
  from billing.payment_methods as k
  where k.customer = c.id and k.card_last4 is not null and k.detached_at is null
  order by k.id = c.default_payment_method desc, k.created desc
  limit 1
) as m on true;

comment on view billing.customer_overview is
  'One row per customer: how things stand at a glance. Amounts in the minor unit of currency. For people; the application reads the tables.';
comment on column billing.customer_overview.owner_id is 'The application user this customer is.';
comment on column billing.customer_overview.status is
  'Of the subscription to look at first: past_due, unpaid, incomplete, trialing, active, paused, canceled, …; without one: one_time (bought something), no_purchase; deleted at Stripe.';
comment on column billing.customer_overview.subscriptions is 'How many there are and were.';
comment on column billing.customer_overview.monthly_amount is 'What the active and overdue ones come to in a month, before discounts and tax. Null where one of them cannot be told, or they are of several currencies.';
comment on column billing.customer_overview.open_amount is 'What open invoices still ask for.';
comment on column billing.customer_overview.overdue_amount is 'Of that, what has failed or is past its due date.';
comment on column billing.customer_overview.overdue_since is 'First failure or due date of what is overdue (UTC).';
comment on column billing.customer_overview.dunning_since is 'When the oldest open dunning case was opened (UTC).';
comment on column billing.customer_overview.last_payment_at is 'When the latest payment that succeeded was made (UTC).';
comment on column billing.customer_overview.last_payment_amount is 'What it brought.';
comment on column billing.customer_overview.card is 'The card on file: the default one, else the newest.';

grant select on billing.subscription_overview, billing.customer_overview to service_role;
