-- Refunds, as in Stripe, and what each takes back of its payment.
-- Reads: refund.*, charge.refund.updated. Writes: refunds, payment_sources, payments. Called by: projection.

create table billing.refunds (
  id text primary key,
  payment_id text,
  payment_intent text,
  charge text,
  amount bigint not null,
  currency text not null,
  status text not null,
  reason text,
  failure_reason text,
  receipt_number text,
  metadata jsonb not null default '{}',
  created timestamptz
);

comment on table billing.refunds is
  'One row per Stripe refund. Amounts are in the minor unit of currency. What a payment lost to its refunds is in billing.payments.amount_refunded.';
comment on column billing.refunds.amount is 'What is returned, minor units of currency.';
comment on column billing.refunds.payment_id is 'Payment it is taken from (billing.payments.id): the PaymentIntent, or the charge where there is none. No foreign key: Stripe may send the refund first.';
comment on column billing.refunds.charge is 'Charge it is taken from.';
comment on column billing.refunds.status is
  'Stripe''s: pending, requires_action, succeeded, failed, canceled, and what Stripe adds. failed and canceled give the money back to us; a refund that succeeded can still fail.';
comment on column billing.refunds.reason is 'Why it was made: duplicate, fraudulent, requested_by_customer, expired_uncaptured_charge; null where nobody said.';
comment on column billing.refunds.failure_reason is 'Why it failed: lost_or_stolen_card, expired_or_canceled_card, …';
comment on column billing.refunds.created is 'When it was made (UTC).';

create index refunds_by_payment on billing.refunds (payment_id);
create index refunds_by_day on billing.refunds (((created at time zone 'UTC')::date));
alter table billing.refunds enable row level security;
create policy service_role_reads on billing.refunds for select to service_role using (true);
grant select on billing.refunds to service_role;

create function billing_private.project_refund(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  paid constant text := billing_private.payment_of_source(billing_private.payment_of(o));
begin
  if o is null then
    return;
  end if;
  insert into billing.refunds as r
    (id, payment_id, payment_intent, charge, amount, currency, status, reason, failure_reason, receipt_number, metadata, created)
  values (
    p_event.object_id,
    paid,
    billing_private.stripe_id(o -> 'payment_intent'),
    billing_private.stripe_id(o -> 'charge'),
    (o ->> 'amount')::bigint,
    o ->> 'currency',
    coalesce(o ->> 'status', 'succeeded'),
    o ->> 'reason',
    o ->> 'failure_reason',
    o ->> 'receipt_number',
    coalesce(nullif(o -> 'metadata', 'null'), '{}'),
    to_timestamp((o ->> 'created')::double precision)
  )
  on conflict (id) do update
    set
      payment_id = excluded.payment_id,
      payment_intent = excluded.payment_intent,
      charge = excluded.charge,
      amount = excluded.amount,
      currency = excluded.currency,
      status = excluded.status,
      reason = excluded.reason,
      failure_reason = excluded.failure_reason,
      receipt_number = excluded.receipt_number,
      metadata = excluded.metadata,
      created = excluded.created;

  perform billing_private.record_refund_or_dispute(p_event, 'refund', paid, o);
end;
$$;

comment on function billing_private.project_refund is 'Handler: refund.*, and charge.refund.updated, which older endpoints get instead.';
