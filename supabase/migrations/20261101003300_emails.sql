-- Emails: written once, kept, and sent as they are kept, however often that takes.
-- An outbox row of kind email says what is to be told to whom; the row here is the mail that was made of it.
-- Reads: outbox, customers, settings. Writes: emails, outbox, audit_events. Called by: the deliver function.

create table billing.emails (
  id bigint generated always as identity primary key,
  outbox_id bigint not null unique,
  dedupe_key text not null unique,
  tag uuid not null unique default gen_random_uuid(),
  template text not null,
  customer_id text,
  from_address text not null,
  to_address text not null,
  reply_to text,
  locale text not null,
  subject text not null,
  html text not null,
  text text not null,
  key_generation smallint not null default 0,
  status text not null default 'pending',
  status_at timestamptz not null,
  created_at timestamptz not null,
  attempted_at timestamptz,
  unknown_since timestamptz,
  sent_at timestamptz,
  resend_id text unique,
  problem text,
  constraint status_is_known check (status in ('pending', 'sent', 'delayed', 'delivered', 'failed', 'bounced', 'complained')),
  constraint an_unknown_outcome_has_an_attempt check (unknown_since is null or attempted_at is not null)
);

comment on table billing.emails is 'One row per email: the mail as it was written before its first attempt, and what became of it.';
comment on column billing.emails.outbox_id is 'The effect it was written for (billing.outbox.id), which is removed earlier than the mail.';
comment on column billing.emails.dedupe_key is 'Of that effect; with key_generation, the idempotency key at Resend.';
comment on column billing.emails.tag is 'Tag duebase_email at Resend: its webhooks name the mail by it, even one whose id we never learnt.';
comment on column billing.emails.template is 'Which email: payment-receipt, trial-ending, …';
comment on column billing.emails.from_address is 'Sender, as it was when the mail was written.';
comment on column billing.emails.to_address is 'Recipient, as it was when the mail was written.';
comment on column billing.emails.reply_to is 'Where answers go.';
comment on column billing.emails.locale is 'Language it was written in (BCP 47).';
comment on column billing.emails.subject is 'As sent; html and text too: each attempt sends the same bytes.';
comment on column billing.emails.html is 'As sent.';
comment on column billing.emails.text is 'As sent: the same mail without markup.';
comment on column billing.emails.key_generation is 'Raised when a person replays a mail whose outcome stayed unknown longer than Resend keeps keys.';
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
comment on column billing.suppressed_addresses.address is 'In lower case.';
comment on column billing.suppressed_addresses.reason is 'bounced: no such mailbox. complained: called it spam. suppressed: on Resend''s own list. by_hand: added by a person.';
comment on column billing.suppressed_addresses.since is 'When it was suppressed (UTC).';
comment on column billing.suppressed_addresses.email_id is 'The mail that bounced or was complained about.';

create index suppressed_addresses_by_email on billing.suppressed_addresses (email_id);

alter table billing.emails enable row level security;
alter table billing.suppressed_addresses enable row level security;
create policy service_role_reads on billing.emails for select to service_role using (true);
create policy service_role_reads on billing.suppressed_addresses for select to service_role using (true);
grant select on billing.emails, billing.suppressed_addresses to service_role;

create function billing_private.email_brand()
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'appName', s.app_name, 'appUrl', s.app_url, 'billingUrl', s.billing_url, 'logoUrl', s.logo_url, 'color', s.brand_color,
    'supportEmail', s.support_email, 'postalAddress', s.postal_address, 'timeZone', s.time_zone
  )
  from billing.settings as s;
$$;

comment on function billing_private.email_brand is 'Whose emails these are, as the templates take it (emails/contract.ts, Brand).';

create function billing_private.known_card(p_payload jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  kept_method text;
  card jsonb;
begin
  select coalesce(s.default_payment_method, c.default_payment_method)
  into kept_method
  from billing.customers as c
  left join billing.subscriptions as s on s.id = p_payload ->> 'subscription'
  where c.id = p_payload ->> 'customer';

  select jsonb_build_object('type', 'card', 'brand', y.card_brand, 'last4', y.card_last4)
  into card
  from billing.payments as y
  where y.card_last4 is not null
    and case
      when p_payload ? 'payment' then y.id = p_payload ->> 'payment'
      when p_payload ? 'invoice' then y.invoice_id = p_payload ->> 'invoice'
      else y.customer = p_payload ->> 'customer' and y.payment_method = kept_method
    end
  order by y.status = 'succeeded' desc, y.created desc
  limit 1;
  -- What is to be charged is not known, only that there is something.
  if card is null and kept_method is not null and not p_payload ?| array['payment', 'invoice'] then
    card := jsonb_build_object('type', 'other');
  end if;
  return card;
end;
$$;

comment on function billing_private.known_card is
  'The payment method an email speaks of: of its payment, else of its invoice''s payment, else what the subscription is charged to; null where there is none.';

create function billing_private.fill_email_props(p_payload jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  props constant jsonb := p_payload -> 'props';
  filled jsonb;
begin
  filled := jsonb_build_object(
    'customerName', (
      select nullif(btrim(c.name), '') from billing.customers as c where c.id = p_payload ->> 'customer'
    ),
    'productName', (
      select p.name
      from billing.subscription_items as i
      join billing.products as p on p.id = i.product
      where i.subscription = p_payload ->> 'subscription'
      order by i.created, i.id
      limit 1
    )
  );
  if props -> 'paymentMethod' = 'null' then
    filled := filled || jsonb_build_object('paymentMethod', billing_private.known_card(p_payload));
  end if;
  if props -> 'invoiceNumber' = 'null' then
    filled := filled || jsonb_build_object('invoiceNumber', (
      select i.number
      from billing.payments as y
      join billing.invoices as i on i.id = y.invoice_id
      where y.id = p_payload ->> 'payment'
    ));
  end if;
  return props || coalesce(
    (select jsonb_object_agg(f.key, f.value) from jsonb_each(filled) as f where props -> f.key = 'null'), '{}'
  );
end;
$$;

comment on function billing_private.fill_email_props is
  'The props of an email with what was not at hand when it was owed: each that is null there, as it is known by now.';

create function billing_private.skip_email(p_effect billing.outbox, p_reason text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.outbox as o
  set
    status = 'canceled', claim_id = null, locked_until = null, finished_at = p_now,
    last_error = jsonb_build_object('code', 'not_wanted', 'message', p_reason)
  where o.id = p_effect.id;
  perform billing_private.audit(
    'email.skipped', 'system', p_effect.dedupe_key, p_effect.payload ->> 'customer',
    jsonb_build_object('template', p_effect.payload ->> 'template', 'reason', p_reason), p_now
  );
end;
$$;

comment on function billing_private.skip_email is 'Ends an effect whose mail must not be sent, with the reason in the audit trail.';

create function billing_private.email_recipient(p_effect billing.outbox, out address text, out locales text[], out obstacle text)
language plpgsql
stable
set search_path = ''
as $$
declare
  customer billing.customers;
begin
  select * into customer from billing.customers as c where c.id = p_effect.payload ->> 'customer';
  address := coalesce(nullif(btrim(customer.email), ''), nullif(btrim(p_effect.payload ->> 'to'), ''));
  locales := customer.preferred_locales;
  obstacle := case
    when p_effect.payload ->> 'template' = any ((select s.emails_off from billing.settings as s)::text[]) then 'switched_off'
    -- A test clock may stand anywhere.
    when (p_effect.payload ->> 'happened_at')::timestamptz < p_effect.created_at - interval '7 days'
      and (select s.livemode from billing.settings as s)
    then 'too_late'
    when customer.deleted_at is not null then 'customer_deleted'
    when address is null and customer.created is null then 'customer_unknown'
    when address is null then 'no_address'
    when exists (select from billing.suppressed_addresses as s where s.address = lower(email_recipient.address)) then 'address_suppressed'
  end;
end;
$$;

comment on function billing_private.email_recipient is
  'Where a mail goes and in which languages, or what speaks against it: switched_off, too_late (last week''s news), customer_deleted, customer_unknown (not heard of yet), no_address, address_suppressed.';

create function billing_private.prepare_email(p_effect billing.outbox, p_sender text, p_now timestamptz)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  email billing.emails;
  recipient record;
begin
  select * into email from billing.emails as e where e.outbox_id = p_effect.id;
  if found and email.status <> 'pending' then
    perform billing.complete_outbox(p_effect.id, p_effect.claim_id, p_now);
    return null;
  elsif found and email.unknown_since < p_now - interval '23 hours' then
    perform billing.fail_outbox(
      p_effect.id, p_effect.claim_id,
      jsonb_build_object('code', 'outcome_unknown', 'message', format(
        'Resend was given this mail at %s and never answered. Look there for the tag duebase_email = %s; if it is not there, replay.',
        email.unknown_since, email.tag
      )),
      null, true, p_now
    );
    return null;
  elsif found then
    return jsonb_build_object('id', p_effect.id);
  end if;

  recipient := billing_private.email_recipient(p_effect);
  if recipient.obstacle = 'customer_unknown' and p_effect.created_at > p_now - interval '10 minutes' then
    -- Its own event may still be on the way.
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '1 minute', p_now);
    return null;
  elsif recipient.obstacle is not null then
    perform billing_private.skip_email(p_effect, recipient.obstacle, p_now);
    return null;
  elsif p_sender is null then
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '5 minutes', p_now);
    return null;
  end if;
  return jsonb_build_object(
    'id', p_effect.id,
    'render', jsonb_build_object(
      'template', p_effect.payload ->> 'template',
      'props', billing_private.fill_email_props(p_effect.payload),
      'locales', to_jsonb(recipient.locales),
      'brand', billing_private.email_brand()
    )
  );
end;
$$;

comment on function billing_private.prepare_email is
  'What a claimed email needs next: {id, render} to be written, {id} to be sent as it is kept; null when it is dealt with: sent already, not wanted, not possible yet, or of an outcome that cannot be known any more.';

create function billing.prepare_emails(
  p_ids bigint[], p_claim_id uuid, p_default_sender text default null, p_now timestamptz default now()
)
returns jsonb
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  sender constant text := coalesce((select nullif(btrim(s.email_from), '') from billing.settings as s), nullif(btrim(p_default_sender), ''));
  effect billing.outbox;
  step jsonb;
  steps jsonb := jsonb_build_array();
begin
  for effect in
    select *
    from billing.outbox as o
    where o.id = any (p_ids) and o.claim_id = p_claim_id and o.kind = 'email'
    order by o.run_after, o.id
    for update
  loop
    step := billing_private.prepare_email(effect, sender, p_now);
    if step is not null then
      steps := steps || jsonb_build_array(step);
    end if;
  end loop;
  perform billing_private.note_job(
    'email',
    case when sender is null then 'no sender: set email_from in billing.settings, or EMAIL_FROM of the Edge Functions' end,
    p_now
  );
  return steps;
end;
$$;

comment on function billing.prepare_emails is
  'What each of a worker''s claimed emails needs next, in order: [{id, render: {template, props, locales, brand}}, {id}, …]. Those not listed are dealt with.';

create function billing.begin_emails(
  p_claim_id uuid, p_emails jsonb, p_default_sender text default null, p_now timestamptz default now()
)
returns setof billing.emails
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
begin
  insert into billing.emails as e (
    outbox_id, dedupe_key, template, customer_id, from_address, to_address, reply_to, locale, subject, html, text,
    status_at, created_at
  )
  select
    o.id, o.dedupe_key, o.payload ->> 'template', o.payload ->> 'customer',
    coalesce(nullif(btrim(s.email_from), ''), btrim(p_default_sender)), r.address, nullif(btrim(s.email_reply_to), ''),
    m.mail ->> 'locale', m.mail ->> 'subject', m.mail ->> 'html', m.mail ->> 'text', p_now, p_now
  from jsonb_array_elements(p_emails) as m (mail)
  join billing.outbox as o on o.id = (m.mail ->> 'id')::bigint and o.claim_id = p_claim_id
  cross join lateral billing_private.email_recipient(o) as r
  cross join billing.settings as s
  where m.mail ? 'html' and r.obstacle is null
  on conflict (outbox_id) do nothing;

  return query
    update billing.emails as e
    set attempted_at = p_now, unknown_since = coalesce(e.unknown_since, p_now)
    from jsonb_array_elements(p_emails) as m (mail)
    join billing.outbox as o on o.id = (m.mail ->> 'id')::bigint and o.claim_id = p_claim_id
    where e.outbox_id = o.id and e.status = 'pending'
    returning e.*;
end;
$$;

comment on function billing.begin_emails is
  'Keeps what was written, [{id, subject, html, text, locale}, …] or {id} for what is kept already, and notes that an attempt begins. Returns the mails to send, exactly as they are to be sent; those of a lost claim are not among them.';

create function billing.finish_email(p_id bigint, p_claim_id uuid, p_resend_id text, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
begin
  -- In the order in which a report takes the two rows.
  perform from billing.emails as e where e.outbox_id = p_id for update;
  if not billing.complete_outbox(p_id, p_claim_id, p_now) then
    return false;
  end if;
  update billing.emails as e
  set
    resend_id = p_resend_id,
    unknown_since = null,
    sent_at = coalesce(e.sent_at, p_now),
    status = case e.status when 'pending' then 'sent' else e.status end,
    status_at = case e.status when 'pending' then p_now else e.status_at end
  where e.outbox_id = p_id;
  return true;
end;
$$;

comment on function billing.finish_email is
  'Records that Resend took a mail. False: the claim was lost, and nothing was changed.';

create function billing.fail_email(
  p_id bigint,
  p_claim_id uuid,
  p_error jsonb,
  p_is_refusal boolean,
  p_retry_after interval default null,
  p_is_final boolean default false,
  p_now timestamptz default now()
)
returns text
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  email_status text;
  outcome text;
begin
  -- Resend's report may be quicker than its answer, or come where none did: then the mail has left. A report that
  -- comes in this moment waits here, and finds the effect as it is left below.
  select e.status into email_status from billing.emails as e where e.outbox_id = p_id for update;
  if email_status <> 'pending' then
    return case when billing.complete_outbox(p_id, p_claim_id, p_now) then 'delivered' else 'lost' end;
  end if;
  outcome := billing.fail_outbox(p_id, p_claim_id, p_error, p_retry_after, p_is_final, p_now);
  -- A refusal says that this attempt sent nothing; what an earlier one did stays unknown.
  if outcome <> 'lost' and p_is_refusal then
    update billing.emails as e
    set unknown_since = null
    where e.outbox_id = p_id and e.unknown_since = e.attempted_at;
  end if;
  return outcome;
end;
$$;

comment on function billing.fail_email is
  'fail_outbox for an email; delivered where a report has told meanwhile that it left. p_is_refusal: Resend said that it did not take the mail; otherwise nobody knows.';

grant execute on function
  billing.prepare_emails(bigint[], uuid, text, timestamptz),
  billing.begin_emails(uuid, jsonb, text, timestamptz),
  billing.finish_email(bigint, uuid, text, timestamptz),
  billing.fail_email(bigint, uuid, jsonb, boolean, interval, boolean, timestamptz)
to service_role;
