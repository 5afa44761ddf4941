-- Who gets what: the handlers below enqueue an email in the transaction of the state it is about.
-- A mail is keyed by the fact and not by the event: events that tell one fact, replays and stale ones add nothing.
-- Reads: settings. Writes: outbox. Called by: those handlers; dunning.

create function billing_private.email_payload(
  p_customer text, p_happened_at timestamptz, p_template text, p_about jsonb, p_props jsonb
)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object('template', p_template, 'customer', p_customer, 'happened_at', p_happened_at)
    || jsonb_strip_nulls(p_about) || jsonb_build_object('props', p_props);
end;
$$;

comment on function billing_private.email_payload is 'What the outbox keeps of an email that is owed; see enqueue_email_to.';

create function billing_private.enqueue_email_to(
  p_customer text, p_happened_at timestamptz, p_template text, p_fact text, p_about jsonb, p_props jsonb, p_now timestamptz,
  p_wait interval default '0'
)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.is_email_off(p_template) then
    return;
  end if;
  perform billing_private.enqueue(
    'email', p_fact,
    billing_private.email_payload(p_customer, p_happened_at, p_template, p_about, p_props),
    -- The clock it is told by may be a test clock, and ahead of ours: what is enqueued is due now.
    least(p_now, clock_timestamp()),
    least(p_now, clock_timestamp()) + p_wait
  );
end;
$$;

comment on function billing_private.enqueue_email_to is
  'Owes a customer one email about a fact, unless its kind is switched off. p_about: invoice, subscription, payment it is about, an address (to) in case the customer has none, until when it is true (not_after), and what it tells beside p_fact (tells: an array of facts). p_wait: how long it waits for what else happens. Props that are null are filled in when it is written.';

create function billing_private.enqueue_email(
  p_event billing.stripe_events, p_template text, p_fact text, p_about jsonb, p_props jsonb
)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue_email_to(
    p_event.customer_id, p_event.created, p_template, p_fact, p_about, p_props, p_event.received_at
  );
end;
$$;

comment on function billing_private.enqueue_email is 'Owes one email about a fact that an event tells; see enqueue_email_to.';

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
