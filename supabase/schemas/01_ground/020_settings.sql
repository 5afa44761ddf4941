-- Settings: the one row an operator edits in Studio.
-- Read by: receiving (livemode, account), linking (email), delivering (sender, brand). Written by: people.

create function billing_private.emails_off_by_default()
returns text[]
language sql
immutable parallel safe
set search_path = ''
as $$
  select array['renewal-ahead', 'plan-changed', 'cancellation-undone', 'payment-method-removed', 'dispute-opened'];
$$;

comment on function billing_private.emails_off_by_default is
  'Emails that are sent only where settings.emails_on names them. All others are sent unless settings.emails_off names them.';

create table billing.settings (
  id boolean primary key default true,
  mode text not null default 'mirror',
  project_ref text,
  live_since timestamptz,
  withheld_up_to bigint not null default 0,
  app_name text not null default 'Example App',
  app_url text not null default 'http://localhost:3000',
  livemode boolean not null default false,
  stripe_account text,
  link_customers_by_email boolean not null default false,
  trust_client_reference_id text not null default 'without_payment_link',
  owners_function text,
  email_from text,
  email_reply_to text,
  emails_off text[] not null default '{}',
  attach_invoice_pdf boolean not null default false,
  emails_on text[] not null default '{}',
  billing_url text,
  checkout_prices text[],
  one_trial_per_product boolean not null default false,
  visible_metadata text[] not null default '{}',
  logo_url text,
  brand_color text,
  support_email text,
  postal_address text,
  vat_id text,
  time_zone text,
  default_locale text not null default 'en',
  dunning_hour smallint not null default 9,
  trial_reminder_days smallint not null default 3,
  renewal_reminder_days smallint not null default 20,
  seats_proration text not null default 'create_prorations',
  seats_without_plan integer default 0,
  adopted_at timestamptz,
  keep_payloads_days smallint not null default 90,
  keep_events_days smallint not null default 400,
  keep_duplicates_days smallint not null default 90,
  keep_outbox_days smallint not null default 90,
  keep_email_bodies_days smallint not null default 400,
  keep_history_days smallint not null default 400,
  keep_cron_history_days smallint not null default 7,
  keep_audit_years smallint not null default 10,
  stale_mail_days smallint not null default 3,
  constraint settings_is_one_row check (id),
  constraint mode_is_known check (mode in ('mirror', 'live')),
  constraint a_live_project_is_named check (mode = 'mirror' or project_ref is not null),
  constraint project_ref_is_not_blank check (btrim(project_ref) <> ''),
  constraint mail_is_stale_after_days check (stale_mail_days between 1 and 30),
  constraint a_trial_reminder_comes_days_before check (trial_reminder_days between 1 and 30),
  constraint a_renewal_reminder_comes_days_before check (renewal_reminder_days between 1 and 60),
  constraint seats_proration_is_known check (seats_proration in ('create_prorations', 'always_invoice', 'none')),
  constraint seats_without_plan_is_not_negative check (seats_without_plan >= 0),
  constraint payloads_are_kept_while_they_are_compared check (keep_payloads_days >= 35),
  constraint events_are_kept_for_13_months check (keep_events_days >= 396),
  constraint an_event_outlives_its_payload check (keep_events_days >= keep_payloads_days),
  constraint duplicates_are_kept_for_a_month check (keep_duplicates_days >= 30),
  constraint a_dedupe_key_outlives_its_repetitions check (keep_outbox_days >= 90),
  constraint an_email_is_kept_while_its_effect_is check (keep_email_bodies_days >= keep_outbox_days),
  constraint what_was_missed_is_kept_for_a_month check (keep_history_days >= 30),
  constraint cron_history_is_kept_for_a_day check (keep_cron_history_days >= 1),
  constraint audit_is_kept_for_years check (keep_audit_years >= 1),
  constraint dunning_hour_is_an_hour check (dunning_hour between 0 and 23),
  constraint owners_function_takes_a_uuid check (owners_function ~ '^.+\..+\(uuid\)$'),
  constraint trust_is_known check (trust_client_reference_id in ('never', 'without_payment_link', 'always')),
  constraint app_name_is_not_blank check (btrim(app_name) <> ''),
  constraint app_url_is_http check (app_url ~ '^https?://'),
  constraint default_locale_is_a_language_tag check (default_locale ~ '^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$'),
  constraint emails_off_names_emails check (emails_off <@ (array[
    'trial-ending', 'trial-ended-without-card', 'payment-failed-notice', 'payment-failed-urgent', 'payment-failed-final',
    'payment-action-required', 'payment-recovered', 'subscription-canceled', 'subscription-paused', 'subscription-resumed',
    'payment-receipt', 'refund-issued', 'refund-failed', 'card-expiring'
  ] || billing_private.emails_off_by_default())),
  constraint emails_on_names_emails_off_by_default check (emails_on <@ billing_private.emails_off_by_default())
);

comment on table billing.settings is 'One row: how this project bills. Edit it in Studio; it takes effect with the next event.';
comment on column billing.settings.id is 'Always true: there is one row.';
comment on column billing.settings.mode is
  'mirror: everything that Stripe tells is received and shown, and nothing is done: no email to customers, no writing call at Stripe, no dunning; what would be done is in billing.withheld_effects. live: it is done. Change it by billing.go_live and billing.back_to_mirror.';
comment on column billing.settings.project_ref is
  'The project that went live with this database (the reference in https://<ref>.supabase.co; local on the local stack). Where functions of another one use it, it is a copy, and they do what they do in mirror mode. Set by billing.go_live.';
comment on column billing.settings.live_since is
  'When it went live, the last time (UTC). What happened before is not told to customers. Set by billing.go_live; null: it is told whatever its age.';
comment on column billing.settings.withheld_up_to is
  'What was enqueued up to this one (billing.outbox.id), before it went live the last time, is not done unless a person releases it. Set by billing.go_live.';
comment on column billing.settings.app_name is 'Name customers know the product by; used in emails.';
comment on column billing.settings.app_url is 'Base URL of the application, with scheme; links in emails point there.';
comment on column billing.settings.livemode is
  'Which Stripe mode this database mirrors: true live, false test. Events of the other mode are quarantined.';
comment on column billing.settings.stripe_account is
  'Connected account (acct_…) whose events are projected; null: events of the platform account itself. Events of any other account are quarantined.';
comment on column billing.settings.link_customers_by_email is
  'Whether a Stripe customer is linked to the user whose confirmed email it has; never where owners_function is set. Off by default: whoever may set a customer''s email in Stripe could otherwise hand it to a user.';
comment on column billing.settings.trust_client_reference_id is
  'How far client_reference_id of a checkout session is believed, where no metadata names an owner. A payer can write it into the address of a Payment Link or into the page of a pricing table, and so pose as anybody. without_payment_link: believed unless the session came from a Payment Link; never: what a project with a pricing table sets, as its sessions cannot be told from others; always: believed in any case. A change holds for what is stored within minutes; what a payer named and is not believed is in billing.owner_hints.';
comment on column billing.settings.owners_function is
  'Who belongs to whom, where teams, organisations or workspaces pay: a function of the application''s, schema.name(uuid), that takes a user''s id and returns table (owner_id uuid, can_manage boolean), stable or immutable. It is called with the rights of the owner of billing.my_owners(), and with an empty search_path unless it sets its own. Checked when it is set, and every minute (job_problems); while it raises or is gone, nobody reads anything. Null: every user is their own owner and manages it. With one, owners are ids of the application''s, and no customer is linked by email.';
comment on column billing.settings.email_from is 'Sender of all mail, such as Example <billing@example.com>, at a domain verified with Resend. A bare address is given app_name for a name. Null: the DUEBASE_EMAIL_FROM of the Edge Functions.';
comment on column billing.settings.email_reply_to is 'Where answers go; null: to the sender.';
comment on column billing.settings.emails_off is 'Emails not to send, by name (payment-receipt, …): Stripe or the application sends them already.';
comment on column billing.settings.attach_invoice_pdf is
  'Whether receipts and mails about a payment that came through after all carry the invoice''s PDF. Resend fetches it from Stripe. Such mails are sent one by one: a batch takes no attachments.';
comment on column billing.settings.emails_on is
  'Emails to send beside the usual ones, by name; they are off until they are named here: renewal-ahead, plan-changed, cancellation-undone, payment-method-removed; and dispute-opened, which goes where alerts go. A name in emails_off as well stays off.';
comment on column billing.settings.billing_url is 'Page of the application where a signed-in customer manages plan and card; null: app_url.';
comment on column billing.settings.checkout_prices is 'Prices (price_…) that the checkout function sells; null: every active one.';
comment on column billing.settings.one_trial_per_product is
  'Whether checkout gives a user a trial of a product once only, whatever became of the first. A trial is offered by trial_period_days in the metadata of a price, else by the price''s own recurring.trial_period_days.';
comment on column billing.settings.visible_metadata is
  'Keys of Stripe''s metadata that users may read of their own customers, subscriptions and items, invoices, payments and payment methods. Empty: none. What is stored already follows within minutes; all of it is in billing.object_metadata, for servers.';
comment on column billing.settings.logo_url is 'PNG of about 240 × 64 pixels for the head of each email; null: the name.';
comment on column billing.settings.brand_color is 'Buttons and links in emails, six-digit hex (#1a7f5a).';
comment on column billing.settings.support_email is 'Where emails send people with questions.';
comment on column billing.settings.postal_address is 'At the foot of each email; lines are kept.';
comment on column billing.settings.vat_id is
  'The seller''s VAT number on receipts, where the invoice does not tell it: Stripe''s webhooks name account_tax_ids by their ids only. Null: none is said then.';
comment on column billing.settings.dunning_hour is 'Hour of the day (UTC) at which overdue payments are chased.';
comment on column billing.settings.adopted_at is
  'When this project took over the billing of an account with history (UTC). What was overdue before it opens no dunning case by itself (billing.old_debts). Set by billing.go_live, which keeps a date that a person set. Null: there is nothing from before.';
comment on column billing.settings.stale_mail_days is
  'Days (of 24 hours) after which an email is not sent any more by itself, where it could not leave before, as Stripe told of it late or no sender was set: it is withheld, and a person may release it.';
comment on column billing.settings.keep_payloads_days is
  'Days for which what Stripe sent is kept (35 at least). It goes by the month: a month is dropped when its last day is that old. What is still needed stays (billing_private.needed_payloads).';
comment on column billing.settings.keep_events_days is
  'Days for which the ledger knows an event, so that a repetition of it changes nothing (396 at least, which is 13 months; Stripe itself sends an event again for 30 days).';
comment on column billing.settings.keep_duplicates_days is 'Days for which repeated deliveries are kept (30 at least); the share of repetitions is counted from them.';
comment on column billing.settings.keep_outbox_days is
  'Days for which delivered, canceled and withheld effects are kept (90 at least: three times as long as Stripe can send an event again, so that none is enqueued twice). Dead ones stay until somebody deletes them.';
comment on column billing.settings.keep_email_bodies_days is
  'Days for which the text of an email is kept, not less than keep_outbox_days. Later its row says to whom it went, when, its subject and what became of it.';
comment on column billing.settings.keep_history_days is
  'Days for which drift, missed webhooks and the runs that found them are kept (30 at least). Backfills stay, and the last run of each kind.';
comment on column billing.settings.keep_cron_history_days is
  'Days for which pg_cron''s history of our two jobs is kept; that of other jobs is not touched.';
comment on column billing.settings.keep_audit_years is 'Years for which audit_events are kept: ten, which is as long as most countries ask for books to be kept.';
comment on column billing.settings.trial_reminder_days is
  'Days (of 24 hours) before the end of a trial at which its reminder is sent. Visa asks for 7 at least where a payment follows.';
comment on column billing.settings.renewal_reminder_days is
  'Days (of 24 hours) before a renewal at which its reminder is sent, where emails_on names renewal-ahead and the subscription is charged every six months or less often. Mastercard asks for 7 to 30, California for 15 to 45.';
comment on column billing.settings.seats_proration is
  'What a change of seats costs in the middle of a period. create_prorations: the days that are left, with the next invoice, so that a month of joins and leaves is one invoice and no card is charged for each of them. always_invoice: the same, charged at once; if that is declined, the change waits. none: nothing before the next period.';
comment on column billing.settings.seats_without_plan is
  'Seats that billing.limit_seats allows an owner without a plan in force; null: as many as it likes.';
comment on column billing.settings.default_locale is
  'Language and region (BCP 47: en-IE, de-AT) of emails to customers of whom Stripe knows no language that emails are written in; its region also holds for a customer whose language is the same and names none. en alone is American English, as at Stripe.';
comment on column billing.settings.time_zone is 'IANA name of the time zone in which emails give dates; null: UTC.';

alter table billing.settings enable row level security;
create policy service_role_reads on billing.settings for select to service_role using (true);
grant select on billing.settings to service_role;
insert into billing.settings default values;

create function billing_private.is_email_off(p_template text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    (
      select
        p_template = any (s.emails_off)
        or (p_template = any (billing_private.emails_off_by_default()) and not p_template = any (s.emails_on))
      from billing.settings as s
    ),
    p_template = any (billing_private.emails_off_by_default())
  );
end;
$$;

comment on function billing_private.is_email_off is
  'Whether an email is not to be sent, as settings have it: switched off, or one that is off by default and not switched on.';
