-- Revenue: what came in and what was taken back of it, each on its own day.
-- Reads: payments, refunds, disputes, invoices. Writes: nothing. Called by: operators, reports.

create view billing.revenue
with (security_invoker = true)
as
with movements as (
  -- Most of it, summed before it meets the rest. What went back of a payment counts on its own day, unless a refund tells another.
  select
    (p.paid_at at time zone 'UTC')::date as day, p.currency, count(*) as payments, sum(p.amount_received) as gross,
    coalesce(sum(p.amount_received) filter (where p.invoice_id is null), 0) as one_time,
    sum(p.amount_refunded) as refunded, 0::bigint as disputed, 0::bigint as lost
  from billing.payments as p
  where p.amount_received > 0
  group by 1, 2

  union all

  -- Few invoices are of no subscription. Asking every payment for its invoice would cost more than all else here.
  select (p.paid_at at time zone 'UTC')::date, p.currency, 0, 0, p.amount_received, 0, 0, 0
  from billing.invoices as i
  join billing.payments as p on p.invoice_id = i.id
  where i.subscription is null and p.amount_received > 0

  union all

  select (r.created at time zone 'UTC')::date, p.currency, 0, 0, 0, r.amount, 0, 0
  from billing.refunds as r
  join billing.payments as p on p.id = r.payment_id
  where p.amount_received > 0 and r.status not in ('failed', 'canceled')

  union all

  -- So it is not counted on the payment's day.
  select (p.paid_at at time zone 'UTC')::date, p.currency, 0, 0, 0, -r.amount, 0, 0
  from billing.refunds as r
  join billing.payments as p on p.id = r.payment_id
  where p.amount_received > 0 and r.status not in ('failed', 'canceled')

  union all

  -- Of disputes in the bank's own currency the first has all that is left of the payment, see contested_amounts.
  select
    (d.created at time zone 'UTC')::date, d.currency, 0, 0, 0, 0,
    case when d.is_abroad and d.amount_lost = 0 then d.taken_abroad when not d.is_abroad then d.amount_disputed else 0 end,
    case when d.is_abroad and d.amount_lost > 0 then d.taken_abroad when not d.is_abroad then d.amount_lost else 0 end
  from (
    select
      x.created, p.currency, x.amount_disputed, x.amount_lost, x.currency <> p.currency as is_abroad,
      case
        when row_number() over (
          partition by p.id, x.currency <> p.currency order by x.amount_lost > 0 desc, x.created, x.id collate "C"
        ) = 1
          then greatest(
            p.amount_received - p.amount_refunded
            - coalesce(sum(x.amount_disputed + x.amount_lost) filter (where x.currency = p.currency) over (partition by p.id), 0),
            0
          )
        else 0
      end as taken_abroad
    from billing.disputes as x
    join billing.payments as p on p.id = x.payment_id
    where x.amount_disputed > 0 or x.amount_lost > 0
  ) as d
)
select
  m.day,
  m.currency,
  sum(m.payments)::bigint as payments,
  sum(m.gross)::bigint as gross,
  sum(m.one_time)::bigint as one_time,
  sum(m.refunded)::bigint as refunded,
  sum(m.disputed)::bigint as disputed,
  sum(m.lost)::bigint as lost,
  sum(m.gross - m.refunded - m.disputed - m.lost)::bigint as net
from movements as m
group by 1, 2;

comment on view billing.revenue is
  'Money by day (UTC) and currency, in its minor unit, before Stripe''s fees: payments by the day they came in, refunds and disputes by the day they were made. Adds up to billing.payments.';
comment on column billing.revenue.day is 'Day in UTC.';
comment on column billing.revenue.payments is 'How many payments came in.';
comment on column billing.revenue.gross is 'What came in.';
comment on column billing.revenue.one_time is 'Of gross, what was for no invoice, or for one that no subscription billed. An invoice that was not heard of yet is taken for a subscription''s.';
comment on column billing.revenue.refunded is 'What went back, or is on its way; a refund that fails is taken out of its day again.';
comment on column billing.revenue.disputed is 'What banks hold back while disputes of that day are open.';
comment on column billing.revenue.lost is 'What disputes of that day took, being lost, appealed, or prevented at our expense.';
comment on column billing.revenue.net is 'gross - refunded - disputed - lost.';

grant select on billing.revenue to service_role;
