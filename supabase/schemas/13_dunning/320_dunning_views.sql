-- Recovery figures: what dunning has recovered, and what is still overdue.
-- Reads: dunning cases, steps and invoices. Read by: operators, `npm run dunning -- report`.

create view billing.dunning_outcomes with (security_invoker = true) as
with mailed as (
  -- The last mail that left before a case came to its end.
  select distinct on (d.case_id) d.case_id, d.kind
  from billing.dunning_actions as d
  where d.kind <> 'end' and d.status = 'sent'
  order by d.case_id, d.finished_at desc, d.position desc
),
since as (
  select k.case_id, min(k.overdue_since) as overdue_since
  from billing.dunning_case_invoices as k
  group by k.case_id
),
cases as (
  select
    c.*,
    t.kind as last_mail,
    c.outcome = 'recovered' as is_recovered,
    c.outcome in ('ended', 'uncollectible', 'subscription_ended', 'customer_deleted') as is_lost,
    case
      when c.outcome = 'recovered' then extract(epoch from c.closed_at - coalesce(s.overdue_since, c.anchor_at)) / 86400
    end as days
  from billing.dunning_cases as c
  left join mailed as t on t.case_id = c.id
  left join since as s on s.case_id = c.id
)
select
  date_trunc('month', c.opened_at at time zone 'UTC')::date as month,
  c.currency,
  count(*) as opened,
  count(*) filter (where c.status = 'open') as still_open,
  count(*) filter (where c.status = 'open' and c.holds <> '{}') as held,
  count(*) filter (where c.is_recovered) as recovered,
  count(*) filter (where c.is_recovered and c.last_mail is null) as recovered_before_notice,
  count(*) filter (where c.is_recovered and c.last_mail = 'notice') as recovered_after_notice,
  count(*) filter (where c.is_recovered and c.last_mail = 'urgent_reminder') as recovered_after_urgent_reminder,
  count(*) filter (where c.is_recovered and c.last_mail = 'final_warning') as recovered_after_final_warning,
  count(*) filter (where c.is_lost) as lost,
  count(*) filter (where c.outcome = 'settled_without_payment') as settled_without_payment,
  count(*) filter (where c.outcome in ('voided', 'not_owed', 'closed_by_hand')) as let_off,
  round(
    count(*) filter (where c.is_recovered)::numeric / nullif(count(*) filter (where c.is_recovered or c.is_lost), 0), 4
  ) as recovery_rate,
  round(percentile_cont(0.5) within group (order by c.days)::numeric, 2) as median_days_to_recover,
  sum(c.amount_due)::bigint as amount_due,
  sum(c.amount_recovered)::bigint as amount_recovered,
  coalesce(sum(greatest(c.amount_due - c.amount_recovered, 0)) filter (where c.is_lost), 0)::bigint as amount_lost,
  coalesce(
    sum(greatest(c.amount_due - c.amount_recovered, 0))
      filter (where c.outcome in ('settled_without_payment', 'voided', 'not_owed', 'closed_by_hand')),
    0
  )::bigint as amount_forgiven,
  coalesce(sum(greatest(c.amount_due - c.amount_recovered, 0)) filter (where c.status = 'open'), 0)::bigint as amount_open
from cases as c
group by 1, 2;

comment on view billing.dunning_outcomes is
  'How much was saved: one row per month in which cases were opened (UTC) and currency. Amounts in minor units of currency.';
comment on column billing.dunning_outcomes.month is 'First day of the month in which the cases were opened, whenever they came to their end.';
comment on column billing.dunning_outcomes.opened is 'Cases: still_open, recovered, settled_without_payment, lost and let_off add up to it.';
comment on column billing.dunning_outcomes.held is 'Of the open ones, those that something kept from the next step when last evaluated.';
comment on column billing.dunning_outcomes.still_open is 'Neither paid nor given up yet.';
comment on column billing.dunning_outcomes.recovered is 'Paid, with money.';
comment on column billing.dunning_outcomes.recovered_before_notice is 'Paid before any mail had left.';
comment on column billing.dunning_outcomes.recovered_after_notice is 'Paid when the notice was the last mail that had left.';
comment on column billing.dunning_outcomes.recovered_after_urgent_reminder is 'Paid when the urgent reminder was.';
comment on column billing.dunning_outcomes.recovered_after_final_warning is 'Paid when the final warning was.';
comment on column billing.dunning_outcomes.lost is 'Unpaid at the end: by the policy, written off, the subscription ended otherwise, or the customer deleted.';
comment on column billing.dunning_outcomes.settled_without_payment is
  'Paid with a credit note, a balance or credits: nothing is owed any more, and no money came.';
comment on column billing.dunning_outcomes.let_off is 'Voided, not owed after all, or closed by hand.';
comment on column billing.dunning_outcomes.recovery_rate is 'recovered of recovered and lost, 0 to 1; null while neither.';
comment on column billing.dunning_outcomes.median_days_to_recover is 'Days of the recovered ones from the first failure, or due date, to the end of the case.';
comment on column billing.dunning_outcomes.amount_due is 'The most that was overdue at once in each case, added up.';
comment on column billing.dunning_outcomes.amount_recovered is 'The money that came while the cases were open, also of cases that were lost in the end.';
comment on column billing.dunning_outcomes.amount_lost is 'What was not, of the lost ones.';
comment on column billing.dunning_outcomes.amount_forgiven is
  'What was not, of the credited and the let off: nobody owes it any more.';
comment on column billing.dunning_outcomes.amount_open is 'What has not come yet, of the open ones.';

create view billing.revenue_at_risk with (security_invoker = true) as
with owed as (
  select
    c.id,
    c.customer,
    c.holds,
    i.currency,
    sum(i.amount_remaining) as amount,
    min(k.overdue_since) as since,
    coalesce(
      (
        select d.kind
        from billing.dunning_actions as d
        where d.case_id = c.id and d.status in ('sent', 'planned', 'done')
        order by d.decided_at desc, d.position desc
        limit 1
      ),
      'not_told'
    ) as stage
  from billing.dunning_cases as c
  join billing.dunning_case_invoices as k on k.case_id = c.id
  join billing.invoices as i on i.id = k.invoice
  where c.status = 'open' and i.status = 'open' and i.amount_remaining > 0 and i.deleted_at is null
  group by c.id, i.currency
),
old as (
  select d.customer, d.currency, sum(d.amount_remaining) as amount, min(d.overdue_since) as since
  from billing.old_debts() as d
  where d.amount_remaining > 0
  -- What would be one case.
  group by d.customer, d.currency, coalesce(d.subscription, d.invoice)
)
select
  o.currency,
  o.stage,
  count(*) as cases,
  count(*) filter (where o.holds <> '{}') as held,
  count(distinct o.customer) as customers,
  sum(o.amount)::bigint as amount,
  coalesce(sum(o.amount) filter (where o.holds <> '{}'), 0)::bigint as amount_held,
  min(o.since) as oldest_since
from owed as o
group by o.currency, o.stage
union all
select o.currency, 'old_debt', count(*), 0, count(distinct o.customer), sum(o.amount)::bigint, 0, min(o.since)
from old as o
group by o.currency;

comment on view billing.revenue_at_risk is
  'What open cases are about at this moment, and what is overdue from before: one row per currency and step that was taken last. Amounts in minor units of currency.';
comment on column billing.revenue_at_risk.stage is
  'not_told: no mail yet. notice, urgent_reminder, final_warning: the last that was sent or is on its way. end: on its way. old_debt: overdue before this project took over (old_debts), and nobody is told until a person releases it.';
comment on column billing.revenue_at_risk.cases is 'Open cases that have come so far; of old debts, those that a release would open.';
comment on column billing.revenue_at_risk.customers is 'How many different customers they are of.';
comment on column billing.revenue_at_risk.held is 'Cases that something kept from the next step when last evaluated.';
comment on column billing.revenue_at_risk.amount is 'What remains to be paid of their overdue invoices.';
comment on column billing.revenue_at_risk.amount_held is 'Of it, what the held cases are about.';
comment on column billing.revenue_at_risk.oldest_since is 'Since when the oldest of them is overdue (UTC).';

grant select on billing.dunning_outcomes, billing.revenue_at_risk to service_role;
