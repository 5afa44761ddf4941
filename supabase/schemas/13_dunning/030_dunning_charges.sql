-- New cards, and what was charged to them: which payment method became a default when, and what became of each charge.
-- Written by: charge_new_cards. Read by: dunning obstacles, mails, people.

create table billing_private.given_cards (
  object_id text not null,
  payment_method text not null,
  renewal text not null default '',
  given_at timestamptz not null,
  primary key (object_id, payment_method, renewal)
);

comment on table billing_private.given_cards is
  'When a payment method became a default, as events told, whatever order they came in: it may be newer than an invoice that failed before anybody knew of it.';
comment on column billing_private.given_cards.object_id is
  'Customer (cus_…) or subscription (sub_…) whose default it became; of a renewal, the payment method itself.';
comment on column billing_private.given_cards.payment_method is 'Payment method (pm_…) or source; empty where a subscription''s own was taken away, so that the customer''s counts.';
comment on column billing_private.given_cards.renewal is 'Digest of the new data of a card that was renewed; empty for one that became a default.';
comment on column billing_private.given_cards.given_at is 'When that was last so (UTC).';

alter table billing_private.given_cards enable row level security;
create policy nobody_reads on billing_private.given_cards using (false);

create table billing.dunning_charges (
  id bigint generated always as identity primary key,
  case_id bigint not null references billing.dunning_cases (id),
  invoice text not null,
  payment_method text not null,
  renewal text not null default '',
  attempt integer not null default 1,
  default_payment_method text,
  status text not null,
  reason text,
  planned_at timestamptz not null,
  status_at timestamptz,
  outbox_id bigint,
  constraint an_invoice_is_charged_once_to_a_card unique (invoice, payment_method, renewal),
  constraint status_is_known check (status in (
    'planned', 'processing', 'paid', 'declined', 'needs_confirmation', 'not_wanted', 'failed'
  )),
  constraint only_the_planned_have_no_status_at check ((status = 'planned') = (status_at is null))
);

comment on table billing.dunning_charges is
  'What was charged to a new card while its case was open: one row per invoice and card, or renewal of a card by its bank. What Stripe tries by itself is not in it.';
comment on column billing.dunning_charges.case_id is 'The case (billing.dunning_cases.id) the invoice was of.';
comment on column billing.dunning_charges.invoice is 'Invoice (billing.invoices.id).';
comment on column billing.dunning_charges.payment_method is 'Payment method (pm_…) or source that was given, and is named in the call.';
comment on column billing.dunning_charges.renewal is 'Digest of the card''s data where its bank has renewed it; else empty.';
comment on column billing.dunning_charges.attempt is 'Counted from 1; more where it was not wanted before, or came to nothing.';
comment on column billing.dunning_charges.default_payment_method is 'What the subscription had as a default of its own; null: none. The card replaces it once it has paid.';
comment on column billing.dunning_charges.status is
  'planned: in the outbox. processing: Stripe waits for the bank. paid. declined. needs_confirmation: the bank asks the customer (3-D Secure), who gets a mail. not_wanted: paid, held, or replaced by another card meanwhile. failed: out of tries, and alerted; it is planned anew with a later step, unless Stripe refused it for good.';
comment on column billing.dunning_charges.reason is 'Why it was not wanted, or failed: a code; refused: and a code, where Stripe said no for good.';
comment on column billing.dunning_charges.planned_at is 'When it was decided (UTC).';
comment on column billing.dunning_charges.status_at is 'When its status became what it is (UTC); null while planned.';
comment on column billing.dunning_charges.outbox_id is 'The effect (billing.outbox.id) that performs it.';

create index dunning_charges_by_case on billing.dunning_charges (case_id, id);
create index dunning_charges_by_effect on billing.dunning_charges (outbox_id);
alter table billing.dunning_charges enable row level security;
create policy service_role_reads on billing.dunning_charges for select to service_role using (true);
grant select on billing.dunning_charges to service_role;
