-- Attachments: the PDF of the invoice a mail is about, where settings ask for it. Resend fetches it from Stripe by
-- its address; nothing of it is stored here.
-- Reads: settings, the owed mail. Writes: emails, audit_events. Called by: prepare_email, begin_emails, fail_emails.

create function billing_private.is_stripe_page(p_url text, p_livemode boolean)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    p_url ~ '^https://([a-z0-9-]+\.)*stripe\.com/[!-~]*$'
      -- The local Stripe's, which no live event names.
      or not p_livemode and p_url ~ '^http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?/[!-~]*$',
    false
  ) and length(p_url) <= 2048;
end;
$$;

comment on function billing_private.is_stripe_page is
  'Whether a link leads to Stripe: https at stripe.com or below it; in test mode also the local Stripe. Nothing else is handed to Resend to fetch.';

create function billing_private.email_attachment(p_effect billing.outbox)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'filename',
      coalesce(
        nullif(btrim(left(regexp_replace(p_effect.payload #>> '{props,invoiceNumber}', '[^A-Za-z0-9_-]+', '-', 'g'), 80), '-'), ''), 'invoice'
      ) || '.pdf',
      'path', p_effect.payload #>> '{props,invoicePdf}'
    )
    from billing.settings as s
    where s.attach_invoice_pdf
      and p_effect.payload ->> 'template' = any (array['payment-receipt', 'payment-recovered'])
      and billing_private.is_stripe_page(p_effect.payload #>> '{props,invoicePdf}', s.livemode)
  );
end;
$$;

comment on function billing_private.email_attachment is
  'What a mail that is enqueued carries: {filename, path}, the PDF of its invoice at Stripe. Null where settings ask for none, and where the invoice has none or one at another''s address.';

create function billing_private.drop_attachment(p_ids bigint[], p_error jsonb, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  email billing.emails;
  is_dropped boolean := false;
begin
  for email in
    update billing.emails as e
    set attachment = null, key_generation = e.key_generation + 1, unknown_since = null
    -- If an attempt before this one may have sent it, only its key keeps it from being sent twice.
    where e.outbox_id = any (p_ids) and e.attachment is not null and e.status = 'pending' and e.unknown_since = e.attempted_at
    returning e.*
  loop
    is_dropped := true;
    perform billing_private.audit(
      'email.attachment_refused', 'system', email.dedupe_key, email.customer_id,
      jsonb_build_object('template', email.template, 'code', p_error ->> 'code'), p_now
    );
  end loop;
  return is_dropped;
end;
$$;

comment on function billing_private.drop_attachment is
  'Lets a mail that Resend refuses go without its attachment, which it may not have been able to fetch, under a new key: these are other bytes. False: it has none, or may have been sent by an earlier attempt.';
