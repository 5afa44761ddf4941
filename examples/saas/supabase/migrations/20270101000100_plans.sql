-- What is for sale, and what a team has. Products and prices are the operator's in schema billing: what of them customers
-- see is the application's choice, and made here.

create function public.plans()
returns table (
  product text,
  name text,
  description text,
  features text[],
  price text,
  currency text,
  unit_amount bigint,
  "interval" text,
  interval_count integer,
  is_per_seat boolean,
  trial_days integer,
  has_one_trial boolean
)
language sql stable security definer set search_path = '' as $$
  select
    d.id, d.name, d.description,
    array(select btrim(f.name) from unnest(string_to_array(d.metadata ->> 'features', ',')) as f (name)),
    p.id, p.currency, p.unit_amount,
    p.recurring ->> 'interval', coalesce((p.recurring ->> 'interval_count')::integer, 1),
    coalesce(p.metadata ->> 'seats', '') = 'true',
    -- As duebase-checkout takes them: whatever is no number of days, or more than Stripe takes, is no trial.
    case when offered.days between 1 and 730 then offered.days else 0 end,
    s.one_trial_per_product
  from billing.settings as s
  join billing.prices as p on p.active and p.type = 'recurring' and p.unit_amount is not null
  join billing.products as d on d.id = p.product and d.active
  cross join lateral (
    select substring(
      coalesce(nullif(btrim(p.metadata ->> 'trial_period_days'), ''), p.recurring ->> 'trial_period_days') from '^\d{1,3}$'
    )::integer as days
  ) as offered
  where p.livemode = s.livemode and (s.checkout_prices is null or p.id = any (s.checkout_prices))
  order by p.unit_amount, p.id;
$$;
comment on function public.plans is 'The prices that the pricing page shows, to whoever comes. trial_days: 0 where there is none; has_one_trial: who has had the product once gets none again.';
grant execute on function public.plans() to anon, authenticated;

create function public.team_plans(team uuid)
returns table (
  subscription text,
  product text,
  name text,
  price text,
  currency text,
  unit_amount bigint,
  "interval" text,
  interval_count integer,
  quantity bigint
)
language sql stable security definer set search_path = '' as $$
  select i.subscription, d.id, d.name, p.id, p.currency, p.unit_amount,
    p.recurring ->> 'interval', coalesce((p.recurring ->> 'interval_count')::integer, 1), i.quantity
  from billing.customers as c
  join billing.subscription_items as i on i.customer = c.id
  left join billing.prices as p on p.id = i.price
  left join billing.products as d on d.id = i.product
  where c.owner_id = team
    and exists (select from public.members as m where m.team_id = team and m.user_id = (select auth.uid()))
  order by i.created, i.id;
$$;
comment on function public.team_plans is 'What each subscription of a team is for, with the names and prices that products and prices have, those that are not sold any more too.';
revoke execute on function public.team_plans(uuid) from public, anon;
grant execute on function public.team_plans(uuid) to authenticated;
