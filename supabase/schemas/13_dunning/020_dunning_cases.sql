-- Dunning cases: one for each overdue subscription, or invoice where there is no subscription, and what was done about it.
-- Written by: opening, closing, steps and ends of cases. Read by: the daily run, people.

create table billing.dunning_cases (
  id bigint generated always as identity primary key,
  subject_id text not null,
  customer text not null,
  subscription text,
  currency text,
  policy_id bigint not null references billing.dunning_policies (id),
  status text not null,
  outcome text,
  anchor_at timestamptz not null,
  ladder_from timestamptz not null,
  amount_due bigint not null,
  amount_recovered bigint not null default 0,
  holds text[] not null default '{}',
  opened_at timestamptz not null,
  closed_at timestamptz,
  resumed_at timestamptz,
  note text,
  constraint subject_is_the_subscription check (subscription is null or subscription = subject_id),
  constraint status_is_known check (status in ('open', 'closed')),
  constraint outcome_is_known check (outcome in (
    'recovered', 'settled_without_payment', 'voided', 'uncollectible', 'not_owed', 'ended', 'subscription_ended', 'customer_deleted',
    'closed_by_hand'
  )),
  constraint only_the_closed_have_an_outcome check ((status = 'closed') = (outcome is not null and closed_at is not null)),
  constraint amounts_are_not_negative check (amount_due >= 0 and amount_recovered >= 0)
);

comment on table billing.dunning_cases is
  'One row per overdue subscription, or invoice without one, from the first failure until it is paid or its policy has ended it.';
comment on column billing.dunning_cases.subject_id is 'What is overdue: subscription (sub_…), or invoice (in_…) where there is none. One open case each.';
comment on column billing.dunning_cases.customer is 'Who owes (billing.customers.id).';
comment on column billing.dunning_cases.policy_id is 'The policy, in the version it was opened with.';
comment on column billing.dunning_cases.outcome is
  'recovered: paid with money. settled_without_payment: paid by Stripe''s record, but with a credit note, a balance or credits, and no money came. voided, uncollectible: the invoices were. not_owed: what is unpaid turned out to be of a subscription update that did not happen. ended: the policy''s end action was carried out. subscription_ended: it ended otherwise. customer_deleted, closed_by_hand: as they say.';
comment on column billing.dunning_cases.anchor_at is
  'Since when it is overdue (UTC): first failed attempt, or due date, of the earliest invoice still open. Kept as last computed; every run computes it anew.';
comment on column billing.dunning_cases.ladder_from is
  'From when the days of its steps are counted (UTC): anchor_at, or when this project first knew of that debt if that was later. Kept likewise.';
comment on column billing.dunning_cases.amount_due is 'The most that was overdue at once, minor units of currency.';
comment on column billing.dunning_cases.amount_recovered is 'The money that came for its invoices while it was open, minor units of currency. Not what was credited, nor what had been paid before.';
comment on column billing.dunning_cases.holds is
  'What kept it from its next step when last evaluated: dispute, paused_collection, manual, excluded_customer, undeliverable_address, payment_processing, charging_new_card, below_minimum, warning_switched_off.';
comment on column billing.dunning_cases.opened_at is 'The event, or the run, that opened it (UTC).';
comment on column billing.dunning_cases.closed_at is 'When it came to its outcome (UTC); null: it is open.';
comment on column billing.dunning_cases.resumed_at is
  'When the subscription that its end paused went on (UTC), by a payment or by hand; null: it has not, or was not paused.';

comment on column billing.dunning_cases.note is 'Why it was closed by hand.';

create unique index dunning_cases_open on billing.dunning_cases (subject_id) where status = 'open';
create index dunning_cases_open_by_customer on billing.dunning_cases (customer) where status = 'open';
create index dunning_cases_by_customer on billing.dunning_cases (customer);
create index dunning_cases_by_subscription on billing.dunning_cases (subscription, id);
create index dunning_cases_by_end on billing.dunning_cases (closed_at) where status = 'closed';
create index dunning_cases_by_policy on billing.dunning_cases (policy_id);

create table billing.dunning_case_invoices (
  invoice text primary key,
  case_id bigint not null references billing.dunning_cases (id),
  overdue_since timestamptz not null,
  known_at timestamptz not null,
  currency text,
  amount_paid_before bigint not null default 0,
  constraint amount_paid_before_is_not_negative check (amount_paid_before >= 0)
);

comment on table billing.dunning_case_invoices is
  'The invoices a case is, or was, about. An invoice is dunned in one case only: what a closed case leaves unpaid opens no other by itself.';
comment on column billing.dunning_case_invoices.invoice is 'Invoice (billing.invoices.id).';
comment on column billing.dunning_case_invoices.case_id is 'The case (billing.dunning_cases.id), the last one where a person had it dunned again.';
comment on column billing.dunning_case_invoices.overdue_since is 'First failed attempt, or due date (UTC), when it joined the case.';
comment on column billing.dunning_case_invoices.known_at is
  'When this project first knew that it is, or will be, overdue (UTC): the event or the read that said so, or the person who had it dunned. Whoever is learned of late has the whole ladder.';
comment on column billing.dunning_case_invoices.currency is 'Of the invoice.';
comment on column billing.dunning_case_invoices.amount_paid_before is
  'What had been paid of it when it joined the case, minor units of currency: no money that dunning recovered.';

create index dunning_case_invoices_by_case on billing.dunning_case_invoices (case_id);

create table billing_private.known_debts (
  invoice text primary key,
  known_at timestamptz not null,
  released_at timestamptz,
  is_from_history boolean not null default false
);

comment on table billing_private.known_debts is
  'Unpaid invoices that no case is about yet, and when this project first knew that they are, or will be, overdue. Taken into dunning_case_invoices when a case opens; forgotten when they are paid before.';
comment on column billing_private.known_debts.invoice is 'Invoice (billing.invoices.id).';
comment on column billing_private.known_debts.known_at is 'When the event was received, or the object read, that first said so (UTC).';
comment on column billing_private.known_debts.released_at is
  'When a person said that it is to be dunned, though it is an old debt or an earlier case was closed about it (UTC); null: nobody has.';
comment on column billing_private.known_debts.is_from_history is
  'Whether a history run found it overdue already: an old debt, whatever settings.adopted_at says.';

alter table billing_private.known_debts enable row level security;
create policy nobody_reads on billing_private.known_debts using (false);

create table billing.dunning_actions (
  id bigint generated always as identity primary key,
  case_id bigint not null references billing.dunning_cases (id),
  position smallint not null,
  kind text not null,
  anchor_invoice text not null,
  invoices text[] not null,
  status text not null,
  due_at timestamptz not null,
  decided_at timestamptz not null,
  finished_at timestamptz,
  outbox_id bigint,
  ends_at timestamptz,
  superseded_at timestamptz,
  note text,
  constraint kind_is_known check (kind in ('notice', 'urgent_reminder', 'final_warning', 'end')),
  constraint status_is_known check (status in (
    'planned', 'sent', 'done', 'skipped', 'switched_off', 'canceled', 'undeliverable', 'failed'
  )),
  constraint decided_when_due check (decided_at >= due_at),
  constraint only_the_planned_are_unfinished check ((status = 'planned') = (finished_at is null))
);

comment on table billing.dunning_actions is 'What was done about a case: one row per step taken or skipped.';
comment on column billing.dunning_actions.case_id is 'The case it was done about (billing.dunning_cases.id).';
comment on column billing.dunning_actions.position is 'Position of the step in the case''s policy.';
comment on column billing.dunning_actions.anchor_invoice is 'The invoice days were counted from when it was decided.';
comment on column billing.dunning_actions.invoices is 'The overdue invoices of the case it was about.';
comment on column billing.dunning_actions.status is
  'planned: enqueued in the outbox. sent: the mail left. done: the end was carried out. skipped: for a later step that was due too, or a mail that says more. switched_off: that email is off in settings. canceled: no longer needed, or the end was canceled. undeliverable: bounced or complained about. failed: out of tries.';
comment on column billing.dunning_actions.due_at is 'When it fell due (UTC).';
comment on column billing.dunning_actions.decided_at is 'When it was decided (UTC): the clock of the run, or the moment of the event.';
comment on column billing.dunning_actions.finished_at is 'When it came to its end (UTC); of a mail, when it was sent.';
comment on column billing.dunning_actions.outbox_id is 'The effect (billing.outbox.id) that performs it; cases of one customer may share a mail.';
comment on column billing.dunning_actions.ends_at is
  'Of a mail: when the case ends if nobody pays, as it was told (12:00 UTC of the end''s day; the day before is the last to pay). Null where no end was told. Of an end: when it was due.';
comment on column billing.dunning_actions.superseded_at is
  'When the same step was decided anew, as it had not arrived or had grown stale (UTC); it counts no longer. Null: it counts.';
comment on column billing.dunning_actions.note is 'Why it came to this end, where that needs saying.';

create unique index a_step_is_taken_once on billing.dunning_actions (case_id, anchor_invoice, position)
  where superseded_at is null and status in ('planned', 'sent', 'done', 'skipped', 'switched_off', 'failed');
create index dunning_actions_by_case on billing.dunning_actions (case_id, decided_at);
create index dunning_actions_by_effect on billing.dunning_actions (outbox_id);

create table billing.dunning_holds (
  id bigint generated always as identity primary key,
  customer text not null,
  case_id bigint references billing.dunning_cases (id),
  reason text not null,
  held_at timestamptz not null,
  held_until timestamptz,
  released_at timestamptz,
  constraint reason_is_not_blank check (btrim(reason) <> ''),
  constraint held_until_is_after_held_at check (held_until > held_at)
);

comment on table billing.dunning_holds is
  'Cases and customers people keep dunning away from. Written by billing.hold_dunning, billing.release_dunning.';
comment on column billing.dunning_holds.case_id is 'The case held; null: the customer is excluded, with all cases there are and will be.';
comment on column billing.dunning_holds.reason is 'Why, for the next person who looks.';
comment on column billing.dunning_holds.held_at is 'From when on (UTC).';
comment on column billing.dunning_holds.held_until is 'When it ends by itself (UTC); null: when it is released.';
comment on column billing.dunning_holds.released_at is 'When a person ended it (UTC); null: nobody has.';

create index dunning_holds_in_force on billing.dunning_holds (customer) where released_at is null;
create index dunning_holds_by_customer on billing.dunning_holds (customer);
create index dunning_holds_by_case on billing.dunning_holds (case_id);

alter table billing.dunning_cases enable row level security;
alter table billing.dunning_case_invoices enable row level security;
alter table billing.dunning_actions enable row level security;
alter table billing.dunning_holds enable row level security;
create policy service_role_reads on billing.dunning_cases for select to service_role using (true);
create policy service_role_reads on billing.dunning_case_invoices for select to service_role using (true);
create policy service_role_reads on billing.dunning_actions for select to service_role using (true);
create policy service_role_reads on billing.dunning_holds for select to service_role using (true);
grant select on billing.dunning_cases, billing.dunning_case_invoices, billing.dunning_actions, billing.dunning_holds to service_role;
