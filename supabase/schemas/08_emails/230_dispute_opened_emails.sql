-- The mail to the operator that a dispute was opened. Off by default (see settings.emails_on). It goes the way of an
-- alert, to DUEBASE_ALERT_EMAIL and DUEBASE_ALERT_WEBHOOK_URL, and is written from a template. One for each dispute, and another where an
-- inquiry of the bank becomes one.
-- Reads: the event, disputes, settings. Writes: outbox. Called by: projection.

create function billing_private.dashboard_url(p_object text)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select concat_ws(
      '/', 'https://dashboard.stripe.com', s.stripe_account, case when not s.livemode then 'test' end, 'payments', p_object
    )
    from billing.settings as s
  );
end;
$$;

comment on function billing_private.dashboard_url is 'Page of a payment (pi_…, ch_…) in Stripe''s dashboard, of the account and mode in settings; of all payments for null.';

create function billing_private.dispute_alert(p_dispute billing.disputes, p_customer text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  paid constant text := coalesce(p_dispute.payment_intent, p_dispute.charge, p_dispute.payment_id);
  facts constant jsonb := jsonb_build_object(
    'dispute', p_dispute.id, 'payment', paid, 'reason', p_dispute.reason, 'due_by', p_dispute.due_by
  );
begin
  return jsonb_build_object('cause', 'dispute_opened') || facts || jsonb_build_object(
    'mail', jsonb_build_object(
      'template', 'dispute-opened',
      'brand', billing_private.email_brand(),
      'props', jsonb_build_object(
        'kind', case when p_dispute.status like 'warning\_%' then 'inquiry' else 'dispute' end,
        'amount', p_dispute.amount,
        'currency', p_dispute.currency,
        'disputeReason', p_dispute.reason,
        'answerBy', case when p_dispute.status in ('needs_response', 'warning_needs_response') then p_dispute.due_by end,
        'disputeId', p_dispute.id,
        'paymentId', paid,
        'customerId', p_customer,
        'url', billing_private.dashboard_url(paid)
      )
    )
  );
end;
$$;

comment on function billing_private.dispute_alert is
  'The alert that a dispute was opened: its facts, and the mail to write of it, {template, props, brand}. Ids and codes only; nothing that anybody wrote.';

create function billing_private.enqueue_dispute_alert(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  known billing.disputes;
  is_inquiry boolean;
  turned constant boolean := coalesce(p_event.payload #>> '{data,previous_attributes,status}' like 'warning\_%', false);
begin
  select * into known from billing.disputes as d where d.id = p_event.object_id;
  is_inquiry := known.status like 'warning\_%';
  if not found or not billing_private.is_dispute_open(known.status) then
    -- Decided before anybody was told: there is nothing to answer any more.
    update billing.outbox as o
    set status = 'canceled', finished_at = p_event.received_at, last_error = '{"code": "not_wanted", "message": "out_of_date"}'
    where o.dedupe_key = any (array[
        format('alert:dispute_opened:%s:inquiry', p_event.object_id), format('alert:dispute_opened:%s:dispute', p_event.object_id)
      ])
      and o.status = 'pending';
  elsif not billing_private.is_email_off('dispute-opened')
    and (p_event.type = 'charge.dispute.created' or (turned and not is_inquiry))
    -- Last week's news, see email_recipient.
    and (p_event.created >= p_event.received_at - interval '168 hours' or not (select s.livemode from billing.settings as s))
  then
    perform billing_private.enqueue(
      'alert',
      format('alert:dispute_opened:%s:%s', known.id, case when is_inquiry then 'inquiry' else 'dispute' end),
      billing_private.dispute_alert(known, (select p.customer from billing.payments as p where p.id = known.payment_id)),
      least(p_event.received_at, clock_timestamp())
    );
  end if;
end;
$$;

comment on function billing_private.enqueue_dispute_alert is
  'Handler: charge.dispute.created, and updated where an inquiry became a dispute; closed and updated withdraw what was not told yet of a dispute that is decided.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('charge.dispute.created', 'billing_private.enqueue_dispute_alert', 42, 'mail to the operator: dispute opened'),
  ('charge.dispute.updated', 'billing_private.enqueue_dispute_alert', 42, 'mail to the operator: dispute opened'),
  ('charge.dispute.closed', 'billing_private.enqueue_dispute_alert', 42, 'mail to the operator: dispute opened');
