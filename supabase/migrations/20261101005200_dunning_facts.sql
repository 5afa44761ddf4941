-- Dunning facts: what is overdue, since when, what was done about it, and which step that makes due at a given time.
-- Nothing here writes, and nothing reads the clock: whether a step is due follows from what is known and from p_now.
-- Reads: invoices, subscriptions, dunning tables. Called by: opening, steps, preview, the daily run.

create view billing_private.overdue_invoices with (security_invoker = true) as
select
  i.id as invoice,
  i.customer,
  i.subscription,
  coalesce(i.subscription, i.id) as subject_id,
  i.currency,
  i.amount_remaining,
  case i.collection_method
    when 'send_invoice' then i.due_date
    -- Stripe plans a next attempt only after one has failed: the event that said so may be missing.
    else coalesce(
      i.first_payment_failed_at,
      case when i.attempt_count > 0 and i.next_payment_attempt is not null then i.finalized_at end
    )
  end as overdue_since
from billing.invoices as i
left join billing.subscriptions as s on s.id = i.subscription
where i.status = 'open'
  and i.amount_remaining > 0
  and i.deleted_at is null
  and i.customer is not null
  and coalesce(s.status, '') not in ('canceled', 'incomplete', 'incomplete_expired')
  and not (s.id is null and coalesce(i.billing_reason, '') = 'subscription_create');

comment on view billing_private.overdue_invoices is
  'Open invoices that are, or will be, overdue: since the first failed attempt, or the due date of one that is sent. Not the first invoice of a subscription that never began, nor what an ended one left behind.';
comment on column billing_private.overdue_invoices.invoice is 'Invoice (billing.invoices.id).';
comment on column billing_private.overdue_invoices.subject_id is 'What a case would be about: its subscription, or itself where there is none.';
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
select s.policy_id, array_agg(s.day order by s.position) as days, array_agg(s.kind order by s.position) as kinds
from billing.dunning_steps as s
group by s.policy_id;

comment on view billing_private.dunning_ladders is 'The steps of each policy as two arrays, indexed by position.';
comment on column billing_private.dunning_ladders.policy_id is 'The version of a policy (billing.dunning_policies.id).';
comment on column billing_private.dunning_ladders.days is 'The day of each step, ascending.';
comment on column billing_private.dunning_ladders.kinds is 'The kind of each step; end, if there is one, comes last.';

create function billing_private.due_dunning_step(
  p_days integer[],
  p_kinds text[],
  p_from timestamptz,
  p_taken integer,
  p_last_mail_at timestamptz,
  p_warned_at timestamptz,
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
    return case
      when p_now >= greatest(p_from + p_days[last] * interval '24 hours', p_warned_at + interval '72 hours') and p_warned_at is not null
      then last
    end;
  elsif p_last_mail_at > p_now - interval '20 hours' then
    -- A run that was late and one that is on time are no reason to write twice in a day.
    return null;
  elsif p_taken = 0 then
    -- However long it has been overdue, nobody hears of it first as a warning.
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
  'Position of the step that is due at p_now, or null: the highest whose day has come, counted from p_from (ladder_from); the first while p_taken (the highest position taken) is 0; at most one mail in 20 hours (p_last_mail_at); the end only three days after the final warning was sent (p_warned_at). A day is 24 hours, whatever the session''s time zone.';

create type billing_private.dunning_fact as (
  case_id bigint,
  subject_id text,
  customer text,
  subscription text,
  policy_id bigint,
  days integer[],
  kinds text[],
  anchor_invoice text,
  anchor_at timestamptz,
  ladder_from timestamptz,
  currency text,
  amount bigint,
  invoices text[],
  taken integer,
  last_mail_at timestamptz,
  warned_at timestamptz,
  due integer
);

comment on type billing_private.dunning_fact is
  'An open case with something overdue: its ladder, its anchor, from when its days are counted, what is owed (minor units), the highest position taken about the anchor''s invoice, and the position due.';

create function billing_private.dunning_facts(p_customers text[], p_now timestamptz)
returns setof billing_private.dunning_fact
-- Not in SQL, where it would be planned anew each time: every event of an invoice in a case asks.
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
    select
      c.id, c.subject_id, c.customer, c.subscription, c.policy_id, l.days, l.kinds, o.invoices[1], o.anchor_at, o.ladder_from, o.currency, o.amount,
      o.invoices, a.taken, a.last_mail_at, a.warned_at,
      billing_private.due_dunning_step(
        l.days, l.kinds, o.ladder_from, a.taken, case when a.taken = 0 then a.last_mail_at else m.last_mail_at end, a.warned_at, p_now
      )
    from billing.dunning_cases as c
    join billing_private.dunning_ladders as l on l.policy_id = c.policy_id
    cross join lateral (
      select
        array_agg(v.invoice order by v.overdue_since, v.invoice) as invoices,
        min(v.overdue_since) as anchor_at,
        (array_agg(greatest(v.overdue_since, k.known_at) order by v.overdue_since, v.invoice))[1] as ladder_from,
        min(v.currency) as currency,
        sum(v.amount_remaining)::bigint as amount
      from billing.dunning_case_invoices as k
      join billing_private.overdue_invoices as v on v.invoice = k.invoice
      where k.case_id = c.id and v.overdue_since <= p_now
    ) as o
    cross join lateral (
      select
        coalesce(
          max(d.position) filter (
            where o.invoices[1] = any (d.invoices)
              and d.status in ('planned', 'sent', 'done', 'coalesced', 'switched_off', 'failed')
          ),
          0
        ) as taken,
        max(greatest(d.settled_at, d.decided_at)) filter (
          where d.kind <> 'end' and d.status in ('planned', 'sent', 'undeliverable')
        ) as last_mail_at,
        max(greatest(d.settled_at, d.decided_at)) filter (
          where d.kind = 'final_warning' and d.status = 'sent' and o.invoices[1] = any (d.invoices)
        ) as warned_at
      from billing.dunning_actions as d
      where d.case_id = c.id
    ) as a
    -- Of all cases in that currency, the closed ones too: it is the same person who is written to. But that another
    -- payment has failed is news that leaves at once. A mail that came back is written anew, but no sooner.
    cross join lateral (
      select max(greatest(d.settled_at, d.decided_at)) as last_mail_at
      from billing.dunning_cases as k
      join billing.dunning_actions as d on d.case_id = k.id
      where k.customer = c.customer and k.currency = c.currency and d.kind <> 'end' and d.status in ('planned', 'sent', 'undeliverable')
    ) as m
    where c.status = 'open'
      and c.customer = any (p_customers)
      and o.anchor_at is not null;
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
            -- One that takes nothing time after time is no better, and a person has to find another.
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
        when p_fact.amount < (
          select (p.minimum_amounts ->> p_fact.currency)::bigint from billing.dunning_policies as p where p.id = p_fact.policy_id
        )
        then 'below_minimum'
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
  'What keeps a case from its next step at p_now: dispute, paused_collection, manual, excluded_customer, undeliverable_address, payment_processing, below_minimum. Empty: nothing does.';
