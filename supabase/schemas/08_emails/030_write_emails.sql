-- Write: what becomes of an owed email before it can be sent. Either there is an obstacle, or it is written:
-- from what was owed, what is known by now, and whose emails these are.
-- Reads: emails, customers, payments, settings. Writes: outbox, audit_events, job_problems. Called by: duebase-deliver.

create function billing_private.email_brand()
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'appName', s.app_name, 'appUrl', s.app_url, 'billingUrl', s.billing_url, 'logoUrl', s.logo_url, 'color', s.brand_color,
    'supportEmail', s.support_email, 'postalAddress', s.postal_address, 'timeZone', s.time_zone,
    'defaultLocale', s.default_locale
  )
  from billing.settings as s;
$$;

comment on function billing_private.email_brand is 'Whose emails these are, as the templates take it (emails/contract.ts, Brand).';

create function billing_private.type_of_source(p_id text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case when p_id like 'card\_%' then 'card' when p_id like 'ba\_%' then 'us_bank_account' end;
end;
$$;

comment on function billing_private.type_of_source is
  'Type of an older card (card_…) or bank account (ba_…), of which no payment_method event ever tells; null for what is not told by its id.';

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

  if not p_payload ?| array['payment', 'invoice'] then
    -- Of what is to be charged it may not be known what it is, only that there is something.
    select jsonb_build_object(
      'type', coalesce(m.type, billing_private.type_of_source(kept.id), 'other'), 'brand', m.card_brand, 'last4', m.card_last4
    )
    into card
    from (select kept_method as id) as kept
    left join billing.payment_methods as m on m.id = kept.id
    where kept.id is not null;
    return card;
  end if;

  select jsonb_build_object(
    'type', y.payment_method_type, 'name', billing_private.plain_line(y.payment_method_name, 80), 'brand', y.card_brand,
    'last4', y.card_last4
  )
  into card
  from billing.payments as y
  where y.payment_method_type is not null
    and case
      when p_payload ? 'payment' then y.id = p_payload ->> 'payment'
      else y.invoice_id = p_payload ->> 'invoice'
    end
    -- A declined card did not pay it, and it may have been paid in another way since.
    and (y.amount_received > 0 or not p_payload ->> 'template' = any (array['payment-receipt', 'payment-recovered', 'refund-issued', 'refund-failed']))
  order by y.amount_received > 0 desc, y.created desc
  limit 1;
  return card;
end;
$$;

comment on function billing_private.known_card is
  'The payment method an email speaks of: of its payment, else of its invoice''s payment, else what the subscription is charged to; null where there is none. Of what was paid only what it was paid with.';

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

create function billing_private.plain_line(p_text text, p_longest integer)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return nullif(btrim(left(
    regexp_replace(
      p_text,
      '[\s\u0001-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]+', ' ', 'g'
    ),
    p_longest
  )), '');
end;
$$;

comment on function billing_private.plain_line is
  'A text on one line, without controls, invisible characters and what changes the direction of writing; null where nothing is left.';

create function billing_private.greeted_name(p_name text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- Anybody can sign up with another person's address and an advertisement as a name; mail programs turn it into links.
  return case when p_name !~* '://|www\.|@|[[:alnum:]]\.[a-z]{2}' then billing_private.plain_line(p_name, 80) end;
end;
$$;

comment on function billing_private.greeted_name is
  'A customer''s name as a mail may greet them by it; null where it holds what mail programs make a link of.';

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
  if props -> 'unpaid' = 'null' then
    filled := filled || jsonb_build_object('unpaid', billing_private.unpaid_of_subscription(p_payload ->> 'subscription'));
  end if;
  filled := props || coalesce(
    (select jsonb_object_agg(f.key, f.value) from jsonb_each(filled) as f where props -> f.key = 'null'), '{}'
  );
  return filled
    || case when filled ? 'customerName' then jsonb_build_object('customerName', billing_private.greeted_name(filled ->> 'customerName')) else '{}' end
    || case when filled ? 'productName' then jsonb_build_object('productName', billing_private.plain_line(filled ->> 'productName', 250)) else '{}' end;
end;
$$;

comment on function billing_private.fill_email_props is
  'The props of an email with what was not at hand when it was owed: each that is null there, as it is known by now; names as they may stand in a mail.';

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
    -- A test clock may stand anywhere.
    when (p_effect.payload ->> 'happened_at')::timestamptz < p_effect.created_at - interval '168 hours'
      and (select s.livemode from billing.settings as s)
    then 'too_late'
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
  'Where a mail goes and in which languages, or the obstacle: switched_off, too_late (last week''s news), customer_deleted, customer_forgotten, customer_unknown (not heard of yet), no_address, address_suppressed.';

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

create function billing_private.prepare_email(p_effect billing.outbox, p_sender text, p_now timestamptz)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  email billing.emails;
  recipient record;
  decided record;
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
  elsif (p_effect.payload ->> 'not_after')::timestamptz <= p_now and (email.id is null or email.unknown_since is null) then
    perform billing_private.skip_email(p_effect, 'out_of_date', p_now);
    return null;
  elsif email.id is not null then
    return jsonb_strip_nulls(jsonb_build_object('id', p_effect.id, 'batch', email.batch_id));
  end if;

  recipient := billing_private.email_recipient(p_effect);
  if recipient.obstacle = 'customer_unknown' and p_effect.created_at > p_now - interval '10 minutes' then
    -- Its own event may still be on the way.
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '1 minute', p_now);
    return null;
  elsif recipient.obstacle is not null then
    perform billing_private.skip_email(p_effect, recipient.obstacle, p_now);
    return null;
  elsif (p_effect.payload ->> 'not_after')::timestamptz <= p_now and (select s.livemode from billing.settings as s) then
    perform billing_private.skip_email(p_effect, 'too_late', p_now);
    return null;
  elsif p_sender is null then
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '5 minutes', p_now);
    return null;
  elsif billing_private.awaits_payment_record(p_effect, p_now) then
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '30 seconds', p_now);
    return null;
  elsif p_effect.payload ? 'after_failure_mail_of' then
    case billing_private.failure_mail_state((p_effect.payload ->> 'after_failure_mail_of')::bigint, p_now)
      when 'unknown' then
        perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '1 minute', p_now);
        return null;
      when 'none' then
        if billing_private.turn_into_receipt(p_effect) is null then
          perform billing_private.skip_email(p_effect, 'no_failure_mail', p_now);
          return null;
        end if;
        select * into p_effect from billing.outbox as o where o.id = p_effect.id;
      else null;
    end case;
  end if;
  decided := billing_private.decide_email(p_effect, p_now);
  if decided.obstacle is not null then
    perform billing_private.skip_email(p_effect, decided.obstacle, p_now);
    return null;
  end if;
  return jsonb_build_object(
    'id', p_effect.id,
    'render', jsonb_build_object(
      'template', p_effect.payload ->> 'template',
      'props', billing_private.fill_email_props(p_effect.payload || jsonb_build_object('props', decided.props)),
      'locales', to_jsonb(recipient.locales),
      'brand', billing_private.email_brand()
    )
  ) || case when billing_private.email_attachment(p_effect) is null then '{}' else '{"alone": true}' end::jsonb;
end;
$$;

comment on function billing_private.prepare_email is
  'What a claimed email needs next: {id, render} to be written (with alone: not into a batch), {id, batch} to be sent as it is kept; null when it is dealt with: sent already, not wanted, not possible yet, or of an outcome that cannot be known any more.';

create function billing_private.email_problem(p_sender text)
returns text
language sql
stable
set search_path = ''
as $$
  select coalesce(
    case when p_sender is null then 'no sender: set email_from in billing.settings, or DUEBASE_EMAIL_FROM of the Edge Functions' end,
    (
      -- The defaults of settings.
      select 'app_name in billing.settings is still Example App: name your product'
      from billing.settings as s
      where s.livemode and s.app_name = 'Example App'
    ),
    (
      select format('%s in billing.settings is %s, which nobody who gets a mail can open', u.name, u.url)
      from billing.settings as s
      cross join lateral (values ('app_url', s.app_url), ('billing_url', s.billing_url)) as u (name, url)
      where s.livemode and u.url ~* '^https?://(localhost|127[.]|0[.]0[.]0[.]0|\[::1\])'
      order by u.name
      limit 1
    )
  );
$$;

comment on function billing_private.email_problem is
  'Why no mail can leave, or null: no sender; in live mode a name or a URL of the application that nobody has set. Mails wait for it, and the job report says it.';

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
  problem constant text := billing_private.email_problem(sender);
  effect billing.outbox;
  step jsonb;
  steps jsonb := jsonb_build_array();
begin
  perform billing_private.lock_effects(p_ids);
  for effect in
    select *
    from billing.outbox as o
    where o.id = any (p_ids) and o.claim_id = p_claim_id and o.kind = 'email'
    order by o.run_after, o.id
  loop
    step := billing_private.prepare_email(effect, case when problem is null then sender end, p_now);
    if step is not null then
      steps := steps || jsonb_build_array(step);
    end if;
  end loop;
  perform billing_private.record_job_problem('email', problem, p_now);
  return steps;
end;
$$;

comment on function billing.prepare_emails is
  'What each of a worker''s claimed emails needs next, in order: [{id, render: {template, props, locales, brand}}, {id}, {id, batch}, …]. Those not listed are dealt with.';

grant execute on function billing.prepare_emails(bigint[], uuid, text, timestamptz) to service_role;
