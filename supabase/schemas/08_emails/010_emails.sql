-- Emails: written once, kept, and sent as they are kept, however often that takes.
-- An outbox row of kind email says what is to be told to whom; the row here is the mail that was made of it.
-- Written by: duebase-deliver (see write_emails, send_emails), Resend's reports (see email_reports).

create table billing.emails (
  id bigint generated always as identity primary key,
  outbox_id bigint not null unique,
  dedupe_key text not null unique,
  tag uuid not null unique default gen_random_uuid(),
  tells text[] not null default '{}',
  template text not null,
  customer_id text,
  from_address text not null,
  to_address text not null,
  reply_to text,
  message_references text,
  locale text not null,
  subject text not null,
  html text not null,
  text text not null,
  attachment jsonb,
  key_generation smallint not null default 0,
  batch_id uuid,
  batch_position smallint,
  status text not null default 'pending',
  status_at timestamptz not null,
  created_at timestamptz not null,
  attempted_at timestamptz,
  unknown_since timestamptz,
  sent_at timestamptz,
  resend_id text unique,
  problem text,
  constraint status_is_known check (status in ('pending', 'sent', 'delayed', 'delivered', 'failed', 'bounced', 'complained')),
  constraint an_unknown_outcome_has_an_attempt check (unknown_since is null or attempted_at is not null),
  constraint a_batch_has_an_order check ((batch_id is null) = (batch_position is null)),
  constraint what_has_an_attachment_goes_by_itself check (attachment is null or batch_id is null),
  constraint a_place_in_a_batch_is_taken_once unique (batch_id, batch_position)
);

comment on table billing.emails is 'One row per email: the mail as it was written before its first attempt, and what became of it.';
comment on column billing.emails.outbox_id is 'The effect it was written for (billing.outbox.id), which is removed earlier than the mail.';
comment on column billing.emails.dedupe_key is 'Of that effect; with key_generation, the idempotency key at Resend.';
comment on column billing.emails.tag is 'Tag duebase_email at Resend: its webhooks name the mail by it, even one whose id we never learnt. It follows from the dedupe key.';
comment on column billing.emails.tells is
  'What it tells beside what its dedupe key names, as codes (billing_private.fact_code): the dunning steps, or the receipt that it stands for. In tags duebase_tells at Resend, where it is found by them once a backup was restored.';
comment on column billing.emails.template is 'Which email: payment-receipt, trial-ending, …';
comment on column billing.emails.from_address is 'Sender, as it was when the mail was written.';
comment on column billing.emails.to_address is 'Recipient, as it was when the mail was written; the digest of the address once its person is forgotten.';
comment on column billing.emails.reply_to is 'Where answers go.';
comment on column billing.emails.message_references is
  'Header References: one id for each overdue invoice it tells of, so that mail programs show all mails about an invoice as one conversation. Null: it stands by itself.';
comment on column billing.emails.locale is 'Language it was written in (BCP 47).';
comment on column billing.emails.subject is 'As sent; html and text too: each attempt sends the same bytes.';
comment on column billing.emails.html is 'As sent; empty once it is older than settings.keep_email_bodies_days, and text with it.';
comment on column billing.emails.text is 'As sent: the same mail without markup.';
comment on column billing.emails.attachment is
  'What it carries: {filename, path}, a PDF that Resend fetches from Stripe at path. Null: nothing, or nothing any more, as Resend would not have it.';
comment on column billing.emails.key_generation is
  'Raised when a person replays a mail whose outcome stayed unknown longer than Resend keeps keys, and when one goes on without its attachment.';
comment on column billing.emails.batch_id is
  'The request it goes to Resend in with others, under one key (batch:…) that stands for exactly these bytes: a batch is always sent again whole. Null: it goes by itself, under its own.';
comment on column billing.emails.batch_position is 'Its place in that request, from 1.';
comment on column billing.emails.status is
  'pending: not known to be sent. Then as Resend reports: sent, delayed, delivered, failed, bounced, complained; it never goes back.';
comment on column billing.emails.status_at is 'When it got that status (UTC).';
comment on column billing.emails.attempted_at is 'Beginning of the latest attempt (UTC).';
comment on column billing.emails.unknown_since is
  'Beginning of the earliest attempt whose outcome nobody knows (UTC). Resend keeps a key for 24 hours: after that the mail is not sent again blindly.';
comment on column billing.emails.sent_at is 'When Resend took it (UTC).';
comment on column billing.emails.resend_id is 'Resend''s id of the mail.';
comment on column billing.emails.problem is 'Why it bounced or failed, as the receiving side said.';

create index emails_by_customer on billing.emails (customer_id, created_at);
-- Finds the oldest that still have a text (see purge_email_bodies).
create index emails_with_body on billing.emails (created_at) where text <> '';
create index emails_by_address on billing.emails (lower(to_address));

create table billing.suppressed_addresses (
  address text primary key,
  reason text not null,
  since timestamptz not null,
  email_id bigint references billing.emails (id),
  constraint address_is_in_lower_case check (address = lower(address)),
  constraint reason_is_known check (reason in ('bounced', 'complained', 'suppressed', 'by_hand'))
);

comment on table billing.suppressed_addresses is
  'Addresses no mail goes to any more, because one bounced for good or its owner complained. Delete a row to send again.';
comment on column billing.suppressed_addresses.address is 'In lower case; sha256:… of one whose person is forgotten.';
comment on column billing.suppressed_addresses.reason is 'bounced: no such mailbox. complained: called it spam. suppressed: on Resend''s own list. by_hand: added by a person.';
comment on column billing.suppressed_addresses.since is 'When it was suppressed (UTC).';
comment on column billing.suppressed_addresses.email_id is 'The mail that bounced or was complained about.';

create index suppressed_addresses_by_email on billing.suppressed_addresses (email_id);

alter table billing.emails enable row level security;
alter table billing.suppressed_addresses enable row level security;
create policy service_role_reads on billing.emails for select to service_role using (true);
create policy service_role_reads on billing.suppressed_addresses for select to service_role using (true);
grant select on billing.emails, billing.suppressed_addresses to service_role;
