-- Dunning facts: what is overdue, since when, what was done about it, and which step that makes due at a given time.
-- Nothing here writes, and nothing reads the clock: whether a step is due follows from what is known and from p_now.
-- Reads: invoices, subscriptions, dunning tables. Called by: opening, steps, preview, the daily run.

create function billing_private.has_failed_without_event(p_invoice text, p_subscription_status text, p_status_details jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  known record;
begin
  select
    bool_or(y.status = 'processing') as is_processing,
    bool_or(y.status = 'requires_action' or (y.status in ('requires_payment_method', 'failed') and y.failure_code is not null)) as has_failed
  into known
  from billing.payments as y
  where y.invoice_id = p_invoice;
  return coalesce(
    known.is_processing is not true
      and (
        p_subscription_status in ('past_due', 'unpaid')
        or (
          p_subscription_status = 'paused'
          and billing_private.pause_cause(p_status_details) in ('first_payment_failure', 'final_payment_failure')
        )
        or known.has_failed
      ),
    false
  );
end;
$$;

comment on function billing_private.has_failed_without_event is
  'Whether the attempt at an invoice that Stripe tries no more is known to have failed by something else than invoice.payment_failed, which may be missing: by the subscription it bills, or by its payment. Not while a payment is processing, such as a debit that takes days: that is no failure.';

create view billing_private.unpaid_invoices with (security_invoker = true) as
select
  i.id as invoice,
  i.customer,
  i.subscription,
  s.status as subscription_status,
  -- Usage is billed once more when a subscription ends: what was made then is a debt, what lay there before is left behind.
  -- Stripe's clock gives both the same second, or nearly so.
  coalesce(s.status = 'canceled' and i.created >= s.ended_at - interval '5 seconds', false) as is_after_end,
  i.currency,
  i.amount_remaining,
  case i.collection_method
    when 'send_invoice' then i.due_date
    else coalesce(
      i.first_payment_failed_at,
      case
        -- The event that said so may be missing. Stripe plans a next attempt only after one has failed; of the last attempt
        -- something else has to tell.
        when i.attempt_count > 0
          and (i.next_payment_attempt is not null or billing_private.has_failed_without_event(i.id, s.status, s.status_details))
          then coalesce(i.finalized_at, i.created)
      end
    )
  end as overdue_since,
  coalesce(
    -- Stripe keeps the update aside, and voids this invoice once it has waited for 23 hours.
    (s.pending_update is not null and s.latest_invoice = i.id)
    or (i.billing_reason = 'subscription_update' and s.status not in ('past_due', 'unpaid', 'paused', 'canceled')),
    false
  ) as is_of_declined_update
from billing.invoices as i
left join billing.subscriptions as s on s.id = i.subscription
where i.status = 'open' and i.amount_remaining > 0 and i.deleted_at is null;

comment on view billing_private.unpaid_invoices is 'Open invoices with something to pay, whether it is a debt or not.';
comment on column billing_private.unpaid_invoices.invoice is 'Invoice (billing.invoices.id).';
comment on column billing_private.unpaid_invoices.subscription_status is 'Status of its subscription; null where it has none, or nobody has told of it yet.';
comment on column billing_private.unpaid_invoices.is_after_end is 'It was made when its subscription ended: the final invoice.';
comment on column billing_private.unpaid_invoices.overdue_since is 'As in overdue_invoices.';
comment on column billing_private.unpaid_invoices.is_of_declined_update is
  'It is of an update of the subscription that did not happen (payment_behavior=pending_if_incomplete): the subscription goes on as before, and nothing is owed. After allow_incomplete and default_incomplete the update stands and the subscription is past_due, which makes its invoice a debt; error_if_incomplete leaves neither update nor invoice.';

create view billing_private.overdue_invoices with (security_invoker = true) as
select
  i.invoice,
  i.customer,
  case when not i.is_after_end then i.subscription end as subscription,
  i.subscription as billed_subscription,
  case when i.is_after_end then i.invoice else coalesce(i.subscription, i.invoice) end as subject_id,
  i.currency,
  i.amount_remaining,
  i.overdue_since
from billing_private.unpaid_invoices as i
where i.customer is not null
  -- Of a subscription nobody has told of yet nothing can be said: it is read from Stripe, see update_dunning_of_invoice.
  and (i.subscription is null or i.is_after_end or i.subscription_status not in ('canceled', 'incomplete', 'incomplete_expired'))
  and not i.is_of_declined_update
  and (select u.deleted_at from billing.customers as u where u.id = i.customer) is null;

comment on view billing_private.overdue_invoices is
  'Open invoices that are, or will be, overdue: since the first failed attempt, or the due date of one that is sent. Not the first invoice of a subscription that never began, nor of an update that was declined, nor what an ended subscription or a deleted customer left behind.';
comment on column billing_private.overdue_invoices.invoice is 'Invoice (billing.invoices.id).';
comment on column billing_private.overdue_invoices.subscription is 'What it bills (billing.subscriptions.id); null where that has ended, and this is its final invoice.';
comment on column billing_private.overdue_invoices.billed_subscription is 'What it bills, also where that has ended: whose policy and product it goes by.';
comment on column billing_private.overdue_invoices.subject_id is 'What a case would be about: its subscription, or itself where there is none, or none any more.';
comment on column billing_private.overdue_invoices.overdue_since is 'From when days are counted (UTC); in the future for what is sent and not due yet, null for what is neither.';

create function billing_private.is_old_debt(p_invoice text, p_overdue_since timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select coalesce(p_overdue_since < (select s.adopted_at from billing.settings as s), false)
    and not exists (select from billing_private.known_debts as d where d.invoice = p_invoice and d.released_at is not null);
$$;

comment on function billing_private.is_old_debt is
  'Whether something was overdue before this project took over the billing (settings.adopted_at): nobody is dunned about it until a person says so.';

create view billing_private.dunning_ladders with (security_invoker = true) as
select
  s.policy_id,
  array_agg(s.day order by s.position) as days,
  array_agg(s.kind order by s.position) as kinds,
  min(p.end_action) as end_action
from billing.dunning_steps as s
join billing.dunning_policies as p on p.id = s.policy_id
group by s.policy_id;

comment on view billing_private.dunning_ladders is 'The steps of each policy as two arrays, indexed by position, and how it ends.';
comment on column billing_private.dunning_ladders.policy_id is 'The version of a policy (billing.dunning_policies.id).';
comment on column billing_private.dunning_ladders.days is 'The day of each step, ascending.';
comment on column billing_private.dunning_ladders.kinds is 'The kind of each step; end, if there is one, comes last.';
comment on column billing_private.dunning_ladders.end_action is 'What its end does (billing.dunning_policies.end_action).';

create function billing_private.due_dunning_step(
  p_days integer[],
  p_kinds text[],
  p_from timestamptz,
  p_taken integer,
  p_last_mail_at timestamptz,
  p_ends_at timestamptz,
  p_now timestamptz
)
returns integer
language plpgsql
immutable
set search_path = ''
as $$
declare
  last constant integer := cardinality(p_days);
  has_end constant boolean := p_kinds[last] = 'end';
begin
  if has_end and p_taken >= last then
    return null;
  elsif has_end and p_taken = last - 1 then
    return case when p_now >= p_ends_at then last end;
  elsif p_last_mail_at > p_now - interval '20 hours' then
    -- A run that was late and one that is on time are no reason to write twice in a day.
    return null;
  elsif p_taken = 0 then
    -- However long it has been overdue, the first mail is the notice, never a warning.
    return case when p_now >= p_from + p_days[1] * interval '24 hours' then 1 end;
  end if;
  for step in reverse last - has_end::integer .. p_taken + 1 loop
    if p_now >= p_from + p_days[step] * interval '24 hours' then
      return step;
    end if;
  end loop;
  return null;
end;
$$;

comment on function billing_private.due_dunning_step is
  'Position of the step that is due at p_now, or null: the highest whose day has come, counted from p_from (ladder_from); the first while p_taken (the highest position taken) is 0; at most one mail in 20 hours (p_last_mail_at); the end, once the warning is taken, at p_ends_at, and never where that is null. A day is 24 hours, whatever the session''s time zone.';

create function billing_private.next_noon(p_at timestamptz)
returns timestamptz
language sql
immutable
set search_path = ''
as $$
  select to_timestamp(ceil((extract(epoch from p_at) - 43200) / 86400) * 86400 + 43200);
$$;

comment on function billing_private.next_noon is
  'The first 12:00 UTC that is not before p_at: when the day before is over everywhere on earth.';

create type billing_private.dunning_fact as (
  case_id bigint,
  subject_id text,
  customer text,
  subscription text,
  policy_id bigint,
  days integer[],
  kinds text[],
  end_action text,
  anchor_invoice text,
  anchor_at timestamptz,
  ladder_from timestamptz,
  currency text,
  amount bigint,
  invoices text[],
  taken integer,
  last_mail_at timestamptz,
  warned_at timestamptz,
  warned_end timestamptz,
  announced_end timestamptz,
  is_warned_again boolean,
  is_warning_planned boolean,
  scheduled_end timestamptz,
  is_canceled boolean,
  is_warned boolean,
  is_leaving boolean,
  ends_at timestamptz,
  due integer
);

comment on type billing_private.dunning_fact is
  'An open case with something overdue: its ladder, its anchor, from when its days are counted, what is owed (minor units), the highest position taken about the anchor''s invoice; the final warning that left and the end it named; the latest end that any mail named; when the subscription is set to end by itself, and whether somebody canceled it. Of what follows (plan_dunning): whether the warning stands, whether the customer is leaving, when the case ends, the position due.';

create function billing_private.dunning_end_at(p_fact billing_private.dunning_fact, p_now timestamptz)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
declare
  last constant integer := cardinality(p_fact.days);
  day_of_end constant timestamptz := p_fact.ladder_from + p_fact.days[last] * interval '24 hours';
  -- Who is warned again has the time the policy gives, and nobody has less than three days.
  distance constant interval := interval '24 hours' * case
    when p_fact.is_warned_again or (p_fact.warned_at is not null and not p_fact.is_warned)
      then greatest(p_fact.days[last] - p_fact.days[last - 1], 3)
    else 3
  end;
begin
  return case
    when p_fact.kinds[last] <> 'end' then null
    else greatest(
      p_fact.announced_end,
      case
        when p_fact.is_warned
          then greatest(billing_private.next_noon(greatest(day_of_end, p_fact.warned_at + distance)), p_fact.warned_end)
        when p_fact.is_warning_planned then billing_private.next_noon(greatest(day_of_end, p_now + distance))
        else billing_private.next_noon(greatest(
          day_of_end,
          distance + greatest(
            p_fact.ladder_from + p_fact.days[last - 1] * interval '24 hours',
            case
              -- A mail that says less comes first.
              when p_fact.taken = 0 or p_fact.due < last - 1 then p_now + interval '20 hours'
              else greatest(p_now, p_fact.last_mail_at + interval '20 hours')
            end
          )
        ))
      end
    )
  end;
end;
$$;

comment on function billing_private.dunning_end_at is
  'When a case comes to its end if nobody pays and nothing holds it: 12:00 UTC of a day, not before the day of its policy, nor less than three days after the final warning left, nor before the end that any mail has named. Before the warning: the earliest possible. Null where its policy has no end.';

create function billing_private.plan_dunning(p_fact billing_private.dunning_fact, p_now timestamptz, p_every_end boolean default true)
returns billing_private.dunning_fact
language plpgsql
immutable
set search_path = ''
as $$
declare
  f billing_private.dunning_fact := p_fact;
  last constant integer := cardinality(p_fact.days);
  own_end timestamptz;
begin
  -- Stale: the end it named is long past, for example because the case was held. A new warning comes before the end.
  f.is_warned := coalesce(p_now <= f.warned_end + interval '168 hours', false);
  f.due := billing_private.due_dunning_step(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, null, p_now);
  if not p_every_end and f.due is null and f.taken < last - 1 then
    return f;
  end if;
  own_end := billing_private.dunning_end_at(f, p_now);
  f.ends_at := case when f.scheduled_end <= own_end then null else own_end end;
  f.is_leaving := coalesce(f.is_canceled, false) and f.ends_at is null;
  if f.ends_at is not null and f.taken = last - 1 and not f.is_warned and not f.is_warning_planned then
    -- The warning did not arrive, has grown stale, or named no end as the subscription was to end by itself before.
    f.taken := last - 2;
    f.due := billing_private.due_dunning_step(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, null, p_now);
  elsif f.taken = last - 1 and f.is_warned then
    f.due := billing_private.due_dunning_step(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, f.ends_at, p_now);
  end if;
  return f;
end;
$$;

comment on function billing_private.plan_dunning is
  'What follows from what is known of a case at p_now: whether its warning stands (seven days after the end it named it does not), whether its customer is leaving (canceled for a day before the case would end), when it ends, and which step is due. A subscription that ends by itself before is not ended by dunning. p_every_end false spares the end of a case that has nothing due and is not warned.';

create function billing_private.is_final_bill(p_subject_id text, p_subscription text)
returns boolean
language sql
stable
set search_path = ''
as $$
  select p_subscription is null
    and exists (select from billing.invoices as i where i.id = p_subject_id and i.subscription is not null);
$$;

comment on function billing_private.is_final_bill is
  'Whether a case is about an invoice that was made when its subscription ended: it is asked for, and there is nothing to warn of and nothing to end.';

create function billing_private.due_step_after_end(
  p_days integer[], p_kinds text[], p_from timestamptz, p_taken integer, p_last_mail_at timestamptz, p_now timestamptz
)
returns integer
language plpgsql
immutable
set search_path = ''
as $$
declare
  -- The mild steps come first, see ladder_fault.
  mild constant integer := cardinality(array_remove(array_remove(p_kinds, 'final_warning'), 'end'));
begin
  if p_taken < mild then
    return billing_private.due_dunning_step(p_days[1:mild], p_kinds[1:mild], p_from, p_taken, p_last_mail_at, null, p_now);
  end if;
  return (
    select max(s.step)
    from generate_series(p_taken + 1, cardinality(p_days)) as s (step)
    where p_now >= p_from + p_days[s.step] * interval '24 hours'
  );
end;
$$;

comment on function billing_private.due_step_after_end is
  'As due_dunning_step, of a final invoice: notice and reminder fall due as they do elsewhere; the final warning and the end on their days, to be skipped.';

create function billing_private.plan_case(
  p_fact billing_private.dunning_fact, p_is_final_bill boolean, p_now timestamptz, p_every_end boolean default true
)
returns billing_private.dunning_fact
language plpgsql
immutable
set search_path = ''
as $$
declare
  f billing_private.dunning_fact := p_fact;
begin
  if not p_is_final_bill then
    return billing_private.plan_dunning(p_fact, p_now, p_every_end);
  end if;
  f.is_warned := false;
  f.is_leaving := false;
  f.due := billing_private.due_step_after_end(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, p_now);
  return f;
end;
$$;

comment on function billing_private.plan_case is
  'plan_dunning, and for a final invoice what follows from there being no end: no warning, nobody who leaves, no day of an end.';

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
    actions as materialized (
      select
        c.id as case_id,
        case
          -- The first mail is the notice: as long as none has reached the customer, the notice is due again.
          when bool_or(
            o.invoices[1] = any (d.invoices)
              and d.superseded_at is null
              and (d.status in ('planned', 'sent', 'done') or (d.kind = 'notice' and d.status in ('skipped', 'switched_off')))
          )
          then coalesce(
            max(d.position) filter (
              where o.invoices[1] = any (d.invoices)
                and d.superseded_at is null
                and d.status in ('planned', 'sent', 'done', 'skipped', 'switched_off', 'failed')
                -- A warning that could not be sent is due again.
                and (d.status <> 'failed' or d.kind <> 'final_warning')
            ),
            0
          )
          else 0
        end as taken,
        max(greatest(d.finished_at, d.decided_at)) filter (
          where d.kind <> 'end'
            and (d.status in ('planned', 'sent', 'undeliverable') or (d.status = 'failed' and d.kind in ('notice', 'final_warning')))
        ) as last_mail_at,
        max(greatest(d.finished_at, d.decided_at)) filter (
          where d.kind = 'final_warning' and d.status = 'sent' and d.superseded_at is null and o.invoices[1] = any (d.invoices)
        ) as warned_at,
        max(d.ends_at) filter (
          where d.kind = 'final_warning' and d.status = 'sent' and d.superseded_at is null and o.invoices[1] = any (d.invoices)
        ) as warned_end,
        max(d.ends_at) filter (
          where d.kind <> 'end' and d.status in ('planned', 'sent') and o.invoices[1] = any (d.invoices)
        ) as announced_end,
        coalesce(
          bool_or(d.superseded_at is not null and d.status = 'sent') filter (
            where d.kind = 'final_warning' and o.invoices[1] = any (d.invoices)
          ),
          false
        ) as is_warned_again,
        coalesce(
          bool_or(d.status = 'planned') filter (where d.kind = 'final_warning' and o.invoices[1] = any (d.invoices)), false
        ) as is_warning_planned
      from cases as c
      join owed as o on o.case_id = c.id
      -- By the index, case by case: a page of the daily run has hundreds of them, among all that ever was done.
      left join lateral (select x.* from billing.dunning_actions as x where x.case_id = c.id offset 0) as d on true
      group by c.id
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
    join actions as a on a.case_id = c.id
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
language sql
stable
set search_path = ''
as $$
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
  limit 1;
$$;

comment on function billing_private.dunning_policy_of is
  'The policy in force for a subscription of a customer: the customer''s, else that of a price of it, else of a product, else default.';

create function billing_private.dunning_obstacles(p_fact billing_private.dunning_fact, p_now timestamptz)
returns text[]
language sql
stable
set search_path = ''
as $$
  select array_remove(
    array[
      case when billing_private.has_open_dispute(p_fact.customer) then 'dispute' end,
      case
        when exists (
          select
          from billing.subscriptions as s
          where s.id = p_fact.subscription
            and s.pause_collection is not null
            and coalesce(to_timestamp((s.pause_collection ->> 'resumes_at')::double precision) > p_now, true)
        )
        then 'paused_collection'
      end,
      case when bool_or(h.case_id = p_fact.case_id) then 'manual' end,
      case when bool_or(h.case_id is null) then 'excluded_customer' end,
      case
        when not exists (
          select
          from billing.customers as c
          where c.id = p_fact.customer
            and btrim(c.email) <> ''
            and not exists (select from billing.suppressed_addresses as a where a.address = lower(btrim(c.email)))
            -- Nor one that Resend would not have this week.
            and not exists (
              select
              from billing.dunning_actions as d
              join billing.emails as e on e.outbox_id = d.outbox_id
              join billing.outbox as x on x.id = d.outbox_id
              where d.case_id = p_fact.case_id
                and d.status = 'failed'
                and d.finished_at > p_now - interval '168 hours'
                and (x.last_error ->> 'status' in ('400', '422') or x.last_error ->> 'code' = 'validation_error')
                and lower(e.to_address) = lower(btrim(c.email))
            )
            -- Nor one to which three mails in a row could not be delivered; an operator has to find another.
            and not (
              select count(*) = 3 and bool_and(l.came_back)
              from (
                select d.status = 'undeliverable' and lower(e.to_address) = lower(btrim(c.email)) as came_back
                from billing.dunning_actions as d
                join billing.emails as e on e.outbox_id = d.outbox_id
                where d.case_id = p_fact.case_id
                order by d.id desc
                limit 3
              ) as l
            )
        )
        then 'undeliverable_address'
      end,
      case
        when exists (
          select from billing.payments as y where y.invoice_id = any (p_fact.invoices) and y.status = 'processing'
        )
        then 'payment_processing'
      end,
      case
        -- No mail and no end for a customer whose new card has not been charged yet.
        when exists (select from billing.dunning_charges as g where g.case_id = p_fact.case_id and g.status = 'planned')
        then 'charging_new_card'
      end,
      case
        when p_fact.amount < (
          select (p.minimum_amounts ->> p_fact.currency)::bigint from billing.dunning_policies as p where p.id = p_fact.policy_id
        )
        then 'below_minimum'
      end,
      case
        when p_fact.kinds[p_fact.due] = 'final_warning'
          and p_fact.ends_at is not null
          and 'payment-failed-final' = any ((select x.emails_off from billing.settings as x)::text[])
        then 'warning_switched_off'
      end
    ],
    null
  )
  from billing.dunning_holds as h
  where h.customer = p_fact.customer
    and h.released_at is null
    and (h.held_until is null or h.held_until > p_now);
$$;

comment on function billing_private.dunning_obstacles is
  'What keeps a case from its next step at p_now: dispute, paused_collection, manual, excluded_customer, undeliverable_address, payment_processing, charging_new_card, below_minimum, warning_switched_off (no end without a warning). Empty: nothing does.';
