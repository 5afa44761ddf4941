-- Disputes, as in Stripe, and what each holds back or takes of its payment.
-- Reads: charge.dispute.*. Writes: disputes, payment_sources, payments. Called by: projection.

create table billing.disputes (
  id text primary key,
  payment_id text,
  payment_intent text,
  charge text,
  amount bigint not null,
  currency text not null,
  status text not null,
  reason text,
  is_charge_refundable boolean,
  due_by timestamptz,
  has_evidence boolean,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  funds_withdrawn_at timestamptz,
  funds_reinstated_at timestamptz,
  closed_at timestamptz
);

comment on table billing.disputes is
  'One row per Stripe dispute: a customer went to the bank about a charge. Amounts are in the minor unit of currency. What a payment lost to it is in billing.payments.amount_disputed and amount_lost.';
comment on column billing.disputes.amount is 'What is disputed, minor units of currency; it may be less than the payment.';
comment on column billing.disputes.payment_id is 'Payment it is about (billing.payments.id): the PaymentIntent, or the charge where there is none. No foreign key: Stripe may send the dispute first.';
comment on column billing.disputes.status is
  'Stripe''s: needs_response, under_review, won, lost; warning_needs_response, warning_under_review, warning_closed for an inquiry, which takes no money; and what Stripe adds.';
comment on column billing.disputes.reason is 'What the customer told the bank: fraudulent, product_not_received, …';
comment on column billing.disputes.is_charge_refundable is 'Whether a refund can still end it.';
comment on column billing.disputes.due_by is 'Until when Stripe takes evidence (UTC); evidence_details.due_by.';
comment on column billing.disputes.has_evidence is 'Whether evidence was handed in; evidence_details.has_evidence.';
comment on column billing.disputes.funds_withdrawn_at is 'created of charge.dispute.funds_withdrawn (UTC); funds_reinstated_at likewise.';
comment on column billing.disputes.closed_at is 'created of charge.dispute.closed (UTC).';

create index disputes_by_payment on billing.disputes (payment_id);
alter table billing.disputes enable row level security;

create function billing_private.project_dispute(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.accept_object(p_event);
  paid constant text := billing_private.payment_of(o);
begin
  if o is null then
    return;
  end if;
  insert into billing.disputes as d (
    id, payment_id, payment_intent, charge, amount, currency, status, reason, is_charge_refundable, due_by, has_evidence,
    metadata, livemode, created
  )
  values (
    p_event.object_id,
    paid,
    billing_private.stripe_id(o -> 'payment_intent'),
    billing_private.stripe_id(o -> 'charge'),
    (o ->> 'amount')::bigint,
    o ->> 'currency',
    o ->> 'status',
    o ->> 'reason',
    (o ->> 'is_charge_refundable')::boolean,
    to_timestamp((o #>> '{evidence_details,due_by}')::double precision),
    (o #>> '{evidence_details,has_evidence}')::boolean,
    coalesce(nullif(o -> 'metadata', 'null'), '{}'),
    (o ->> 'livemode')::boolean,
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
      is_charge_refundable = excluded.is_charge_refundable,
      due_by = excluded.due_by,
      has_evidence = excluded.has_evidence,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created;

  perform billing_private.take_back(p_event, 'dispute', paid, o);
end;
$$;

comment on function billing_private.project_dispute is 'Handler: charge.dispute.*, all of which carry the dispute.';

create function billing_private.record_dispute_step(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- project_dispute has run: the row is there even when this event was stale.
  update billing.disputes as d
  set
    funds_withdrawn_at = case p_event.type
      when 'charge.dispute.funds_withdrawn' then least(d.funds_withdrawn_at, p_event.created) else d.funds_withdrawn_at
    end,
    funds_reinstated_at = case p_event.type
      when 'charge.dispute.funds_reinstated' then least(d.funds_reinstated_at, p_event.created) else d.funds_reinstated_at
    end,
    closed_at = case p_event.type
      when 'charge.dispute.closed' then least(d.closed_at, p_event.created) else d.closed_at
    end
  where d.id = p_event.object_id;
end;
$$;

comment on function billing_private.record_dispute_step is
  'Handler: charge.dispute.funds_withdrawn, funds_reinstated, closed. When each happened is a fact of its own, whatever state came after it.';

create function billing_private.has_open_dispute(p_customer text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select
    from billing.payments as p
    join billing.disputes as d on d.payment_id = p.id
    where p.customer = p_customer
      and d.status in ('needs_response', 'under_review', 'warning_needs_response', 'warning_under_review')
  );
end;
$$;

comment on function billing_private.has_open_dispute is
  'Whether a customer disputes a payment and neither side has won yet; an inquiry of the bank counts.';
