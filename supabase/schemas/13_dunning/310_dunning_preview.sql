-- Preview: what dunning would do if nobody did anything.
-- Reads: dunning facts, overdue invoices, policies. Writes: nothing. Called by: operators, `npm run dunning -- preview`.

create function billing.dunning_preview(p_now timestamptz default now())
returns table (
  customer text, email text, subject_id text, case_id bigint, step text, due_at timestamptz, anchor_at timestamptz, amount bigint,
  currency text, held_by text[], would text
)
language plpgsql
stable
-- Definer: it reads private functions; service_role may read all it shows.
security definer
set search_path = ''
as $$
begin
  return query
  with found as (
    -- Overdue without a case yet: the run would open one.
    select
      v.customer, v.subject_id, v.subscription, billing_private.dunning_policy_of(v.customer, min(v.billed_subscription)) as policy_id,
      min(v.overdue_since) as anchor_at, array_agg(v.invoice order by v.overdue_since, v.invoice) as invoices,
      (array_agg(greatest(v.overdue_since, coalesce(d.known_at, p_now), (select s.live_since from billing.settings as s)) order by v.overdue_since, v.invoice))[1] as ladder_from,
      min(v.currency) as currency, sum(v.amount_remaining)::bigint as amount
    from billing_private.overdue_invoices as v
    left join billing_private.known_debts as d on d.invoice = v.invoice
    where v.overdue_since <= p_now and not billing_private.is_old_debt(v.invoice, v.overdue_since)
      and not exists (select from billing.dunning_case_invoices as k where k.invoice = v.invoice)
      and not exists (select from billing.dunning_cases as c where c.subject_id = v.subject_id and c.status = 'open')
    group by v.customer, v.subject_id, v.subscription
  ),
  facts as (
    select f as fact
    from billing_private.dunning_facts(array(select distinct c.customer from billing.dunning_cases as c where c.status = 'open'), p_now) as f
    -- The run has an end made at noon of its day.
    where f.due is not null or (f.is_warned and f.ends_at <= p_now + interval '24 hours')
    union all
    select row(
      null, n.subject_id, n.customer, n.subscription, n.policy_id, l.days, l.kinds, l.end_action, n.invoices[1], n.anchor_at,
      n.ladder_from, n.currency, n.amount, n.invoices, 0, null, null, null, null, false, false, null, false, false, false, null, 1
    )::billing_private.dunning_fact
    from found as n
    join billing_private.dunning_ladders as l on l.policy_id = n.policy_id
    join billing.dunning_policies as p on p.id = n.policy_id and n.amount >= coalesce((p.minimum_amounts ->> n.currency)::bigint, 0)
    where billing_private.due_dunning_step(l.days, l.kinds, n.ladder_from, 0, null, null, p_now) = 1
  ),
  steps as (
    select
      f.*, f.kinds[coalesce(f.due, cardinality(f.kinds))] as step, f.ladder_from + f.days[f.due] * interval '24 hours' as day_of_step,
      billing_private.dunning_obstacles(t.fact, p_now) as held_by,
      'payment-failed-' || case f.kinds[coalesce(f.due, cardinality(f.kinds))] when 'notice' then 'notice' when 'urgent_reminder' then 'urgent' else 'final' end as template
    from facts as t
    cross join lateral (select (t.fact).*) as f
  )
  select
    s.customer, (select u.email from billing.customers as u where u.id = s.customer), s.subject_id, s.case_id, s.step,
    case when s.step = 'end' then s.ends_at else s.day_of_step end,
    s.anchor_at, s.amount, s.currency, s.held_by,
    case
      when s.held_by <> '{}' then 'wait: ' || array_to_string(s.held_by, ', ')
      when s.step in ('final_warning', 'end') and billing_private.is_final_bill(s.subject_id, s.subscription) then
        'skip the step: the subscription has ended already'
      when s.step = 'end' and s.subscription is null and s.end_action in ('cancel', 'pause') then 'close the case and leave the invoice open'
      when s.step = 'end' then case s.end_action
        when 'cancel' then 'cancel ' || s.subject_id
        when 'pause' then 'pause ' || s.subject_id
        when 'mark_uncollectible' then 'mark the invoices uncollectible'
        else 'close the case and leave all as it is'
      end
      when s.template = any ((select x.emails_off from billing.settings as x)::text[]) then 'skip ' || s.template || ', which is switched off'
      when s.step = 'notice' and billing_private.is_confirmation_requested(s.anchor_invoice) then 'skip the notice: the bank asks the customer'
      when s.case_id is null then 'open a case and send ' || s.template
      when s.step = 'urgent_reminder'
        and bool_or(s.step = 'final_warning' and s.held_by = '{}' and s.subscription is not null) over (partition by s.customer, s.currency)
      then 'wait a day: a final warning leaves'
      else 'send ' || s.template
    end
  from steps as s
  order by 6, s.customer, s.subject_id;
end;
$$;

comment on function billing.dunning_preview is
  'Who would get what if the daily run came at p_now (UTC): one row per subject with a step due, or an end within the next 24 hours, what holds it, and in plain words what would be done. By what is known here; the run reads Stripe first. Amounts in minor units. Changes nothing.';

grant execute on function billing.dunning_preview(timestamptz) to service_role;
