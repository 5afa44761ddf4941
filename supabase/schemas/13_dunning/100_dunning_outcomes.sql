-- Outcomes: what has become of a case, by what is known of its invoices and its subscription.
-- Reads: dunning tables, invoices, subscriptions, customers. Writes: nothing.
-- Called by: closing, ends, resuming, dunning access, emails about subscriptions.

create function billing_private.was_paused_by_end_of_case(p_case billing.dunning_cases, p_paused_at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(
      -- The clock by which the end was decided may be ahead of Stripe's: that of the daily run's noon, or of a test clock.
      p_paused_at between (
        select max(d.decided_at) - interval '24 hours' from billing.dunning_actions as d where d.case_id = p_case.id and d.kind = 'end'
      ) and coalesce(p_case.closed_at, 'infinity') + interval '10 minutes',
      false
    )
  );
end;
$$;

comment on function billing_private.was_paused_by_end_of_case is
  'Whether a subscription was paused while the end of a case was carried out: the mark of the case alone does not tell, as it stays.';

create function billing_private.ended_by_dunning(p_case billing.dunning_cases)
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
      where s.id = p_case.subscription
        and billing_private.metadata_of(s.id) ->> 'duebase_dunning_case' = p_case.id::text
        -- The mark is put before the end is made, and stays if that is canceled: a later end is the customer's own.
        and case
          when s.status = 'canceled' then coalesce(s.ended_at <= p_case.closed_at + interval '10 minutes', true)
          when p_case.resumed_at is not null then false
          when s.status = 'paused' and billing_private.was_paused_by_end_of_case(p_case, billing_private.paused_at(s.status_details)) then true
          else s.pause_collection is not null
        end
    )
  );
end;
$$;

comment on function billing_private.ended_by_dunning is
  'Whether Duebase canceled or paused the subscription of a case: Stripe''s record carries the case in its metadata.';

create function billing_private.recovered_amount(p_case_id bigint)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Stripe also calls an invoice paid where a credit note, a balance or credits covered it; only amount_paid is money.
  return (
    select coalesce(sum(greatest(i.amount_paid - k.amount_paid_before, 0)), 0)::bigint
    from billing.dunning_case_invoices as k
    join billing.invoices as i on i.id = k.invoice
    where k.case_id = p_case_id
  );
end;
$$;

comment on function billing_private.recovered_amount is
  'The money that has come for the invoices of a case since they joined it, minor units of its currency.';

create function billing_private.is_paused_for_nonpayment(p_subscription text)
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
      left join billing.dunning_cases as c on c.subscription = s.id and c.id::text = billing_private.metadata_of(s.id) ->> 'duebase_dunning_case'
      where s.id = p_subscription
        and (
          (s.status = 'paused' and billing_private.pause_cause(s.status_details) in ('first_payment_failure', 'final_payment_failure'))
          or (s.status <> 'canceled' and billing_private.ended_by_dunning(c))
        )
    )
  );
end;
$$;

comment on function billing_private.is_paused_for_nonpayment is
  'Whether a subscription is paused because it was not paid: paused by Stripe after a failed payment, or by the end of a dunning case. Only such a pause is ours to end.';

create function billing_private.is_canceled_without_debt(p_case billing.dunning_cases, p_outcome text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select p_outcome in ('recovered', 'settled_without_payment', 'voided')
      and billing_private.ended_by_dunning(p_case)
      -- What was paused goes on by itself, as it is paid.
      and exists (select from billing.subscriptions as s where s.id = p_case.subscription and s.status = 'canceled')
  );
end;
$$;

comment on function billing_private.is_canceled_without_debt is
  'Whether Duebase canceled the subscription of a case of which nothing is unpaid any more.';

create function billing_private.dunning_outcome(p_case billing.dunning_cases)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  invoices record;
  is_ending constant boolean := exists (
    select from billing.dunning_actions as d where d.case_id = p_case.id and d.kind = 'end' and d.status = 'planned'
  );
begin
  select
    bool_or(not u.is_of_declined_update) as any_open,
    bool_or(u.is_of_declined_update) as any_declined,
    bool_or(i.status = 'paid') as any_paid,
    bool_or(i.status = 'uncollectible') as any_uncollectible
  into invoices
  from billing.dunning_case_invoices as k
  join billing.invoices as i on i.id = k.invoice
  left join billing_private.unpaid_invoices as u on u.invoice = i.id
  where k.case_id = p_case.id;

  if invoices.any_open then
    return case
      when exists (select from billing.customers as c where c.id = p_case.customer and c.deleted_at is not null) then 'customer_deleted'
      -- finish_dunning_end closes a case that Duebase ends itself.
      when is_ending and billing_private.ended_by_dunning(p_case) then null
      when exists (
        select from billing.subscriptions as s where s.id = p_case.subscription and s.status in ('canceled', 'incomplete_expired')
      ) then 'subscription_ended'
    end;
  elsif invoices.any_paid and billing_private.recovered_amount(p_case.id) > 0 then
    return 'recovered';
  elsif invoices.any_uncollectible then
    return case
      when not is_ending
        or (select p.end_action from billing.dunning_policies as p where p.id = p_case.policy_id) <> 'mark_uncollectible'
      then 'uncollectible'
    end;
  elsif invoices.any_paid then
    return 'settled_without_payment';
  elsif invoices.any_declined then
    return 'not_owed';
  end if;
  return 'voided';
end;
$$;

comment on function billing_private.dunning_outcome is 'How a case has come to its end by what is known of its invoices, subscription and customer; null while it goes on.';
