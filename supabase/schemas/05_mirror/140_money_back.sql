-- What refunds and disputes take of a payment, and what to call a payment after that.
-- Refunds and disputes say so themselves; of refunds that nobody told of, the charge knows the sum.
-- Reads: payment_sources. Writes: payment_sources, payments. Called by: projection of refunds, disputes, payments.

create function billing_private.record_refund_or_dispute(p_event billing.stripe_events, p_kind text, p_payment_id text, p_object jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_payment_id is null then
    return; -- a refund of a customer's cash balance, which no payment of ours brought
  end if;
  insert into billing_private.payment_sources as s (payment_id, kind, object_id, amount, currency, status, created, as_of)
  values (
    p_payment_id, p_kind, p_event.object_id, (p_object ->> 'amount')::bigint, p_object ->> 'currency',
    coalesce(p_object ->> 'status', 'succeeded'), to_timestamp((p_object ->> 'created')::double precision), p_event.created
  )
  on conflict (payment_id, kind, object_id) do update
    set
      amount = excluded.amount, currency = excluded.currency, status = excluded.status,
      -- A dispute is weighed again by a stale event, too.
      as_of = greatest(s.as_of, excluded.as_of);
  if not billing_private.save_payment(p_payment_id) then
    return; -- no source knows of money yet
  end if;
end;
$$;

comment on function billing_private.record_refund_or_dispute is
  'Records what a refund or dispute (p_kind) says of its payment. It makes no payment where none is known.';

create function billing_private.contested_amounts(
  p_payment billing.payments,
  p_charge billing_private.payment_sources,
  out amount_refunded bigint,
  out amount_disputed bigint,
  out amount_lost bigint
)
language plpgsql
stable
set search_path = ''
as $$
declare
  returned bigint;
  abroad record;
  left_of_it bigint;
begin
  select
    coalesce(sum(s.amount) filter (where s.kind = 'refund' and s.status not in ('failed', 'canceled')), 0),
    -- The charge's sum still has these, if they failed after it was told.
    coalesce(sum(s.amount) filter (where s.kind = 'refund' and s.status in ('failed', 'canceled') and s.as_of >= p_charge.as_of), 0),
    coalesce(sum(s.amount) filter (where s.kind = 'dispute' and s.status = 'disputed' and s.currency = p_payment.currency), 0),
    coalesce(sum(s.amount) filter (where s.kind = 'dispute' and s.status = 'lost' and s.currency = p_payment.currency), 0)
  into amount_refunded, returned, amount_disputed, amount_lost
  from billing_private.payment_sources as s
  where s.payment_id = p_payment.id and s.kind in ('refund', 'dispute');
  -- All refunds told of: their sum, and the charge knows no more. Some not: the charge knows more.
  amount_refunded := greatest(amount_refunded, p_charge.amount_refunded - returned);

  -- Disputes in the bank's own currency: the converted amount is not known, so all that is left of the payment counts as withheld, once,
  -- however many there are. See billing.revenue, which gives it to the same one.
  select s.status
  into abroad
  from billing_private.payment_sources as s
  where s.payment_id = p_payment.id and s.kind = 'dispute' and s.amount > 0 and s.currency <> p_payment.currency
  order by s.status = 'lost' desc, s.created, s.object_id collate "C"
  limit 1;
  p_payment.amount_refunded := amount_refunded;
  left_of_it := greatest(p_payment.amount_received - billing_private.amount_returned(p_payment) - amount_disputed - amount_lost, 0);
  if abroad.status = 'lost' then
    amount_lost := amount_lost + left_of_it;
  elsif abroad.status is not null then
    amount_disputed := amount_disputed + left_of_it;
  end if;
end;
$$;

comment on function billing_private.contested_amounts is
  'What refunds and disputes took of a payment, or hold back (minor units): of refunds, those told of, or the charge''s sum less those that failed since, whichever is more; of disputes in another currency, all that is left, once.';

create function billing_private.amount_returned(p_payment billing.payments)
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Stripe counts as refunded what was reserved and not taken: all of a hold that was let go, or the rest of one that
  -- was captured in part. Nothing of it ever came in.
  return greatest(
    least(
      p_payment.amount_refunded
        - case when p_payment.status = 'succeeded' then greatest(p_payment.amount - p_payment.amount_received, 0) else 0 end,
      p_payment.amount_received
    ),
    0
  );
end;
$$;

comment on function billing_private.amount_returned is
  'Of what Stripe counts as refunded of a payment (amount_refunded, minor units), the part that had come in.';

create function billing_private.payment_outcome(p_payment billing.payments)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_payment.amount_disputed > 0 then 'disputed'
    when p_payment.amount_lost > 0 then 'lost'
    when p_payment.amount_received > 0 and p_payment.amount_refunded >= p_payment.amount_received then 'refunded'
    when p_payment.amount_refunded > 0 then 'partially_refunded'
    when p_payment.amount_received > 0 then 'paid'
    when p_payment.status in ('canceled', 'failed') then p_payment.status
    else 'pending'
  end;
end;
$$;

comment on function billing_private.payment_outcome is 'What became of a payment''s money: see billing.payments.outcome.';
