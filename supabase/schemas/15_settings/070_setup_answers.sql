-- Setup answers: what the operator says about settings at Stripe that no API shows.
-- Written by: duebase doctor, as the operator. Read by: doctor, health.

create table billing.setup_answers (
  question text primary key,
  is_right boolean not null,
  answered_at timestamptz not null,
  constraint question_is_known check (question in ('stripe_retries', 'stripe_emails'))
);

comment on table billing.setup_answers is
  'What an operator answered about settings at Stripe that no API shows, one row per question that was answered. duebase doctor asks.';
comment on column billing.setup_answers.question is
  'stripe_retries: Stripe''s retries of failed payments end later than the dunning policy, and leave the subscription past due. stripe_emails: Stripe itself sends customers no mails about payments that Duebase sends.';
comment on column billing.setup_answers.is_right is 'Whether it is as it should be.';
comment on column billing.setup_answers.answered_at is 'When that was said (UTC); Stripe may have been set otherwise since.';

alter table billing.setup_answers enable row level security;
create policy service_role_reads on billing.setup_answers for select to service_role using (true);
grant select on billing.setup_answers to service_role;

create function billing_private.record_setup_answer(p_question text, p_is_right boolean, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  insert into billing.setup_answers as a (question, is_right, answered_at)
  values (p_question, p_is_right, p_now)
  on conflict (question) do update set is_right = excluded.is_right, answered_at = excluded.answered_at;
$$;

comment on function billing_private.record_setup_answer is 'Keeps an operator''s answer with its date, in place of an earlier one.';
