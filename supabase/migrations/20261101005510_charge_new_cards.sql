-- New cards: what is overdue is charged at once to a card that has become the default, or that the bank has renewed.
-- Reads: the event, dunning cases, invoices. Writes: outbox. Called by: projection.

create function billing_private.retry_on_new_card(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  previous constant jsonb := p_event.payload #> '{data,previous_attributes}';
  -- The same payment method with other data on the card is another card.
  data_of_card constant text := case p_event.type
    when 'payment_method.automatically_updated' then (
      select concat_ws('-', '', c ->> 'last4', c ->> 'exp_year', c ->> 'exp_month')
      from (select p_event.payload #> '{data,object,card}' as c) as renewed
    )
    else ''
  end;
begin
  if not coalesce(
    case p_event.type
      when 'customer.updated' then previous ? 'default_source' or previous -> 'invoice_settings' ? 'default_payment_method'
      when 'customer.subscription.updated' then previous ? 'default_payment_method' or previous ? 'default_source'
      else true
    end,
    false
  ) then
    return;
  end if;
  perform billing_private.enqueue(
    'stripe', format('pay:%s:%s%s', v.invoice, coalesce(s.default_payment_method, u.default_payment_method), data_of_card),
    jsonb_build_object('call', 'pay_invoice', 'id', v.invoice), p_event.received_at
  )
  from billing.dunning_cases as c
  join billing.dunning_case_invoices as k on k.case_id = c.id
  join billing_private.overdue_invoices as v on v.invoice = k.invoice
  join billing.invoices as i on i.id = v.invoice and i.collection_method = 'charge_automatically'
  join billing.customers as u on u.id = c.customer
  left join billing.subscriptions as s on s.id = c.subscription
  where c.status = 'open'
    and c.customer = p_event.customer_id
    -- A subscription's own card goes before the customer's.
    and case p_event.type
      when 'customer.updated' then s.default_payment_method is null and u.default_payment_method is not null
      when 'customer.subscription.updated' then c.subscription = p_event.object_id and s.default_payment_method is not null
      else coalesce(s.default_payment_method, u.default_payment_method) = p_event.object_id
    end
    and s.pause_collection is null;
end;
$$;

comment on function billing_private.retry_on_new_card is
  'Handler: customer.updated, customer.subscription.updated, payment_method.automatically_updated. A new default card, or new data of it from the bank: what is overdue is charged to it at once, once per invoice and card.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.updated', 'billing_private.retry_on_new_card', 36, 'dunning: charges what is overdue to a new card'),
  ('customer.subscription.updated', 'billing_private.retry_on_new_card', 36, 'dunning: charges what is overdue to a new card'),
  (
    'payment_method.automatically_updated', 'billing_private.retry_on_new_card', 36,
    'dunning: charges what is overdue to a card the bank has renewed'
  );
