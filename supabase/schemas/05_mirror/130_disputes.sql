-- Disputes, as in Stripe, and what each holds back or takes of its payment.
-- How much is withheld follows from the money that moved and not from a list of statuses, to which Stripe adds: a lost dispute is
-- appealed, one is prevented and the money gone all the same.
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
  closed_at timestamptz,
  amount_withdrawn bigint not null default 0,
  amount_reinstated bigint not null default 0,
  amount_disputed bigint not null default 0,
  amount_lost bigint not null default 0,
  constraint money_away_is_disputed_or_lost check (amount_disputed = 0 or amount_lost = 0)
);

comment on table billing.disputes is
  'One row per Stripe dispute: a customer went to the bank about a charge. Amounts are in the minor unit of currency. What a payment lost to it is in billing.payments.amount_disputed and amount_lost.';
comment on column billing.disputes.amount is 'What is disputed, minor units of currency; it may be less than the payment.';
comment on column billing.disputes.payment_id is 'Payment it is about (billing.payments.id): the PaymentIntent, or the charge where there is none. No foreign key: Stripe may send the dispute first.';
comment on column billing.disputes.status is
  'Stripe''s: needs_response, under_review, won, lost; appeal_needs_response, appeal_under_review after lost; warning_needs_response, warning_under_review, warning_closed for an inquiry, which takes no money; prevented, which may have; and what Stripe adds.';
comment on column billing.disputes.reason is 'What the customer told the bank: fraudulent, product_not_received, …';
comment on column billing.disputes.is_charge_refundable is 'Whether a refund can still end it.';
comment on column billing.disputes.due_by is 'Until when Stripe takes evidence (UTC); evidence_details.due_by.';
comment on column billing.disputes.has_evidence is 'Whether evidence was handed in; evidence_details.has_evidence.';
comment on column billing.disputes.funds_withdrawn_at is 'created of charge.dispute.funds_withdrawn (UTC), of several the last; funds_reinstated_at likewise.';
comment on column billing.disputes.closed_at is 'created of charge.dispute.closed (UTC), of several the first: an appeal is closed again.';
comment on column billing.disputes.amount_withdrawn is 'What its balance_transactions took from the balance, without fees; 0 where they tell nothing. amount_reinstated: what they gave back.';
comment on column billing.disputes.amount_disputed is 'What is away while it is open.';
comment on column billing.disputes.amount_lost is 'What is away for good as things stand, also during an appeal.';

create index disputes_by_payment on billing.disputes (payment_id);
create index disputes_that_took on billing.disputes (payment_id) where amount_disputed > 0 or amount_lost > 0;
alter table billing.disputes enable row level security;
create policy service_role_reads on billing.disputes for select to service_role using (true);
grant select on billing.disputes to service_role;

create function billing_private.project_dispute(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
  paid constant text := billing_private.payment_of_source(billing_private.payment_of(o));
  moved constant record := billing_private.dispute_movements(o);
begin
  if o is null then
    return;
  end if;
  insert into billing.disputes as d (
    id, payment_id, payment_intent, charge, amount, currency, status, reason, is_charge_refundable, due_by, has_evidence,
    metadata, livemode, created, amount_withdrawn, amount_reinstated
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
    to_timestamp((o ->> 'created')::double precision),
    moved.withdrawn,
    moved.reinstated
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
      created = excluded.created,
      amount_withdrawn = excluded.amount_withdrawn,
      amount_reinstated = excluded.amount_reinstated;
end;
$$;

comment on function billing_private.project_dispute is 'Handler: charge.dispute.*, all of which carry the dispute. What is away because of it, update_dispute_amounts decides.';

create function billing_private.record_dispute_step(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- project_dispute has run: the row is there even when this event was stale.
  update billing.disputes as d
  set
    funds_withdrawn_at = case p_event.type
      when 'charge.dispute.funds_withdrawn' then greatest(d.funds_withdrawn_at, p_event.created) else d.funds_withdrawn_at
    end,
    funds_reinstated_at = case p_event.type
      when 'charge.dispute.funds_reinstated' then greatest(d.funds_reinstated_at, p_event.created) else d.funds_reinstated_at
    end,
    closed_at = case p_event.type
      when 'charge.dispute.closed' then least(d.closed_at, p_event.created) else d.closed_at
    end
  where d.id = p_event.object_id;
end;
$$;

comment on function billing_private.record_dispute_step is
  'Handler: charge.dispute.funds_withdrawn, funds_reinstated, closed. When each happened is a fact of its own, whatever state came after it.';

create function billing_private.is_dispute_open(p_status text)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return p_status not in ('won', 'lost', 'warning_closed', 'prevented', 'charge_refunded');
end;
$$;

comment on function billing_private.is_dispute_open is
  'Whether a dispute of this status can still be decided otherwise: an inquiry, an appeal, and a status that Stripe adds count as open, so that nobody is ended meanwhile.';

create function billing_private.amount_away(p_dispute billing.disputes)
returns bigint
language plpgsql
immutable
set search_path = ''
as $$
declare
  withdrawn constant bigint := case
    when p_dispute.amount_withdrawn > 0 then p_dispute.amount_withdrawn
    when p_dispute.funds_withdrawn_at is not null then p_dispute.amount
    -- Nothing tells of the money: a chargeback takes it at once, an inquiry and a prevented dispute do not.
    when p_dispute.status in ('needs_response', 'under_review', 'lost') or p_dispute.status like 'appeal\_%' then p_dispute.amount
    else 0
  end;
begin
  return case
    -- Withdrawn and reinstated more than once: never more than is disputed.
    when p_dispute.amount_reinstated > 0 then least(greatest(withdrawn - p_dispute.amount_reinstated, 0), p_dispute.amount)
    when p_dispute.funds_reinstated_at >= coalesce(p_dispute.funds_withdrawn_at, p_dispute.funds_reinstated_at) then 0
    -- Won, it comes back; the event that says so follows.
    when p_dispute.status = 'won' then 0
    else least(withdrawn, p_dispute.amount)
  end;
end;
$$;

comment on function billing_private.amount_away is
  'What is away because of a dispute (minor units of its currency): by its balance transactions, else by charge.dispute.funds_withdrawn and funds_reinstated, else by its status.';

create function billing_private.update_dispute_amounts(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  dispute billing.disputes;
  paid text;
  away bigint;
  is_lost boolean;
begin
  select * into dispute from billing.disputes as d where d.id = p_event.object_id;
  if not found then
    return;
  end if;
  paid := billing_private.payment_of_source(dispute.payment_id);
  away := billing_private.amount_away(dispute);
  is_lost := case
    -- An inquiry that was closed may become a dispute: then it is not decided.
    when dispute.status in ('needs_response', 'under_review') then false
    when not billing_private.is_dispute_open(dispute.status) then true
    else dispute.closed_at is not null or dispute.status like 'appeal\_%'
  end;
  update billing.disputes as d
  set payment_id = paid, amount_disputed = case when is_lost then 0 else away end, amount_lost = case when is_lost then away else 0 end
  where d.id = dispute.id;
  perform billing_private.record_refund_or_dispute(
    p_event, 'dispute', paid,
    jsonb_build_object(
      'amount', away, 'currency', dispute.currency, 'created', extract(epoch from dispute.created),
      'status', case when away = 0 then 'back' when is_lost then 'lost' else 'disputed' end
    )
  );
end;
$$;

comment on function billing_private.update_dispute_amounts is
  'Handler: charge.dispute.*, after its state and its steps are kept: what is away because of it, and whether that is held back or lost.';

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
    where p.customer = p_customer and billing_private.is_dispute_open(d.status)
  );
end;
$$;

comment on function billing_private.has_open_dispute is
  'Whether a customer disputes a payment and it can still be decided either way; an inquiry of the bank counts, and so does an appeal.';
