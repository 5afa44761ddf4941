-- The outbox: the only way out. Whatever must happen outside the database is first a row here, written in the
-- transaction that decided it, so that the decision and the effect commit together.
-- Written by: projection. Performed by: duebase-deliver (see deliver_outbox).

create table billing.outbox (
  id bigint generated always as identity primary key,
  kind text not null,
  dedupe_key text not null,
  payload jsonb not null default '{}',
  status text not null default 'pending',
  attempts integer not null default 0,
  excused_attempts integer not null default 0,
  run_after timestamptz not null,
  created_at timestamptz not null,
  locked_until timestamptz,
  claim_id uuid,
  locked_by text,
  last_error jsonb,
  finished_at timestamptz,
  withheld_reason text,
  released_at timestamptz,
  constraint an_effect_is_enqueued_once unique (dedupe_key),
  constraint kind_is_known check (kind in ('email', 'stripe', 'refresh', 'dunning', 'alert')),
  constraint status_is_known check (status in ('pending', 'claimed', 'delivered', 'dead', 'canceled', 'withheld')),
  constraint withheld_reason_is_known check (withheld_reason in ('mirror', 'copy', 'before_go_live', 'stale', 'restored')),
  constraint only_the_withheld_have_a_reason check ((status = 'withheld') = (withheld_reason is not null)),
  constraint attempts_are_not_negative check (attempts >= 0),
  constraint no_more_is_excused_than_was_tried check (excused_attempts between 0 and attempts),
  constraint a_claim_has_a_lease check ((status = 'claimed') = (claim_id is not null and locked_until is not null)),
  constraint only_the_finished_have_an_end check (
    (status in ('delivered', 'dead', 'canceled', 'withheld')) = (finished_at is not null)
  )
)
-- Each row is rewritten twice, at claim and at completion, and finished rows pile up. With the usual share of
-- the table as threshold, vacuum would run ever later, and claims would read more and more dead rows.
with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_analyze_scale_factor = 0.02);

comment on table billing.outbox is
  'Effects to perform outside the database (email, Stripe call, refresh of a Stripe object, evaluation of overdue payments, alert), each enqueued once.';
comment on column billing.outbox.kind is 'email: send through Resend. stripe: call Stripe. refresh: read an object from Stripe and apply it. dunning: evaluate a customer''s cases. alert: tell the operator.';
comment on column billing.outbox.dedupe_key is 'Names the effect; also the idempotency key at Resend and Stripe. A second row with the same key is never made.';
comment on column billing.outbox.status is 'pending → claimed → delivered | dead; canceled: no longer wanted, never performed. withheld: not performed unless a person releases it (billing.release_withheld).';
comment on column billing.outbox.attempts is 'How many times it has been tried; the try under way counts, one that was handed back does not.';
comment on column billing.outbox.excused_attempts is
  'How many of these do not count against it: Stripe or Resend was away or refused the key, its worker was lost before it began, or a person replayed it since. It is dead after 15 that count.';
comment on column billing.outbox.run_after is 'Not before this time (UTC).';
comment on column billing.outbox.locked_until is 'End of the lease (UTC) of the worker that claimed it; after it, another may claim.';
comment on column billing.outbox.claim_id is 'Identity of the claim; a worker that lost its lease holds an old one and can change nothing.';
comment on column billing.outbox.locked_by is 'The worker that holds or held it, for operators.';
comment on column billing.outbox.last_error is 'Why the last attempt did not succeed, or why it was not wanted any more.';
comment on column billing.outbox.finished_at is 'When it came to its end, or was withheld (UTC).';
comment on column billing.outbox.withheld_reason is
  'Why it is withheld. mirror: the project was in mirror mode. copy: functions of another project than settings.project_ref enqueued it. before_go_live: it happened, or was enqueued, before the project went live. stale: it could not leave for longer than settings.stale_mail_days. restored: it was pending when a backup was restored, or came of what happened between backup and restore, and may have been performed then.';
comment on column billing.outbox.released_at is 'When a person released it though it was withheld (UTC); null: nobody did.';

-- What is owed, in the order it falls due: a pending row at run_after, a claimed one when its lease ends. Finished
-- rows are not in it, so that a claim costs the same however many there are.
create index outbox_due on billing.outbox (coalesce(locked_until, run_after), id) where status in ('pending', 'claimed');
-- For retention: rows finish about in the order they lie in.
create index outbox_finished on billing.outbox using brin (finished_at);

-- What operators look at (health): what is dead, and what they were alerted of.
create index outbox_dead on billing.outbox (finished_at) where status = 'dead';
create index outbox_alerts on billing.outbox ((payload ->> 'cause'), created_at) where kind = 'alert';

-- What operators look at (withheld_effects).
create index outbox_withheld on billing.outbox (withheld_reason, kind) where status = 'withheld';

-- Finds what concerns a person by its subject (see forget_user).
create index outbox_by_subject on billing.outbox (
  (coalesce(payload ->> 'customer', payload ->> 'payment', payload ->> 'event_id', payload ->> 'event', payload ->> 'outbox_id'))
);
-- Finds the mails about a charge's refunds (see refund_mail).
create index outbox_by_refund on billing.outbox ((payload ->> 'charge')) where payload ->> 'charge' is not null;

alter table billing.outbox enable row level security;
create policy service_role_reads on billing.outbox for select to service_role using (true);
grant select on billing.outbox to service_role;

create function billing_private.enqueue(
  p_kind text,
  p_dedupe_key text,
  p_payload jsonb,
  p_now timestamptz,
  p_run_after timestamptz default null
)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- What is there already, as most are that many events owe, is looked up at a tenth of what the insert costs before it
  -- finds that out. Who is not seen yet, the insert waits for.
  if exists (select from billing.outbox as o where o.dedupe_key = p_dedupe_key) then
    return;
  end if;
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  values (p_kind, p_dedupe_key, p_payload, coalesce(p_run_after, p_now), p_now)
  on conflict (dedupe_key) do nothing;
end;
$$;

comment on function billing_private.enqueue is
  'Enqueues one effect: adds it to the outbox unless an effect of the same dedupe key was ever there.';
