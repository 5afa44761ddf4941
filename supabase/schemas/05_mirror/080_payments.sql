-- Payments: one row per movement of money, whichever event came first.
-- What each Stripe object says about a payment is kept by itself (payment_sources); the payment is computed from all of it.
-- Written by: save_payment, project_payments, link_payments, refunds, disputes. Read by: their owner, operators, emails,
-- credits, dunning.

create table billing.payments (
  id text primary key,
  customer text,
  invoice_id text,
  amount bigint not null,
  amount_received bigint not null,
  amount_refunded bigint not null,
  amount_disputed bigint not null default 0,
  amount_lost bigint not null default 0,
  currency text not null,
  status text not null,
  outcome text not null default 'pending',
  is_one_time boolean not null default true,
  payment_method text,
  payment_method_type text,
  payment_method_name text,
  latest_charge text,
  card_brand text,
  card_last4 text,
  failure_code text,
  receipt_url text,
  description text,
  metadata jsonb not null,
  livemode boolean,
  created timestamptz,
  paid_at timestamptz,
  canceled_at timestamptz,
  constraint outcome_is_known check (
    outcome in ('pending', 'failed', 'canceled', 'paid', 'partially_refunded', 'refunded', 'disputed', 'lost')
  ),
  constraint no_more_is_refunded_than_came_in check (amount_refunded <= amount_received)
);

comment on table billing.payments is
  'One row per movement of money: a PaymentIntent, or what has none: a charge, a payment record, an invoice paid past Stripe. Amounts are in the minor unit of currency.';
comment on column billing.payments.id is 'PaymentIntent (pi_…); where there is none, charge (ch_…, py_…), or payment record of money that came past Stripe; the invoice (in_…) where an API version before 2025-03-31.basil says no more than that it was paid out of band.';
comment on column billing.payments.customer is 'Customer (billing.customers.id); null for a guest.';
comment on column billing.payments.invoice_id is 'Invoice it pays (billing.invoices.id), learnt from whichever event knows it; null for a one-time payment.';
comment on column billing.payments.amount is 'What was asked for.';
comment on column billing.payments.amount_received is 'What came in.';
comment on column billing.payments.amount_refunded is 'What went back, or is on its way. A refund that failed is not in it, nor is a released authorization.';
comment on column billing.payments.amount_disputed is 'What the bank holds back while a dispute is open. An inquiry holds nothing back.';
comment on column billing.payments.amount_lost is 'What lost disputes took, and keep during an appeal.';
comment on column billing.payments.status is 'Of the PaymentIntent: requires_payment_method, requires_action, processing, succeeded, canceled, …; of the charge where there is none.';
comment on column billing.payments.outcome is
  'What became of the money, whatever status says: pending, failed, canceled: nothing came in; paid; partially_refunded, refunded; disputed: a dispute is open; lost: a dispute was.';
comment on column billing.payments.is_one_time is
  'No invoice is known to be paid by it. Since API 2025-03-31.basil only invoice_payment.paid names the invoice. A payment for an invoice without a subscription has that invoice.';
comment on column billing.payments.paid_at is 'When the money came in (UTC): created of its charge, else when its invoice was paid; null while nothing did.';
comment on column billing.payments.payment_method_type is 'Stripe''s type of what it was paid with: card, card_present, us_bank_account, custom, …; null where nothing tells. The card_ columns are null for what is no card.';
comment on column billing.payments.payment_method_name is 'What the operator calls the way it was paid past Stripe, as the payment record has it: Cash, Bank transfer; else null.';
comment on column billing.payments.latest_charge is 'Its charge: the one that succeeded, else the newest.';
comment on column billing.payments.failure_code is 'Why the latest attempt failed, as far as the payer may be told: a code that emails explain, else generic_decline. What Stripe said is in billing.payment_failures.';

comment on column billing.payments.metadata is 'Of Stripe''s metadata, what settings.visible_metadata allows the owner to read; all of it is in billing.object_metadata.';

create index payments_by_customer on billing.payments (customer, created);
create index payments_by_invoice on billing.payments (invoice_id);
-- Revenue is asked by day; what this index knows of days lets PostgreSQL sum them without sorting.
create index payments_by_day on billing.payments (((paid_at at time zone 'UTC')::date)) where amount_received > 0;

create table billing_private.payment_sources (
  payment_id text not null,
  kind text not null,
  object_id text not null,
  customer text,
  invoice_id text,
  amount bigint,
  amount_received bigint,
  amount_refunded bigint,
  currency text,
  status text,
  payment_method text,
  payment_method_type text,
  payment_method_name text,
  card_brand text,
  card_last4 text,
  failure_code text,
  failure_message text,
  receipt_url text,
  description text,
  metadata jsonb,
  livemode boolean,
  created timestamptz,
  canceled_at timestamptz,
  as_of timestamptz,
  primary key (payment_id, kind, object_id),
  constraint kind_is_known check (kind in ('payment_intent', 'charge', 'payment_record', 'invoice', 'refund', 'dispute'))
);

comment on table billing_private.payment_sources is
  'What one Stripe object says about one payment. billing.payments is computed from these rows and from nothing else.';
comment on column billing_private.payment_sources.amount is 'Minor units; null for an invoice that names the payment and is not paid, or a payment record that only names its PaymentIntent: a link and no money yet. Of a refund, what it is about; of a dispute, what is away because of it.';
comment on column billing_private.payment_sources.status is 'Stripe''s; of a dispute whether its money is disputed, lost, or back.';
comment on column billing_private.payment_sources.as_of is 'created of the event that said so (UTC); of charges, refunds and disputes.';

-- Whose charge or payment record is it? See payment_of_source.
create index payment_sources_by_object on billing_private.payment_sources (object_id) where kind in ('charge', 'payment_record');

-- Which customer is it? See move_account_to_customer.
create index payment_sources_of_accounts on billing_private.payment_sources (customer) where customer like 'acct\_%';

alter table billing.payments enable row level security;
create policy managers_read on billing.payments
  for select to authenticated
  using (customer = any ((select billing_private.my_customers(true))::text[]));
grant select on billing.payments to authenticated, service_role;

alter table billing_private.payment_sources enable row level security;
create policy nobody_reads on billing_private.payment_sources using (false);
