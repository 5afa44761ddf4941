-- Settings: the one row an operator edits in Studio.
-- Read by: receiving (livemode, account), linking (email). Written by: people.

create table billing.settings (
  id boolean primary key default true,
  app_name text not null default 'Your app',
  app_url text not null default 'http://localhost:3000',
  livemode boolean not null default false,
  stripe_account text,
  link_customers_by_email boolean not null default false,
  constraint settings_is_one_row check (id),
  constraint app_name_is_not_blank check (btrim(app_name) <> ''),
  constraint app_url_is_http check (app_url ~ '^https?://')
);

comment on table billing.settings is 'One row: how this project bills. Edit it in Studio; it takes effect with the next event.';
comment on column billing.settings.id is 'Always true: there is one row.';
comment on column billing.settings.app_name is 'Name customers know the product by; used in emails.';
comment on column billing.settings.app_url is 'Base URL of the application, with scheme; links in emails point there.';
comment on column billing.settings.livemode is
  'Which Stripe mode this database mirrors: true live, false test. Events of the other mode are quarantined.';
comment on column billing.settings.stripe_account is
  'Connected account (acct_…) whose events are projected; null: events of the platform account itself. Events of any other account are quarantined.';
comment on column billing.settings.link_customers_by_email is
  'Whether a Stripe customer is linked to the user whose confirmed email it has. Off by default: whoever may set a customer''s email in Stripe could otherwise hand it to a user.';

alter table billing.settings enable row level security;
insert into billing.settings default values;
