-- Audit, as a handler: an event worth an auditor's time leaves its fact, stale or not.
-- Reads: the event. Writes: audit_events.

create function billing_private.audit_detail(p_event billing.webhook_events)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  object constant jsonb := p_event.payload #> '{data,object}';
  facts constant text[] := array[
    'status', 'amount', 'amount_due', 'amount_paid', 'amount_received', 'amount_refunded', 'amount_total', 'currency',
    'attempt_count', 'cancel_at_period_end', 'cancel_at', 'collection_method', 'billing_reason', 'mode', 'payment_status',
    'failure_code', 'quantity', 'unit_amount', 'active'
  ];
begin
  return
    (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(object) where key = any (facts) and value <> 'null')
    || jsonb_strip_nulls(jsonb_build_object(
      'previous',
      (
        select jsonb_object_agg(key, value)
        from jsonb_each(nullif(p_event.payload #> '{data,previous_attributes}', 'null'))
        where key = any (facts)
      )
    ));
end;
$$;

comment on function billing_private.audit_detail is
  'The few facts of an event that an audit row keeps: statuses and amounts (minor units), now and before. No personal data.';

create function billing_private.record_audit_event(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.audit(
    p_event.type, 'stripe', p_event.object_id, p_event.customer_id, billing_private.audit_detail(p_event), p_event.created, p_event.id
  );
end;
$$;

comment on function billing_private.record_audit_event is 'Handler: records the event itself as an audit fact.';

create function billing_private.record_audit_of_change(p_event billing.webhook_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_event.payload #> '{data,previous_attributes}'
    ?| array['status', 'items', 'plan', 'quantity', 'cancel_at_period_end', 'cancel_at', 'pause_collection', 'trial_end', 'active', 'unit_amount']
  then
    perform billing_private.record_audit_event(p_event);
  end if;
end;
$$;

comment on function billing_private.record_audit_of_change is
  'Handler: records an update as an audit fact only when it changed what is billed or what may be used.';
