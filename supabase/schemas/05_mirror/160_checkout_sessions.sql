-- Checkout sessions, as in Stripe: completed and expired ones.
-- Reads: checkout.session.*. Writes: checkout_sessions. Called by: projection.

create table billing.checkout_sessions (
  id text primary key,
  mode text,
  status text,
  payment_status text,
  customer text,
  subscription text,
  payment_intent text,
  setup_intent text,
  invoice text,
  amount_subtotal bigint,
  amount_total bigint,
  currency text,
  client_reference_id text,
  payment_link text,
  recovery_url text,
  recovered_from text,
  metadata jsonb not null default '{}',
  livemode boolean,
  created timestamptz,
  expires_at timestamptz,
  completed_at timestamptz,
  expired_at timestamptz,
  is_abandoned boolean not null generated always as (coalesce(status = 'expired' and completed_at is null, false)) stored
);

comment on table billing.checkout_sessions is
  'One row per Stripe checkout session that ended: completed or expired. Stripe reports no others. Amounts are in the minor unit of currency.';
comment on column billing.checkout_sessions.mode is 'payment, setup, subscription.';
comment on column billing.checkout_sessions.status is 'Stripe''s: open, complete, expired.';
comment on column billing.checkout_sessions.payment_status is 'paid, unpaid (a debit is on its way, or failed), no_payment_required.';
comment on column billing.checkout_sessions.customer is 'Customer (billing.customers.id); null for a guest.';
comment on column billing.checkout_sessions.subscription is 'Subscription it made (billing.subscriptions.id).';
comment on column billing.checkout_sessions.payment_intent is 'Payment it made (billing.payments.id) in mode payment.';
comment on column billing.checkout_sessions.invoice is 'Invoice it made (billing.invoices.id).';
comment on column billing.checkout_sessions.client_reference_id is 'Who this is: usually the user''s id, as the application said it; where a Payment Link or a pricing table made the session, as the payer said it. See settings.trust_client_reference_id.';
comment on column billing.checkout_sessions.payment_link is 'Payment Link (plink_…) that made it; null for one that was made by the API.';
comment on column billing.checkout_sessions.recovery_url is 'Where an expired checkout can be taken up again (after_expiration.recovery.url), if the session was made with recovery; good for 30 days.';
comment on column billing.checkout_sessions.recovered_from is 'Expired session (billing.checkout_sessions.id) that this one took up again.';
comment on column billing.checkout_sessions.expires_at is 'Until when it can be completed (UTC).';
comment on column billing.checkout_sessions.completed_at is 'created of checkout.session.completed (UTC).';
comment on column billing.checkout_sessions.expired_at is 'created of checkout.session.expired (UTC).';
comment on column billing.checkout_sessions.is_abandoned is 'It expired and was never completed.';

create index checkout_sessions_by_customer on billing.checkout_sessions (customer, created);
-- What was bought without a customer, by whom the session names and by what paid for it (see forget_user).
create index checkout_sessions_of_guests on billing.checkout_sessions (lower(btrim(client_reference_id))) where customer is null;
create index checkout_sessions_by_payment on billing.checkout_sessions (payment_intent) where payment_intent is not null;
alter table billing.checkout_sessions enable row level security;
create policy service_role_reads on billing.checkout_sessions for select to service_role using (true);
grant select on billing.checkout_sessions to service_role;

create function billing_private.project_checkout_session(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := billing_private.apply_object_if_newest(p_event);
begin
  if o is null then
    return;
  end if;
  insert into billing.checkout_sessions as s (
    id, mode, status, payment_status, customer, subscription, payment_intent, setup_intent, invoice, amount_subtotal,
    amount_total, currency, client_reference_id, payment_link, recovery_url, recovered_from, metadata, livemode, created, expires_at
  )
  values (
    p_event.object_id,
    o ->> 'mode',
    o ->> 'status',
    o ->> 'payment_status',
    billing_private.stripe_id(o -> 'customer'),
    billing_private.stripe_id(o -> 'subscription'),
    billing_private.stripe_id(o -> 'payment_intent'),
    billing_private.stripe_id(o -> 'setup_intent'),
    billing_private.stripe_id(o -> 'invoice'),
    (o ->> 'amount_subtotal')::bigint,
    (o ->> 'amount_total')::bigint,
    o ->> 'currency',
    o ->> 'client_reference_id',
    billing_private.stripe_id(o -> 'payment_link'),
    o #>> '{after_expiration,recovery,url}',
    o ->> 'recovered_from',
    coalesce(nullif(o -> 'metadata', 'null'), '{}'),
    (o ->> 'livemode')::boolean,
    to_timestamp((o ->> 'created')::double precision),
    to_timestamp((o ->> 'expires_at')::double precision)
  )
  on conflict (id) do update
    set
      mode = excluded.mode,
      status = excluded.status,
      payment_status = excluded.payment_status,
      customer = excluded.customer,
      subscription = excluded.subscription,
      payment_intent = excluded.payment_intent,
      setup_intent = excluded.setup_intent,
      invoice = excluded.invoice,
      amount_subtotal = excluded.amount_subtotal,
      amount_total = excluded.amount_total,
      currency = excluded.currency,
      client_reference_id = excluded.client_reference_id,
      payment_link = excluded.payment_link,
      recovery_url = excluded.recovery_url,
      recovered_from = excluded.recovered_from,
      metadata = excluded.metadata,
      livemode = excluded.livemode,
      created = excluded.created,
      expires_at = excluded.expires_at;
end;
$$;

comment on function billing_private.project_checkout_session is 'Handler: checkout.session.*, all of which carry the session.';

create function billing_private.record_end_of_checkout(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- project_checkout_session has run: the row is there even when this event was stale.
  update billing.checkout_sessions as s
  set
    completed_at = case p_event.type
      when 'checkout.session.completed' then least(s.completed_at, p_event.created) else s.completed_at
    end,
    expired_at = case p_event.type
      when 'checkout.session.expired' then least(s.expired_at, p_event.created) else s.expired_at
    end
  where s.id = p_event.object_id;
end;
$$;

comment on function billing_private.record_end_of_checkout is
  'Handler: checkout.session.completed, expired. When it ended is a fact of its own, whatever became of the payment after it.';
