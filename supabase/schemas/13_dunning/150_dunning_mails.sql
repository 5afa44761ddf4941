-- Dunning mails: what they say of what is overdue, and of what happens next.
-- Reads: dunning facts, invoices, policies. Writes: nothing. Called by: dunning steps.

create function billing_private.dunning_severity(p_kind text)
returns integer
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array_position(array['notice', 'urgent_reminder', 'final_warning', 'end'], p_kind);
end;
$$;

comment on function billing_private.dunning_severity is 'Order of the kinds of steps, the mildest first.';

create function billing_private.end_removes_access(p_end_action text, p_subscription text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select exists (
      select
      from billing.subscriptions as s
      where s.id = p_subscription and (p_end_action = 'cancel' or (p_end_action = 'pause' and s.status <> 'paused'))
    )
  );
end;
$$;

comment on function billing_private.end_removes_access is
  'Whether an end action takes anything from whoever has a subscription: not where there is none, and a pause not where it is paused already.';

create function billing_private.gives_access(p_subscription text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(billing_private.dunning_access(s.id), s.status in ('active', 'trialing', 'past_due'))
    from billing.subscriptions as s
    where s.id = p_subscription
  );
end;
$$;

comment on function billing_private.gives_access is
  'Whether a subscription gives access at this moment, by its status and by dunning; null for one nobody has told of.';

create function billing_private.debt_terms(p_fact billing_private.dunning_fact)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'endsAt', case when billing_private.end_removes_access(p_fact.end_action, p_fact.subscription) then p_fact.ends_at end,
    'action', case when p_fact.end_action in ('cancel', 'pause') then p_fact.end_action end,
    'setToEndAt', p_fact.scheduled_end,
    'leaving', coalesce(p_fact.is_leaving, false)
  );
end;
$$;

comment on function billing_private.debt_terms is 'What happens if a debt stays unpaid, and when, as emails/contract.ts has it of each overdue invoice.';

create function billing_private.dunning_mail_invoices(p_facts billing_private.dunning_fact[], p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with listed as (
      select
        i.*, v.overdue_since, f.subscription as case_subscription, billing_private.debt_terms(f) as terms,
        row_number() over (order by v.overdue_since, i.id) as place
      from unnest(p_facts) as f
      cross join lateral unnest(f.invoices) as x (invoice)
      join billing.invoices as i on i.id = x.invoice
      join billing_private.overdue_invoices as v on v.invoice = i.id
    )
    select jsonb_build_object(
      'currency', min(l.currency),
      -- The oldest; a mail that lists hundreds is cut off by whoever shows it.
      'invoices', jsonb_agg(
        jsonb_build_object(
          'productName', billing_private.product_name_of(l.subscription),
          'invoiceNumber', l.number,
          'amountDue', l.amount_remaining,
          'overdueSince', l.overdue_since,
          'hostedInvoiceUrl', l.hosted_invoice_url,
          'collectionMethod', l.collection_method,
          'subscription', l.case_subscription,
          'terms', l.terms
        )
        order by l.place
      ) filter (where l.place <= 20),
      -- Of several invoices only what holds for each.
      'nextPaymentAttempt', case
        when count(distinct coalesce(l.next_payment_attempt, '-infinity')) = 1
        then min(l.next_payment_attempt) filter (where l.next_payment_attempt > p_now)
      end
    )
    || case when count(*) > 20 then jsonb_build_object('invoiceCount', count(*), 'totalDue', sum(l.amount_remaining)) else '{}' end
    from listed as l
  );
end;
$$;

comment on function billing_private.dunning_mail_invoices is
  'The overdue invoices of some cases, as a failure email lists them (emails/contract.ts): the oldest 20 in detail, and of more how many and what in all.';

create function billing_private.dunning_mail_props(p_facts billing_private.dunning_fact[], p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  ending record;
begin
  -- What is taken away first, of what can be taken away.
  select f.ends_at as at, f.end_action, f.scheduled_end
  into ending
  from unnest(p_facts) as f
  where billing_private.end_removes_access(f.end_action, f.subscription) and f.ends_at is not null
  order by 1
  limit 1;

  return billing_private.dunning_mail_invoices(p_facts, p_now) || jsonb_build_object(
    'customerName', null, 'paymentMethod', null,
    'declineCode', (
      select y.failure_code
      from billing.payments as y
      where y.invoice_id = p_facts[1].anchor_invoice and y.status <> 'succeeded'
      order by y.created desc
      limit 1
    ),
    'newCardDeclined', billing_private.declined_new_card(array(select f.case_id from unnest(p_facts) as f)),
    'accessEndsAt', ending.at,
    'daysLeft', greatest((ending.at at time zone 'UTC')::date - (p_now at time zone 'UTC')::date, 0),
    'endAction', ending.end_action,
    'setToEndAt', ending.scheduled_end,
    'accessContinues', (
      select bool_and(p.keeps_access and coalesce(billing_private.gives_access(f.subscription), true))
      from unnest(p_facts) as f
      join billing.dunning_policies as p on p.id = f.policy_id
    ),
    'leaving', (select bool_and(f.is_leaving) from unnest(p_facts) as f)
  );
end;
$$;

comment on function billing_private.dunning_mail_props is
  'What a failure email says of the overdue invoices of some cases, as emails/contract.ts has it (amounts in minor units): the oldest 20, and of more than that how many and what in all. No word of losing access where nothing is taken away, or the subscription ends by itself before.';

create function billing_private.is_confirmation_requested(p_invoice text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select exists (
      select
      from billing.invoices as i
      join billing.outbox as o on o.dedupe_key = format('action-required:%s:%s', i.id, coalesce(i.attempt_count, 0))
      where i.id = p_invoice and o.status <> 'canceled'
    )
  );
end;
$$;

comment on function billing_private.is_confirmation_requested is
  'Whether the latest attempt at an invoice waits for the customer''s confirmation (3-D Secure), which an email of its own asks for.';
