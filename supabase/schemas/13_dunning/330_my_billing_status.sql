-- My billing status: what the owners a signed-in user belongs to owe, and seats that could not be paid, for a banner in
-- the application.
-- Reads: customers, subscriptions, overdue invoices, dunning facts, seats. Writes: nothing.
-- Called by: signed-in users, through the Data API.

create function billing_private.end_if_unpaid(
  p_fact billing_private.dunning_fact, p_subscription text, p_now timestamptz, out action text, out at timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
begin
  if billing_private.end_removes_access(p_fact.end_action, p_subscription)
    -- Null where the subscription ends by itself before.
    and p_fact.ends_at is not null
    and p_fact.taken < cardinality(p_fact.kinds)
    -- What is held does not end.
    and billing_private.dunning_obstacles(p_fact, p_now) = '{}'
  then
    action := p_fact.end_action;
    at := p_fact.ends_at;
  end if;
end;
$$;

comment on function billing_private.end_if_unpaid is
  'What a case does at its end, and when at the earliest, if nobody pays; nulls where nothing is taken away, or something holds it.';

create function billing_private.unpaid_seats_of(p_owners uuid[])
returns table (
  owner uuid,
  sub text,
  reason text,
  since timestamptz,
  seats bigint,
  seats_paid bigint,
  invoice text,
  invoice_number text,
  hosted_invoice_url text
)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select
    s.owner_id, s.subscription, 'seats_' || s.status, s.status_since, s.quantity, s.stripe_quantity,
    i.id, i.number, i.hosted_invoice_url
  from billing.seats as s
  join billing.subscriptions as b on b.id = s.subscription
  -- While the change waits, its invoice can be paid.
  left join billing.invoices as i on b.pending_update is not null and i.id = b.latest_invoice and i.status = 'open'
  where s.owner_id = any (p_owners) and s.status in ('declined', 'expired');
end;
$$;

comment on function billing_private.unpaid_seats_of is
  'Of these owners, whose payment for more seats was declined: seats_declined, the change waits at Stripe, and its invoice can be paid; seats_expired, it waited in vain.';

create function billing.my_billing_status(p_now timestamptz default now())
returns table (
  owner_id uuid,
  can_manage boolean,
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
  ends_at timestamptz,
  last_day_to_pay date,
  reason text,
  seats bigint,
  seats_paid bigint
)
language plpgsql
stable
-- Definer: users read no dunning tables. It shows them what is their owners', by my_owners.
security definer
set search_path = ''
as $$
begin
  return query
  with mine as (
    select c.id, w.owner_id as owner, w.can_manage as is_managed
    from billing.my_owners() as w
    join billing.customers as c on c.owner_id = w.owner_id
    where c.deleted_at is null
  ),
  facts as (
    select f.subject_id as case_subject, f as fact
    from billing_private.dunning_facts(array(select m.id from mine as m), p_now) as f
  ),
  owed as (
    select
      m.owner,
      m.is_managed,
      v.subject_id,
      v.subscription as sub,
      v.currency as currency_code,
      sum(v.amount_remaining)::bigint as amount,
      min(v.overdue_since) as since,
      array_agg(v.invoice order by v.overdue_since, v.invoice) as invoices
    from billing_private.overdue_invoices as v
    join mine as m on m.id = v.customer
    where v.overdue_since <= p_now
    group by m.owner, m.is_managed, v.subject_id, v.subscription, v.currency
  )
  select
    o.owner,
    o.is_managed,
    o.sub,
    billing_private.product_name_of(i.subscription),
    case when o.is_managed then o.amount end,
    case when o.is_managed then o.currency_code end,
    o.since,
    case when o.is_managed then i.id end,
    case when o.is_managed then i.number end,
    case when o.is_managed then i.hosted_invoice_url end,
    case when o.is_managed then cardinality(o.invoices) end,
    case
      when o.is_managed then exists (
        select from billing.payments as y where y.invoice_id = any (o.invoices) and y.status = 'requires_action'
      )
    end,
    case
      when o.is_managed then (
        select min(n.next_payment_attempt)
        from billing.invoices as n
        where n.id = any (o.invoices) and n.next_payment_attempt > p_now
      )
    end,
    coalesce(billing_private.gives_access(o.sub), true),
    e.action,
    e.at,
    (e.at at time zone 'UTC')::date - 1,
    'overdue',
    null::bigint,
    null::bigint
  from owed as o
  join billing.invoices as i on i.id = o.invoices[1]
  left join facts as f on f.case_subject = o.subject_id
  cross join lateral billing_private.end_if_unpaid(f.fact, o.sub, p_now) as e
  order by o.since, o.subject_id;

  -- Nearly nobody has any. To plan the joins below, anew for each array of owners, takes longer than all the rest.
  if not exists (
    select
    from billing.my_owners() as w
    join billing.seats as s on s.owner_id = w.owner_id
    where w.can_manage and s.status in ('declined', 'expired')
  ) then
    return;
  end if;
  return query
  select
    u.owner, true, u.sub, billing_private.product_name_of(u.sub), null::bigint, null::text, u.since,
    u.invoice, u.invoice_number, u.hosted_invoice_url, null::integer, null::boolean, null::timestamptz,
    coalesce(billing_private.gives_access(u.sub), true), null::text, null::timestamptz, null::date, u.reason, u.seats, u.seats_paid
  from billing_private.unpaid_seats_of(array(select w.owner_id from billing.my_owners() as w where w.can_manage)) as u
  order by u.since, u.owner;
end;
$$;

comment on function billing.my_billing_status is
  'What the owners owe that the signed-in user belongs to (reason overdue): one row for each owner (owner_id), overdue subscription (or invoice without one) and currency, the oldest first; no rows when all is paid. Only who manages the owner (can_manage) is told what to pay and where: amount_due, currency, invoice, invoice_number, hosted_invoice_url, invoice_count, needs_confirmation and next_payment_attempt are null for other members. amount_due in minor units of currency over invoice_count invoices, overdue_since the first failed attempt or due date; invoice, invoice_number and hosted_invoice_url (where to pay) of the oldest; needs_confirmation: the bank waits for the customer (3-D Secure); next_payment_attempt: when Stripe tries again by itself, or null; has_access now; end_action (cancel, pause) is what happens at ends_at, at the earliest, if nobody pays, and null where nothing will; last_day_to_pay is the day (UTC) before. Then, for managers only, seats that are in use and could not be charged, which is no debt and ends nothing: reason seats_declined, where seats instead of seats_paid wait for a payment and the invoice can be paid; seats_expired, where it waited in vain and a new card tries again; overdue_since says since when.';

grant execute on function billing.my_billing_status(timestamptz) to authenticated;
