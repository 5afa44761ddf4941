-- Dunning facts: of each open case what is overdue, since when, and what was done about it. Nothing here writes.
-- Reads: overdue invoices, subscriptions, dunning tables. Writes: nothing.
-- Called by: opening, steps, ends, charges to new cards, preview, the daily run.

create function billing_private.taken_about_invoice(
  p_case_id bigint,
  p_invoice text,
  out taken integer,
  out last_mail_at timestamptz,
  out warned_at timestamptz,
  out warned_end timestamptz,
  out announced_end timestamptz,
  out is_warned_again boolean,
  out is_warning_planned boolean
)
language plpgsql
stable
set search_path = ''
as $$
begin
  select
    case
      -- The first mail is the notice: as long as none has reached the customer, the notice is due again.
      when bool_or(
        p_invoice = any (d.invoices)
          and d.superseded_at is null
          and (d.status in ('planned', 'sent', 'done') or (d.kind = 'notice' and d.status in ('skipped', 'switched_off')))
      )
      then coalesce(
        max(d.position) filter (
          where p_invoice = any (d.invoices)
            and d.superseded_at is null
            and d.status in ('planned', 'sent', 'done', 'skipped', 'switched_off', 'failed')
            -- A warning that could not be sent is due again.
            and (d.status <> 'failed' or d.kind <> 'final_warning')
        ),
        0
      )
      else 0
    end,
    max(greatest(d.finished_at, d.decided_at)) filter (
      where d.kind <> 'end'
        and (d.status in ('planned', 'sent', 'undeliverable') or (d.status = 'failed' and d.kind in ('notice', 'final_warning')))
    ),
    max(greatest(d.finished_at, d.decided_at)) filter (
      where d.kind = 'final_warning' and d.status = 'sent' and d.superseded_at is null and p_invoice = any (d.invoices)
    ),
    max(d.ends_at) filter (
      where d.kind = 'final_warning' and d.status = 'sent' and d.superseded_at is null and p_invoice = any (d.invoices)
    ),
    max(d.ends_at) filter (
      where d.kind <> 'end' and d.status in ('planned', 'sent') and p_invoice = any (d.invoices)
    ),
    coalesce(
      bool_or(d.superseded_at is not null and d.status = 'sent') filter (
        where d.kind = 'final_warning' and p_invoice = any (d.invoices)
      ),
      false
    ),
    coalesce(
      bool_or(d.status = 'planned') filter (where d.kind = 'final_warning' and p_invoice = any (d.invoices)), false
    )
  into taken, last_mail_at, warned_at, warned_end, announced_end, is_warned_again, is_warning_planned
  from billing.dunning_actions as d
  where d.case_id = p_case_id;
end;
$$;

comment on function billing_private.taken_about_invoice is
  'What was done about an invoice of a case, its earliest that is overdue, as dunning_fact has it: the highest position taken, the last mail of the case, the final warning that left and the end it named, the latest end that any mail named, whether it is to be warned again, whether a warning is planned.';

create function billing_private.dunning_facts(p_customers text[], p_now timestamptz, p_every_end boolean default true)
returns setof billing_private.dunning_fact
-- Not in SQL, where it would be planned anew each time: every event of an invoice in a case asks.
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Each part is read once for all of the customers' cases: one customer may have hundreds.
  return query
    with cases as materialized (
      select c.* from billing.dunning_cases as c where c.status = 'open' and c.customer = any (p_customers)
    ),
    owed as materialized (
      select
        k.case_id,
        array_agg(v.invoice order by v.overdue_since, v.invoice) as invoices,
        min(v.overdue_since) as anchor_at,
        (array_agg(greatest(v.overdue_since, k.known_at) order by v.overdue_since, v.invoice))[1] as ladder_from,
        min(v.currency) as currency,
        sum(v.amount_remaining)::bigint as amount
      from billing_private.overdue_invoices as v
      cross join lateral (
        select x.case_id, x.known_at from billing.dunning_case_invoices as x where x.invoice = v.invoice offset 0
      ) as k
      where v.customer = any (p_customers) and v.overdue_since <= p_now
      group by k.case_id
    ),
    -- Of all cases in that currency, the closed ones too: it is the same person who is written to. But that the payment
    -- of something else has failed, the first mail of a case, is news that leaves at once.
    mails as materialized (
      select k.customer, k.currency, max(greatest(d.finished_at, d.decided_at)) as last_mail_at
      from billing.dunning_cases as k
      cross join lateral (select x.* from billing.dunning_actions as x where x.case_id = k.id offset 0) as d
      where k.customer = any (p_customers) and d.kind <> 'end' and d.status in ('planned', 'sent', 'undeliverable')
      group by k.customer, k.currency
    )
    select f.*
    from cases as c
    join billing_private.dunning_ladders as l on l.policy_id = c.policy_id
    join owed as o on o.case_id = c.id
    cross join lateral billing_private.taken_about_invoice(c.id, o.invoices[1]) as a
    left join mails as m on m.customer = c.customer and m.currency = c.currency
    left join billing.subscriptions as s on s.id = c.subscription
    cross join lateral (
      -- What was set to end yesterday and is still there does not end by itself.
      select case
        when l.end_action in ('cancel', 'pause') and billing_private.scheduled_end(s) > p_now - interval '24 hours'
          then billing_private.scheduled_end(s)
      end as at
    ) as e
    cross join lateral billing_private.plan_case(
      row(
        c.id, c.subject_id, c.customer, c.subscription, c.policy_id, l.days, l.kinds, l.end_action, o.invoices[1], o.anchor_at,
        o.ladder_from, o.currency, o.amount, o.invoices, a.taken,
        case when a.taken > 0 or a.last_mail_at is not null then greatest(m.last_mail_at, a.last_mail_at) end, a.warned_at, a.warned_end,
        a.announced_end, a.is_warned_again, a.is_warning_planned, e.at, s.id is not null and billing_private.is_canceled_for_later(s), null, null, null,
        null
      )::billing_private.dunning_fact,
      billing_private.is_final_bill(c.subject_id, c.subscription), p_now, p_every_end
    ) as f;
end;
$$;

comment on function billing_private.dunning_facts is
  'The open cases of some customers of which something is overdue at p_now, with the step that is due. What was done counts for the invoices it was about: when the earliest is paid, the next has a ladder of its own.';

create function billing_private.dunning_policy_of(p_customer text, p_subscription text)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with assigned as (
      select a.policy, 1 as rank, '' as item
      from billing.dunning_assignments as a
      where a.scope = 'customer' and a.subject_id = p_customer
      union all
      select a.policy, case a.scope when 'price' then 2 else 3 end, i.id
      from billing.subscription_items as i
      join billing.dunning_assignments as a
        on (a.scope = 'price' and a.subject_id = i.price) or (a.scope = 'product' and a.subject_id = i.product)
      where i.subscription = p_subscription
      union all
      select 'default', 4, ''
    )
    select p.id
    from assigned as a
    join billing.dunning_policies as p on p.name = a.policy and p.superseded_at is null
    order by a.rank, a.item
    limit 1
  );
end;
$$;

comment on function billing_private.dunning_policy_of is
  'The policy in force for a subscription of a customer: the customer''s, else that of a price of it, else of a product, else default.';
