-- Open debts: what emails say is still to be paid, as it is in the moment an email is written.
-- Reads: unpaid invoices, dunning cases, stripe_events. Writes: outbox. Called by: writing emails, recovery emails, refreshes.

create function billing_private.unpaid_of_subscription(p_subscription text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'amount', sum(u.amount_remaining), 'currency', min(u.currency), 'count', count(*),
      'hostedInvoiceUrl', case when count(*) = 1 then min(i.hosted_invoice_url) end
    )
    from billing_private.unpaid_invoices as u
    join billing.invoices as i on i.id = u.invoice
    where i.subscription = p_subscription and not u.is_of_declined_update
    having count(*) > 0
  );
end;
$$;

comment on function billing_private.unpaid_of_subscription is
  'What has to be paid of a subscription, as emails/contract.ts has it (minor units): {amount, currency, count, hostedInvoiceUrl}, the last where it is one invoice. Null where nothing has.';

create function billing_private.paid_invoice(p_invoice text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select e.payload #> '{data,object}'
    from billing.stripe_events as e
    where e.object_id = p_invoice and e.payload #>> '{data,object,object}' = 'invoice' and e.payload #>> '{data,object,status}' = 'paid'
    order by e.created desc, e.id desc
    limit 1
  );
end;
$$;

comment on function billing_private.paid_invoice is 'An invoice as an event tells it that shows it paid; null where none has.';

create function billing_private.turn_into_receipt(p_effect billing.outbox)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  paid constant jsonb := billing_private.paid_invoice(p_effect.payload ->> 'invoice');
  props constant jsonb := coalesce(
    billing_private.receipt_mail_props(paid, (p_effect.payload ->> 'happened_at')::timestamptz), p_effect.payload #> '{props,receipt}'
  );
  receipt jsonb;
begin
  if props is null or 'payment-receipt' = any ((select s.emails_off from billing.settings as s)::text[]) then
    return null;
  end if;
  receipt := jsonb_strip_nulls(p_effect.payload - 'after_failure_mail_of' - 'props' || jsonb_build_object('to', paid ->> 'customer_email'))
    || jsonb_build_object('template', 'payment-receipt', 'props', props);
  update billing.outbox as o set payload = receipt where o.id = p_effect.id;
  return receipt;
end;
$$;

comment on function billing_private.turn_into_receipt is
  'Makes the mail that a late payment has come a plain receipt, as nobody was told that it had failed. Returns the payload it has now; null where receipts are switched off, or nothing has shown it paid: the event that does enqueues the receipt.';

create function billing_private.other_debts(p_customer text, p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with open as (
      select
        i.number, i.hosted_invoice_url, i.subscription, u.amount_remaining, u.currency, u.overdue_since,
        -- What a person let go, or has not released, is neither asked for nor said to be paid.
        coalesce(c.status = 'open' or c.outcome in ('ended', 'uncollectible', 'subscription_ended'), true)
          and not billing_private.is_old_debt(u.invoice, u.overdue_since) as is_asked_for,
        u.invoice
      from billing_private.unpaid_invoices as u
      join billing.invoices as i on i.id = u.invoice
      left join billing.dunning_case_invoices as k on k.invoice = u.invoice
      left join billing.dunning_cases as c on c.id = k.case_id
      where u.customer = p_customer
        and u.overdue_since <= p_now
        and not u.is_of_declined_update
        and coalesce(u.subscription_status, '') not in ('incomplete', 'incomplete_expired')
    ),
    asked as (
      select o.*, row_number() over (order by o.overdue_since, o.invoice) as place from open as o where o.is_asked_for
    )
    select jsonb_build_object(
      'nothingOverdue', not exists (select from open),
      'stillOwed', jsonb_agg(
        jsonb_build_object(
          'productName', billing_private.product_name_of(a.subscription),
          'invoiceNumber', a.number, 'amountDue', a.amount_remaining, 'currency', a.currency,
          'overdueSince', a.overdue_since, 'hostedInvoiceUrl', a.hosted_invoice_url
        )
        order by a.place
      ) filter (where a.place <= 10),
      'moreOwed', greatest(count(*) - 10, 0)
    )
    from asked as a
  );
end;
$$;

comment on function billing_private.other_debts is
  'What a customer still has to pay at p_now, in every currency, as emails/contract.ts has it of a recovery: {nothingOverdue, stillOwed, moreOwed}. Also what an ended subscription left open.';

create function billing_private.recovery_props(p_payload jsonb, p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  paid constant jsonb := billing_private.paid_invoice(p_payload ->> 'invoice');
  receipt constant jsonb := case when paid is null then p_payload #> '{props,receipt}' else billing_private.email_receipt_props(paid) end;
begin
  return (p_payload -> 'props') - 'receipt' || billing_private.other_debts(p_payload ->> 'customer', p_now) || case
    when receipt is null then '{}'::jsonb
    else jsonb_build_object(
      'amountPaid', receipt -> 'amountPaid',
      'bill', (
        select jsonb_object_agg(r.key, r.value)
        from jsonb_each(receipt) as r
        where r.key = any (array[
          'lines', 'lineCount', 'moreLines', 'discounts', 'shipping', 'taxes', 'billingCredits', 'total', 'creditNotes', 'balanceBefore',
          'balanceAfter'
        ])
      )
    )
  end;
end;
$$;

comment on function billing_private.recovery_props is
  'What the mail about a late payment says as things are now: with what a receipt has of its invoice, and with what is still to be paid.';

create function billing_private.add_receipt_to_recovery_email(p_read billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_read.payload #> '{data,object}';
begin
  if o ->> 'status' = 'paid' then
    update billing.outbox as w
    set payload = jsonb_set(w.payload, '{props,receipt}', billing_private.receipt_mail_props(o, p_read.created))
    from billing.dunning_case_invoices as k
    where k.invoice = p_read.object_id
      and w.dedupe_key = 'recovered:' || k.case_id
      and w.payload ->> 'invoice' = p_read.object_id
      and w.payload ->> 'template' = 'payment-recovered'
      and w.status = 'pending';
  end if;
end;
$$;

comment on function billing_private.add_receipt_to_recovery_email is
  'Handler, of invoices read from Stripe: the mail that a late payment has come keeps what was read, as the event that tells it may come after it.';

insert into billing_private.refresh_handlers (object, handler, position) values
  ('invoice', 'billing_private.add_receipt_to_recovery_email', 36);
