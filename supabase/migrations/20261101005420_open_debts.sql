-- Open debts: what emails say is still to be paid, as it is in the moment an email is written.
-- Reads: unpaid invoices, dunning cases. Writes: nothing. Called by: writing emails.

create function billing_private.unpaid_of_subscription(p_subscription text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'amount', sum(u.amount_remaining), 'currency', min(u.currency), 'count', count(*),
    'hostedInvoiceUrl', case when count(*) = 1 then min(i.hosted_invoice_url) end
  )
  from billing_private.unpaid_invoices as u
  join billing.invoices as i on i.id = u.invoice
  where i.subscription = p_subscription and not u.is_of_declined_update
  having count(*) > 0;
$$;

comment on function billing_private.unpaid_of_subscription is
  'What has to be paid of a subscription, as emails/contract.ts has it (minor units): {amount, currency, count, hostedInvoiceUrl}, the last where it is one invoice. Null where nothing has.';
