-- What keeps an email from being written: no address, a switch that is off, news that is out of date, a sender that Resend
-- does not take.
-- Reads: the owed mail, customers, invoices, payments, emails, settings. Writes: outbox, audit_events (a mail that is not
-- wanted). Called by: write_emails, send_emails.

create function billing_private.awaits_payment_record(p_effect billing.outbox, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_effect.payload ->> 'template' in ('payment-receipt', 'payment-recovered')
    and p_effect.created_at > p_now - interval '30 seconds'
    and exists (
      select
      from billing.invoice_payments as l
      where l.invoice = p_effect.payload ->> 'invoice'
        and l.payment_record is not null
        and not exists (
          select from billing_private.payment_sources as s where s.object_id = l.payment_record and s.kind = 'payment_record' and s.as_of is not null
        )
    )
    or (
      p_effect.payload ->> 'template' = 'payment-recovered'
      and p_effect.created_at > p_now - interval '10 minutes'
      and p_effect.payload #> '{props,receipt}' is null
      and billing_private.paid_invoice(p_effect.payload ->> 'invoice') is null
    );
end;
$$;

comment on function billing_private.awaits_payment_record is
  'Whether a mail would name what was paid with, and the payment record that tells it is being read: that is waited for, half a minute at most. Or whether it is the receipt of an invoice whose own event is on its way, for ten minutes.';

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
    when billing_private.is_email_off(p_effect.payload ->> 'template') then 'switched_off'
    when customer.deleted_at is not null then 'customer_deleted'
    when exists (select from billing_private.forgotten_subjects as f where f.subject_id = customer.id) then 'customer_forgotten'
    when address is null and customer.created is null then 'customer_unknown'
    when address is null then 'no_address'
    when exists (
      select
      from billing.suppressed_addresses as s
      where s.address in (lower(email_recipient.address), billing_private.address_digest(email_recipient.address))
    ) then 'address_suppressed'
  end;
end;
$$;

comment on function billing_private.email_recipient is
  'Where a mail goes and in which languages, or the obstacle: switched_off, customer_deleted, customer_forgotten, customer_unknown (not heard of yet), no_address, address_suppressed.';

create function billing_private.is_stale_mail(p_effect billing.outbox, p_now timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_effect.released_at is null and coalesce((
    select case
      when s.livemode then p_now - (p_effect.payload ->> 'happened_at')::timestamptz
      -- A test clock may stand anywhere: what counts then is also how long it has waited.
      else least(p_now - (p_effect.payload ->> 'happened_at')::timestamptz, p_now - p_effect.created_at)
    end > s.stale_mail_days * interval '24 hours'
    from billing.settings as s
  ), false)
  -- Nor does a reminder leave whose notice, as it turns out, was not told: it was decided as if it had been.
  or exists (
    select
    from billing.dunning_actions as d
    join billing.dunning_actions as e on e.case_id = d.case_id and e.position < d.position
    where d.outbox_id = p_effect.id and d.status = 'planned' and e.note = 'withheld: stale' and e.finished_at >= d.decided_at
  );
end;
$$;

comment on function billing_private.is_stale_mail is
  'Whether what an email tells happened longer ago than settings.stale_mail_days, at the moment when it could first leave, and nobody released it. Also a dunning email after one that was stale.';

create function billing_private.decide_email(p_effect billing.outbox, p_now timestamptz, out props jsonb, out obstacle text)
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_effect.payload ->> 'template'
    when 'renewal-ahead' then props := billing_private.renewal_props(p_effect.payload);
    when 'plan-changed' then
      select p.props, p.obstacle into props, obstacle from billing_private.plan_change_props(p_effect) as p;
    when 'payment-method-removed' then props := billing_private.method_removed_props(p_effect.payload, p_now);
    when 'payment-recovered' then props := billing_private.recovery_props(p_effect.payload, p_now);
    when 'cancellation-undone' then props := billing_private.undone_cancellation_props(p_effect.payload);
    else props := p_effect.payload -> 'props';
  end case;
  if props is null then
    obstacle := coalesce(obstacle, 'out_of_date');
  end if;
end;
$$;

comment on function billing_private.decide_email is
  'What an email says as things are now, where that is decided only when it is written; or what speaks against it, such as out_of_date: it is not so any more.';

create function billing_private.loopback_problem(p_url text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return (
    select format('is %s, which nobody who gets a mail can open', p_url)
    where p_url ~* '^https?://(localhost|127[.]|0[.]0[.]0[.]0|\[::1\])'
  );
end;
$$;

comment on function billing_private.loopback_problem is
  'What is wrong with an address that only this very machine can open; null for others.';

create function billing_private.email_problem(p_sender text)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(
      case when p_sender is null then 'no sender: set email_from in billing.settings, or DUEBASE_EMAIL_FROM of the Edge Functions' end,
      (
        -- The defaults of settings.
        select 'app_name in billing.settings is still Example App: name your product'
        from billing.settings as s
        where s.livemode and s.app_name = 'Example App'
      ),
      (
        select format('%s in billing.settings %s', u.name, billing_private.loopback_problem(u.url))
        from billing.settings as s
        cross join lateral (values ('app_url', s.app_url), ('billing_url', s.billing_url)) as u (name, url)
        where s.livemode and billing_private.loopback_problem(u.url) is not null
        order by u.name
        limit 1
      )
    )
  );
end;
$$;

comment on function billing_private.email_problem is
  'Why no mail can leave, or null: no sender; in live mode a name or a URL of the application that nobody has set. Mails wait for it, and the job report says it.';
