-- Readers of payments, charges, payment records and disputes, in every API version (see stripe_shapes).
-- Reads: the object it is given. Writes: nothing. Called by: projection of payments, refunds, disputes.

create function billing_private.payment_intent_status(p_intent jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case p_intent ->> 'status'
    when 'requires_source' then 'requires_payment_method'
    when 'requires_source_action' then 'requires_action'
    else p_intent ->> 'status'
  end;
end;
$$;

comment on function billing_private.payment_intent_status is
  'Status of a PaymentIntent: requires_payment_method and requires_action were requires_source and requires_source_action before 2019-02-11.';

create function billing_private.charge_status(p_charge jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    -- A released or expired authorization: Stripe calls it succeeded and refunded.
    when p_charge -> 'captured' = 'false' and p_charge -> 'refunded' = 'true' then 'canceled'
    when p_charge ->> 'status' = 'paid' then 'succeeded'
    when p_charge ->> 'status' is null and p_charge ? 'paid' then case when p_charge -> 'paid' = 'true' then 'succeeded' else 'failed' end
    else p_charge ->> 'status'
  end;
end;
$$;

comment on function billing_private.charge_status is
  'Status of a charge: succeeded was called paid before 2015-02-18, and before there was a status only the boolean paid told; canceled for a released authorization.';

create function billing_private.amount_of_charge(p_charge jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.charge_status(p_charge) is distinct from 'succeeded' or p_charge -> 'captured' = 'false' then 0
    else coalesce((p_charge ->> 'amount_captured')::bigint, (p_charge ->> 'amount')::bigint)
  end;
end;
$$;

comment on function billing_private.amount_of_charge is
  'What a charge brought, minor units: amount_captured (since 2020; amount before), and nothing while it is only reserved.';

create function billing_private.minor_units(p_amount jsonb)
returns bigint
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return (p_amount ->> 'value')::bigint;
end;
$$;

comment on function billing_private.minor_units is 'Minor units of an amount that Stripe writes as {value, currency}, as payment records do.';

create function billing_private.payment_record_status(p_record jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.minor_units(p_record -> 'amount_guaranteed') > 0 then 'succeeded'
    when billing_private.minor_units(p_record -> 'amount_canceled') > 0 then 'canceled'
    when billing_private.minor_units(p_record -> 'amount_failed') > 0 then 'failed'
    else 'pending'
  end;
end;
$$;

comment on function billing_private.payment_record_status is
  'Status of a payment record, which has amounts and no status: succeeded once something of it is guaranteed; canceled, failed, pending.';

create function billing_private.payment_of(p_object jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_object -> 'payment_intent'),
    billing_private.stripe_id(p_object #> '{charge,payment_intent}'),
    billing_private.stripe_id(p_object -> 'charge')
  );
end;
$$;

comment on function billing_private.payment_of is
  'Payment a refund or dispute is about: its payment_intent, also where the charge is expanded, else the charge.';

create function billing_private.dispute_movements(p_dispute jsonb, out withdrawn bigint, out reinstated bigint)
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  currency constant text := p_dispute ->> 'currency';
  amount constant bigint := (p_dispute ->> 'amount')::bigint;
  moved record;
begin
  select
    coalesce(bool_and(b.value ->> 'currency' = currency), false) as is_comparable,
    count(*) filter (where b.amount < 0) as times_withdrawn,
    count(*) filter (where b.amount > 0) as times_reinstated,
    coalesce(-sum(b.amount) filter (where b.amount < 0), 0) as withdrawn,
    coalesce(sum(b.amount) filter (where b.amount > 0), 0) as reinstated
  into moved
  from (
    select e.value, (e.value ->> 'amount')::bigint as amount
    from jsonb_array_elements(
      case when jsonb_typeof(p_dispute -> 'balance_transactions') = 'array' then p_dispute -> 'balance_transactions' else '[]' end
    ) as e
    where jsonb_typeof(e.value) = 'object'
  ) as b;
  if moved.is_comparable then
    withdrawn := moved.withdrawn;
    reinstated := moved.reinstated;
  else
    -- The balance is in another currency, and its rate moves: all of it went, or came back.
    withdrawn := amount * moved.times_withdrawn;
    reinstated := amount * moved.times_reinstated;
  end if;
end;
$$;

comment on function billing_private.dispute_movements is
  'What a dispute took from the balance and gave back, as its balance_transactions say (minor units of the dispute''s currency, without fees); 0 where they say nothing.';
