-- Who gets what: handlers that owe an email in the transaction of the state it tells of.
-- A mail is keyed by the fact and not by the event: events that tell one fact, replays and stale ones add nothing.
-- Reads: the event, what is projected. Writes: outbox, audit_events. Called by: projection.

create function billing_private.owe_email_to(
  p_customer text, p_happened_at timestamptz, p_template text, p_fact text, p_about jsonb, p_props jsonb, p_now timestamptz
)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_template = any ((select s.emails_off from billing.settings as s)::text[]) then
    return;
  end if;
  perform billing_private.enqueue(
    'email', p_fact,
    jsonb_build_object('template', p_template, 'customer', p_customer, 'happened_at', p_happened_at)
      || jsonb_strip_nulls(p_about) || jsonb_build_object('props', p_props),
    -- The clock it is told by may be a test clock, and ahead of ours: what is owed is owed now.
    least(p_now, clock_timestamp())
  );
end;
$$;

comment on function billing_private.owe_email_to is
  'Owes a customer one email about a fact, unless its kind is switched off. p_about: invoice, subscription, payment it is about, and an address (to) in case the customer has none. Props that are null are filled in when it is written.';

create function billing_private.owe_email(
  p_event billing.webhook_events, p_template text, p_fact text, p_about jsonb, p_props jsonb
)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.owe_email_to(
    p_event.customer_id, p_event.created, p_template, p_fact, p_about, p_props, p_event.received_at
  );
end;
$$;

comment on function billing_private.owe_email is 'Owes one email about a fact that an event tells; see owe_email_to.';

create function billing_private.unix_time(p_seconds jsonb)
returns timestamptz
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return to_timestamp((p_seconds #>> '{}')::double precision);
end;
$$;

comment on function billing_private.unix_time is 'Stripe''s seconds since the epoch as a timestamptz; null for null.';

create function billing_private.email_price(p_subscription jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  item constant jsonb := p_subscription #> '{items,data,0}';
  price constant jsonb := coalesce(nullif(item -> 'price', 'null'), nullif(item -> 'plan', 'null'));
begin
  if p_subscription #> '{items,data,1}' is not null or (price ->> 'unit_amount') is null or (item ->> 'quantity') is null then
    return null;
  end if;
  return jsonb_build_object(
    'amount', (price ->> 'unit_amount')::bigint * (item ->> 'quantity')::bigint,
    'currency', price ->> 'currency',
    'interval', coalesce(price #>> '{recurring,interval}', price ->> 'interval'),
    'intervalCount', coalesce((price #>> '{recurring,interval_count}')::integer, (price ->> 'interval_count')::integer, 1)
  );
end;
$$;

comment on function billing_private.email_price is
  'What a subscription costs, as emails name it (minor units); null where no single amount can be named: several items, metered or tiered.';

create function billing_private.subscription_ends_without_card(p_subscription jsonb, p_outcome text)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select coalesce(
    p_subscription #>> '{trial_settings,end_behavior,missing_payment_method}' = p_outcome
      and coalesce(p_subscription -> 'default_payment_method', 'null') = 'null'
      and (p_outcome = 'pause' or (p_subscription ->> 'ended_at')::bigint - (p_subscription ->> 'trial_end')::bigint between 0 and 86400),
    false
  );
$$;

comment on function billing_private.subscription_ends_without_card is
  'Whether a trial ran out with nothing to charge, so that Stripe paused (pause) or canceled (cancel) the subscription.';

create function billing_private.owe_trial_ending_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  ends_at constant timestamptz := billing_private.unix_time(o -> 'trial_end');
begin
  -- Stale news is no news: the trial may have been ended, or extended, since.
  if not exists (
    select
    from billing.subscriptions as s
    where s.id = p_event.object_id and s.status = 'trialing' and s.trial_end = ends_at
  ) then
    return;
  end if;
  perform billing_private.owe_email(
    p_event, 'trial-ending', format('trial-ending:%s:%s', p_event.object_id, o ->> 'trial_end'),
    jsonb_build_object('subscription', p_event.object_id),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'trialEnd', ends_at,
      'daysLeft', greatest(ceil(extract(epoch from ends_at - p_event.created) / 86400), 0),
      'price', billing_private.email_price(o),
      'leaving', o -> 'cancel_at_period_end' = 'true' or coalesce(billing_private.unix_time(o -> 'cancel_at') <= ends_at, false)
    )
  );
end;
$$;

comment on function billing_private.owe_trial_ending_email is 'Handler: customer.subscription.trial_will_end, which Stripe sends three days before.';

create function billing_private.is_dunnings_end(p_subscription jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_subscription #> '{metadata,duebase_dunning_case}' is not null and exists (
    select
    from billing.dunning_cases as c
    where c.subscription = p_subscription ->> 'id'
      and c.id::text = p_subscription #>> '{metadata,duebase_dunning_case}'
      and billing_private.ended_by_dunning(c)
  );
end;
$$;

comment on function billing_private.is_dunnings_end is
  'Whether a subscription was canceled for non-payment by a dunning case, as the mark in its metadata and the case say.';

create function billing_private.owe_cancellation_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  has_ended constant boolean := p_event.type = 'customer.subscription.deleted';
  ends_at constant timestamptz := case
    when has_ended then coalesce(billing_private.unix_time(o -> 'ended_at'), p_event.created)
    else coalesce(billing_private.unix_time(o -> 'cancel_at'), (billing_private.subscription_period(o)).period_end)
  end;
  -- The fact is that it ends then, whether that is announced or has happened.
  fact constant text := format('canceled:%s:%s', p_event.object_id, extract(epoch from ends_at)::bigint);
  names constant jsonb := jsonb_build_object('customerName', null, 'productName', null);
begin
  if has_ended and o ->> 'status' = 'incomplete_expired' then
    return;
  elsif has_ended and billing_private.is_dunnings_end(o) then
    return; -- told by what ended it, or by nobody where the customer paid in that moment
  elsif not has_ended and not (
    (o -> 'cancel_at_period_end' = 'true' and p_event.payload #> '{data,previous_attributes,cancel_at_period_end}' = 'false')
    and exists (select from billing.subscriptions as s where s.id = p_event.object_id and s.cancel_at_period_end and s.ended_at is null)
  ) then
    return;
  elsif has_ended and billing_private.subscription_ends_without_card(o, 'cancel') then
    perform billing_private.owe_email(
      p_event, 'trial-ended-without-card', fact, jsonb_build_object('subscription', p_event.object_id),
      names || jsonb_build_object(
        'trialEnd', billing_private.unix_time(o -> 'trial_end'), 'outcome', 'canceled', 'price', billing_private.email_price(o)
      )
    );
    return;
  end if;
  perform billing_private.owe_email(
    p_event, 'subscription-canceled', fact, jsonb_build_object('subscription', p_event.object_id),
    names || jsonb_build_object(
      'reason', case
        when not has_ended then 'at_period_end'
        when o #>> '{cancellation_details,reason}' in ('payment_failed', 'payment_disputed') then 'nonpayment'
        else 'requested'
      end,
      'endsAt', ends_at,
      'openInvoice', (
        select jsonb_build_object('amountDue', i.amount_remaining, 'currency', i.currency, 'hostedInvoiceUrl', i.hosted_invoice_url)
        from billing.invoices as i
        where i.subscription = p_event.object_id and i.status = 'open' and i.amount_remaining > 0 and has_ended
        order by i.created desc
        limit 1
      )
    )
  );
end;
$$;

comment on function billing_private.owe_cancellation_email is
  'Handler: customer.subscription.deleted, and updated where it is newly set to end with its period. One mail for one end: announced, it is not told again when it comes.';

create function billing_private.owe_pause_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  fact constant text := format('paused:%s:%s', p_event.object_id, extract(epoch from p_event.created)::bigint);
  about constant jsonb := jsonb_build_object('subscription', p_event.object_id);
  names constant jsonb := jsonb_build_object('customerName', null, 'productName', null);
begin
  if not exists (select from billing.subscriptions as s where s.id = p_event.object_id and s.status = 'paused') then
    return;
  elsif billing_private.subscription_ends_without_card(o, 'pause') then
    perform billing_private.owe_email(
      p_event, 'trial-ended-without-card', fact, about,
      names || jsonb_build_object(
        'trialEnd', coalesce(billing_private.unix_time(o -> 'trial_end'), p_event.created), 'outcome', 'paused',
        'price', billing_private.email_price(o)
      )
    );
  else
    perform billing_private.owe_email(
      p_event, 'subscription-paused', fact, about,
      names || jsonb_build_object('reason', 'requested', 'pausedAt', p_event.created)
    );
  end if;
end;
$$;

comment on function billing_private.owe_pause_email is 'Handler: customer.subscription.paused.';

create function billing_private.owe_resumption_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if not exists (select from billing.subscriptions as s where s.id = p_event.object_id and s.status in ('active', 'trialing')) then
    return;
  end if;
  perform billing_private.owe_email(
    p_event, 'subscription-resumed', format('resumed:%s:%s', p_event.object_id, extract(epoch from p_event.created)::bigint),
    jsonb_build_object('subscription', p_event.object_id),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'resumedAt', p_event.created,
      'nextPaymentAt', (billing_private.subscription_period(o)).period_end,
      'price', billing_private.email_price(o)
    )
  );
end;
$$;

comment on function billing_private.owe_resumption_email is 'Handler: customer.subscription.resumed.';

create function billing_private.email_receipt_props(p_invoice jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  balance_used constant bigint := coalesce((p_invoice ->> 'ending_balance')::bigint, 0) - coalesce((p_invoice ->> 'starting_balance')::bigint, 0);
begin
  return jsonb_build_object(
    'currency', p_invoice ->> 'currency',
    'invoiceNumber', p_invoice ->> 'number',
    'lines', coalesce(
      (
        select jsonb_agg(
          jsonb_build_object(
            'description', line ->> 'description',
            'quantity', line -> 'quantity',
            'amount', (line ->> 'amount')::bigint,
            'periodStart', billing_private.unix_time(line #> '{period,start}'),
            'periodEnd', billing_private.unix_time(line #> '{period,end}')
          )
          order by position
        )
        from jsonb_array_elements(nullif(p_invoice #> '{lines,data}', 'null')) with ordinality as l (line, position)
      ),
      '[]'
    ),
    'lineCount', p_invoice #> '{lines,total_count}',
    'subtotal', (p_invoice ->> 'subtotal')::bigint,
    'discounts', (
      select jsonb_agg(jsonb_build_object('amount', (d ->> 'amount')::bigint))
      from jsonb_array_elements(nullif(p_invoice -> 'total_discount_amounts', 'null')) as d
      where (d ->> 'amount')::bigint > 0
    ),
    'taxes', (
      -- total_taxes since 2025-03-31.basil, total_tax_amounts before.
      select jsonb_agg(jsonb_build_object(
        'amount', (t ->> 'amount')::bigint,
        'inclusive', coalesce((t ->> 'inclusive')::boolean, t ->> 'tax_behavior' = 'inclusive')
      ))
      from jsonb_array_elements(coalesce(
        nullif(p_invoice -> 'total_taxes', 'null'), nullif(p_invoice -> 'total_tax_amounts', 'null'), '[]'
      )) as t
      where (t ->> 'amount')::bigint > 0
    ),
    'total', (p_invoice ->> 'total')::bigint,
    'creditApplied', case when balance_used > 0 then balance_used end,
    'amountPaid', (p_invoice ->> 'amount_paid')::bigint,
    'hostedInvoiceUrl', p_invoice ->> 'hosted_invoice_url',
    'invoicePdf', p_invoice ->> 'invoice_pdf'
  );
end;
$$;

comment on function billing_private.email_receipt_props is 'What a receipt says of a paid invoice (minor units), as emails/contract.ts has it.';

create function billing_private.owe_receipt_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if coalesce((o ->> 'amount_paid')::bigint, 0) <= 0 then
    return;
  end if;
  perform billing_private.owe_email(
    p_event, 'payment-receipt', 'receipt:' || p_event.object_id,
    jsonb_build_object(
      'invoice', p_event.object_id, 'subscription', billing_private.invoice_subscription(o), 'to', o ->> 'customer_email'
    ),
    jsonb_build_object(
      'customerName', nullif(o ->> 'customer_name', ''), 'productName', null, 'paymentMethod', null,
      'paidAt', coalesce(billing_private.unix_time(o #> '{status_transitions,paid_at}'), p_event.created)
    ) || billing_private.email_receipt_props(o)
  );
end;
$$;

comment on function billing_private.owe_receipt_email is
  'Handler: invoice.paid and payment_succeeded, which tell the same. Nothing for an invoice that cost nothing.';

create function billing_private.owe_action_required_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if not exists (select from billing.invoices as i where i.id = p_event.object_id and i.status = 'open') then
    return;
  end if;
  perform billing_private.owe_email(
    p_event, 'payment-action-required', format('action-required:%s:%s', p_event.object_id, coalesce(o ->> 'attempt_count', '0')),
    jsonb_build_object(
      'invoice', p_event.object_id, 'subscription', billing_private.invoice_subscription(o), 'to', o ->> 'customer_email'
    ),
    jsonb_build_object(
      'customerName', nullif(o ->> 'customer_name', ''), 'productName', null, 'paymentMethod', null,
      'amountDue', (o ->> 'amount_remaining')::bigint,
      'currency', o ->> 'currency',
      'invoiceNumber', o ->> 'number',
      'hostedInvoiceUrl', o ->> 'hosted_invoice_url'
    )
  );
  -- Both events tell of one attempt; what the customer can do about it is this mail. A notice already sent stays sent.
  update billing.outbox as n
  set
    status = 'canceled', finished_at = p_event.received_at,
    last_error = jsonb_build_object('code', 'not_wanted', 'message', 'the customer was asked to confirm the payment instead')
  from billing.dunning_actions as d
  where d.anchor_invoice = p_event.object_id
    and d.kind = 'notice'
    and d.status = 'planned'
    and n.id = d.outbox_id
    and n.status = 'pending'
    and n.attempts = 0;
end;
$$;

comment on function billing_private.owe_action_required_email is
  'Handler: invoice.payment_action_required (3-D Secure), once per attempt.';

create function billing_private.owe_refund_email(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  refunded constant bigint := (o ->> 'amount_refunded')::bigint;
  refunded_before constant bigint := (p_event.payload #>> '{data,previous_attributes,amount_refunded}')::bigint;
begin
  -- What this refund returned is the step the charge's sum took; without the sum before, that is not known.
  -- A hold that is let go is told of as a refund too, and nothing was ever taken.
  if coalesce(refunded <= refunded_before, true) or o -> 'captured' = 'false' then
    return;
  end if;
  perform billing_private.owe_email(
    p_event, 'refund-issued', format('refund:%s:%s', p_event.object_id, refunded),
    jsonb_build_object(
      'payment', coalesce(billing_private.stripe_id(o -> 'payment_intent'), p_event.object_id),
      'to', nullif(o #>> '{billing_details,email}', '')
    ),
    jsonb_build_object(
      'customerName', null, 'paymentMethod', null, 'invoiceNumber', null,
      'refundAmount', refunded - refunded_before,
      'currency', o ->> 'currency',
      'scope', case when refunded - refunded_before >= (o ->> 'amount')::bigint then 'full' else 'partial' end,
      'paymentAmount', (o ->> 'amount')::bigint,
      'issuedAt', p_event.created,
      'receiptUrl', o ->> 'receipt_url'
    )
  );
end;
$$;

comment on function billing_private.owe_refund_email is 'Handler: charge.refunded, once per refund.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.subscription.trial_will_end', 'billing_private.owe_trial_ending_email', 40, 'email: trial ending'),
  ('customer.subscription.updated', 'billing_private.owe_cancellation_email', 40, 'email: subscription ends with its period'),
  ('customer.subscription.deleted', 'billing_private.owe_cancellation_email', 40, 'email: subscription canceled'),
  ('customer.subscription.paused', 'billing_private.owe_pause_email', 40, 'email: subscription paused'),
  ('customer.subscription.resumed', 'billing_private.owe_resumption_email', 40, 'email: subscription resumed'),
  ('invoice.paid', 'billing_private.owe_receipt_email', 40, 'email: receipt'),
  ('invoice.payment_succeeded', 'billing_private.owe_receipt_email', 40, 'email: receipt'),
  ('invoice.payment_action_required', 'billing_private.owe_action_required_email', 40, 'email: payment must be confirmed'),
  ('charge.refunded', 'billing_private.owe_refund_email', 40, 'email: refund');
