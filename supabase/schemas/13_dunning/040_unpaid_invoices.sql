-- Unpaid invoices: what is open, what of it is overdue, and since when.
-- Reads: invoices, subscriptions, payments, customers, settings, known_debts. Writes: nothing.
-- Called by: opening and closing of cases, dunning facts, mails, preview, the daily run.

create function billing_private.has_failed_without_event(p_invoice text, p_subscription_status text, p_status_details jsonb)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  known record;
begin
  select
    bool_or(y.status = 'processing') as is_processing,
    bool_or(y.status = 'requires_action' or (y.status in ('requires_payment_method', 'failed') and y.failure_code is not null)) as has_failed
  into known
  from billing.payments as y
  where y.invoice_id = p_invoice;
  return coalesce(
    known.is_processing is not true
      and (
        p_subscription_status in ('past_due', 'unpaid')
        or (
          p_subscription_status = 'paused'
          and billing_private.pause_cause(p_status_details) in ('first_payment_failure', 'final_payment_failure')
        )
        or known.has_failed
      ),
    false
  );
end;
$$;

comment on function billing_private.has_failed_without_event is
  'Whether the attempt at an invoice that Stripe tries no more is known to have failed by something else than invoice.payment_failed, which may be missing: by the subscription it bills, or by its payment. Not while a payment is processing, such as a debit that takes days: that is no failure.';

create view billing_private.unpaid_invoices with (security_invoker = true) as
select
  i.id as invoice,
  i.customer,
  i.subscription,
  s.status as subscription_status,
  -- Usage is billed once more when a subscription ends: what was made then is a debt, what lay there before is left behind.
  -- Stripe's clock gives both the same second, or nearly so.
  coalesce(s.status = 'canceled' and i.created >= s.ended_at - interval '5 seconds', false) as is_after_end,
  i.currency,
  i.amount_remaining,
  case i.collection_method
    when 'send_invoice' then i.due_date
    else coalesce(
      i.first_payment_failed_at,
      case
        -- The event that said so may be missing. Stripe plans a next attempt only after one has failed; of the last attempt
        -- something else has to tell.
        when i.attempt_count > 0
          and (i.next_payment_attempt is not null or billing_private.has_failed_without_event(i.id, s.status, s.status_details))
          then coalesce(i.finalized_at, i.created)
      end
    )
  end as overdue_since,
  coalesce(
    -- Stripe keeps the update aside, and voids this invoice once it has waited for 23 hours.
    (s.pending_update is not null and s.latest_invoice = i.id)
    or (i.billing_reason = 'subscription_update' and s.status not in ('past_due', 'unpaid', 'paused', 'canceled')),
    false
  ) as is_of_declined_update
from billing.invoices as i
left join billing.subscriptions as s on s.id = i.subscription
where i.status = 'open' and i.amount_remaining > 0 and i.deleted_at is null;

comment on view billing_private.unpaid_invoices is 'Open invoices with something to pay, whether it is a debt or not.';
comment on column billing_private.unpaid_invoices.invoice is 'Invoice (billing.invoices.id).';
comment on column billing_private.unpaid_invoices.subscription_status is 'Status of its subscription; null where it has none, or nobody has told of it yet.';
comment on column billing_private.unpaid_invoices.is_after_end is 'It was made when its subscription ended: the final invoice.';
comment on column billing_private.unpaid_invoices.overdue_since is 'As in overdue_invoices.';
comment on column billing_private.unpaid_invoices.is_of_declined_update is
  'It is of an update of the subscription that did not happen (payment_behavior=pending_if_incomplete): the subscription goes on as before, and nothing is owed. After allow_incomplete and default_incomplete the update stands and the subscription is past_due, which makes its invoice a debt; error_if_incomplete leaves neither update nor invoice.';

create view billing_private.overdue_invoices with (security_invoker = true) as
select
  i.invoice,
  i.customer,
  case when not i.is_after_end then i.subscription end as subscription,
  i.subscription as billed_subscription,
  case when i.is_after_end then i.invoice else coalesce(i.subscription, i.invoice) end as subject_id,
  i.currency,
  i.amount_remaining,
  i.overdue_since
from billing_private.unpaid_invoices as i
where i.customer is not null
  -- Of a subscription nobody has told of yet nothing can be said: it is read from Stripe, see update_dunning_of_invoice.
  and (i.subscription is null or i.is_after_end or i.subscription_status not in ('canceled', 'incomplete', 'incomplete_expired'))
  and not i.is_of_declined_update
  and (select u.deleted_at from billing.customers as u where u.id = i.customer) is null;

comment on view billing_private.overdue_invoices is
  'Open invoices that are, or will be, overdue: since the first failed attempt, or the due date of one that is sent. Not the first invoice of a subscription that never began, nor of an update that was declined, nor what an ended subscription or a deleted customer left behind.';
comment on column billing_private.overdue_invoices.invoice is 'Invoice (billing.invoices.id).';
comment on column billing_private.overdue_invoices.subscription is 'What it bills (billing.subscriptions.id); null where that has ended, and this is its final invoice.';
comment on column billing_private.overdue_invoices.billed_subscription is 'What it bills, also where that has ended: whose policy and product it goes by.';
comment on column billing_private.overdue_invoices.subject_id is 'What a case would be about: its subscription, or itself where there is none, or none any more.';
comment on column billing_private.overdue_invoices.overdue_since is 'From when days are counted (UTC); in the future for what is sent and not due yet, null for what is neither.';

create function billing_private.is_old_debt(p_invoice text, p_overdue_since timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(
      case
        when d.released_at is not null then false
        when d.is_from_history then true
      end,
      p_overdue_since < (select s.adopted_at from billing.settings as s),
      false
    )
    from (values (p_invoice)) as i (id)
    left join billing_private.known_debts as d on d.invoice = i.id
  );
end;
$$;

comment on function billing_private.is_old_debt is
  'Whether something was overdue before this project took over the billing (settings.adopted_at), or before a history run found it: nobody is dunned about it until a person says so.';
