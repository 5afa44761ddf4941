-- My billing status: what a signed-in user owes, for a banner in the application.
-- Reads: customers, subscriptions, overdue invoices, dunning facts. Called by: signed-in users, through the Data API.

create function billing_private.dunning_ends_at(p_fact billing_private.dunning_fact, p_now timestamptz)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
declare
  last constant integer := cardinality(p_fact.kinds);
begin
  if p_fact.kinds[last] is distinct from 'end' or p_fact.taken >= last then
    return null;
  end if;
  return greatest(
    p_fact.ladder_from + p_fact.days[last] * interval '24 hours',
    interval '72 hours' + coalesce(
      p_fact.warned_at,
      -- Not warned yet: at the day of the warning, or as soon as it may be sent if that has passed.
      greatest(
        p_fact.ladder_from + p_fact.days[last - 1] * interval '24 hours',
        case
          when p_fact.taken >= last - 1 then p_now -- on its way
          when p_fact.taken = 0 then p_now + interval '20 hours' -- after a notice
          else greatest(p_now, p_fact.last_mail_at + interval '20 hours')
        end
      )
    )
  );
end;
$$;

comment on function billing_private.dunning_ends_at is
  'When a case comes to its end if nobody pays and nothing holds it: the day of its policy, and three days after the final warning at the earliest, which is a mail of its own (see due_dunning_step); null where the policy has no end.';

create function billing.my_billing_status(p_now timestamptz default now())
returns table (
  subscription text,
  product_name text,
  amount_due bigint,
  currency text,
  overdue_since timestamptz,
  invoice text,
  invoice_number text,
  hosted_invoice_url text,
  invoice_count integer,
  needs_confirmation boolean,
  next_payment_attempt timestamptz,
  has_access boolean,
  end_action text,
  ends_at timestamptz
)
language plpgsql
stable
-- Definer: users read no dunning tables. It shows them what is theirs, by auth.uid().
security definer
set search_path = ''
as $$
begin
  return query
  with mine as (
    select c.id from billing.customers as c where c.user_id = (select auth.uid()) and c.deleted_at is null
  ),
  facts as (
    select f.subject_id as case_subject, f as fact
    from billing_private.dunning_facts(array(select m.id from mine as m), p_now) as f
  ),
  owed as (
    select
      v.subject_id,
      v.subscription as sub,
      v.currency as money,
      sum(v.amount_remaining)::bigint as amount,
      min(v.overdue_since) as since,
      array_agg(v.invoice order by v.overdue_since, v.invoice) as invoices
    from billing_private.overdue_invoices as v
    where v.customer in (select m.id from mine as m) and v.overdue_since <= p_now
    group by v.subject_id, v.subscription, v.currency
  )
  select
    o.sub,
    (
      select p.name
      from billing.subscription_items as t
      join billing.products as p on p.id = t.product
      where t.subscription = o.sub
      order by t.created, t.id
      limit 1
    ),
    o.amount,
    o.money,
    o.since,
    i.id,
    i.number,
    i.hosted_invoice_url,
    cardinality(o.invoices),
    exists (
      select from billing.payments as y where y.invoice_id = any (o.invoices) and y.status = 'requires_action'
    ),
    (
      select min(n.next_payment_attempt)
      from billing.invoices as n
      where n.id = any (o.invoices) and n.next_payment_attempt > p_now
    ),
    coalesce(billing_private.dunning_access(o.sub), s.status in ('active', 'trialing', 'past_due'), true),
    e.action,
    case when e.action is not null then billing_private.dunning_ends_at(f.fact, p_now) end
  from owed as o
  join billing.invoices as i on i.id = o.invoices[1]
  left join billing.subscriptions as s on s.id = o.sub
  left join facts as f on f.case_subject = o.subject_id
  left join lateral (
    select p.end_action as action
    from billing.dunning_policies as p
    where p.id = (f.fact).policy_id
      and p.end_action in ('cancel', 'pause')
      and o.sub is not null
      and billing_private.dunning_ends_at(f.fact, p_now) is not null
      -- What is held does not end, and whoever is leaving loses nothing by it.
      and billing_private.dunning_obstacles(f.fact, p_now) = '{}'
      and not billing_private.is_leaving(o.sub)
  ) as e on true
  order by o.since, o.subject_id;
end;
$$;

comment on function billing.my_billing_status is
  'What the signed-in user owes: one row for each overdue subscription (or invoice without one) and currency, the oldest first; no rows when all is paid. amount_due in minor units of currency over invoice_count invoices, overdue_since the first failed attempt or due date; invoice, invoice_number and hosted_invoice_url (where to pay) of the oldest; needs_confirmation: the bank waits for the customer (3-D Secure); next_payment_attempt: when Stripe tries again by itself, or null; has_access now; end_action (cancel, pause) is what happens at ends_at, at the earliest, if nobody pays, and null where nothing will.';

grant execute on function billing.my_billing_status(timestamptz) to authenticated;
