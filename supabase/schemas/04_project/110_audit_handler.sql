-- Audit, as a handler: an event worth an auditor's time leaves its fact, stale or not.
-- Reads: the event. Writes: audit_events. Called by: projection.

create function billing_private.audit_facts(p_object jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_strip_nulls(jsonb_build_object(
    'status', p_object -> 'status',
    'amount', p_object -> 'amount',
    'amount_due', p_object -> 'amount_due',
    'amount_paid', p_object -> 'amount_paid',
    'amount_received', p_object -> 'amount_received',
    'amount_refunded', p_object -> 'amount_refunded',
    'amount_total', p_object -> 'amount_total',
    'unit_amount', p_object -> 'unit_amount',
    'currency', p_object -> 'currency',
    'active', p_object -> 'active',
    'attempt_count', p_object -> 'attempt_count',
    'billing_reason', p_object -> 'billing_reason',
    'cancel_at', p_object -> 'cancel_at',
    'cancel_at_period_end', p_object -> 'cancel_at_period_end',
    'mode', p_object -> 'mode',
    'payment_status', p_object -> 'payment_status',
    'failure_code', p_object -> 'failure_code',
    'failure_reason', p_object -> 'failure_reason',
    'reason', p_object -> 'reason',
    'type', p_object -> 'type',
    'balance', p_object -> 'balance'
  ));
end;
$$;

comment on function billing_private.audit_facts is
  'The facts of an object that an audit row stores: statuses and amounts (minor units). No personal data.';

create function billing_private.audit_detail(p_event billing.stripe_events)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return billing_private.audit_facts(p_event.payload #> '{data,object}') || case
    when jsonb_typeof(p_event.payload #> '{data,previous_attributes}') = 'object' then
      jsonb_build_object('previous', billing_private.audit_facts(p_event.payload #> '{data,previous_attributes}'))
    else jsonb '{}'
  end;
end;
$$;

comment on function billing_private.audit_detail is 'What the audit row of an event stores: the facts of its object, and those of before it changed.';

create function billing_private.record_audit_event(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if not billing_private.audit(
    p_event.type, 'stripe', p_event.object_id, p_event.customer_id, billing_private.audit_detail(p_event), p_event.created, p_event.id
  ) then
    return; -- it is on record already
  end if;
end;
$$;

comment on function billing_private.record_audit_event is 'Handler: records the event itself as an audit fact.';

create function billing_private.record_audit_events(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.audit_events (occurred_at, recorded_at, action, actor, subject_id, customer_id, event_id, detail)
  select e.created, now(), e.type, 'stripe', e.object_id, e.customer_id, e.id, billing_private.audit_detail(e)
  from unnest(p_events) as e
  on conflict (event_id, action) where event_id is not null do nothing;
end;
$$;

comment on function billing_private.record_audit_events is 'record_audit_event for many.';

create function billing_private.changes_what_is_billed(p_event billing.stripe_events)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(
    p_event.payload #> '{data,previous_attributes}'
    ?| array[
      'status', 'items', 'plan', 'quantity', 'cancel_at_period_end', 'cancel_at', 'pause_collection', 'trial_end', 'active',
      'unit_amount', 'default_payment_method', 'default_source', 'invoice_settings', 'balance', 'card'
    ],
    false
  );
end;
$$;

comment on function billing_private.changes_what_is_billed is
  'Whether an update changed what is billed, by what it is paid, or what may be used.';

create function billing_private.record_audit_of_change(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.changes_what_is_billed(p_event) then
    perform billing_private.record_audit_event(p_event);
  end if;
end;
$$;

comment on function billing_private.record_audit_of_change is
  'Handler: records an update as an audit fact only when it changed what is billed, by what it is paid, or what may be used.';

create function billing_private.record_audit_of_changes(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  changes constant billing.stripe_events[] := array(
    select e from unnest(p_events) as e where billing_private.changes_what_is_billed(e)
  );
begin
  if cardinality(changes) > 0 then
    perform billing_private.record_audit_events(changes);
  end if;
end;
$$;

comment on function billing_private.record_audit_of_changes is 'record_audit_of_change for many.';

create function billing_private.record_audit_of_charge(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.stripe_id(p_event.payload #> '{data,object,payment_intent}') is null then
    perform billing_private.record_audit_event(p_event);
  end if;
end;
$$;

comment on function billing_private.record_audit_of_charge is
  'Handler: records what happened to a charge that has no PaymentIntent; for the others, the events of their PaymentIntent are recorded.';

create function billing_private.record_audit_of_charges(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  alone constant billing.stripe_events[] := array(
    select e from unnest(p_events) as e where billing_private.stripe_id(e.payload #> '{data,object,payment_intent}') is null
  );
begin
  if cardinality(alone) > 0 then
    perform billing_private.record_audit_events(alone);
  end if;
end;
$$;

comment on function billing_private.record_audit_of_charges is 'record_audit_of_charge for many.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.record_audit_event', 'billing_private.record_audit_events'),
  ('billing_private.record_audit_of_change', 'billing_private.record_audit_of_changes'),
  ('billing_private.record_audit_of_charge', 'billing_private.record_audit_of_charges');
