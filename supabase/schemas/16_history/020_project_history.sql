-- Projecting history: an object that a history run has read goes through the handlers that keep state, and through none that
-- tells anybody of anything: no email, no alert, no call, no dunning case. What was overdue is kept as an old debt. Only what
-- an open case is about goes the usual way of a read, as somebody has been told of it before.
-- Reads: the object, dunning cases, payments. Writes: billing state, known_debts. Called by: apply_history.

create function billing_private.keep_history_debt(p_invoice text, p_moment timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  overdue_from timestamptz;
begin
  if exists (select from billing.dunning_case_invoices as k where k.invoice = p_invoice) then
    return;
  end if;
  select v.overdue_since into overdue_from from billing_private.overdue_invoices as v where v.invoice = p_invoice;
  if overdue_from is null then
    delete from billing_private.known_debts as d where d.invoice = p_invoice;
    return;
  end if;
  insert into billing_private.known_debts (invoice, known_at, is_from_history)
  select p_invoice, p_moment, overdue_from <= p_moment and s.adopted_at is null
  from billing.settings as s
  on conflict (invoice) do nothing;
end;
$$;

comment on function billing_private.keep_history_debt is
  'Keeps since when a debt is known that a history run has found. It opens no case: what was overdue by then is an old debt, unless settings.adopted_at says that it came after the project took over.';

create function billing_private.keep_first_failure(p_charge text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  failed record;
begin
  select p.invoice_id, s.created
  into failed
  from billing_private.payment_sources as s
  join billing.payments as p on p.id = s.payment_id
  where s.object_id = p_charge and s.kind = 'charge' and s.status = 'failed' and p.invoice_id is not null;
  if found then
    update billing.invoices as i
    set first_payment_failed_at = failed.created
    where i.id = failed.invoice_id and coalesce(i.first_payment_failed_at > failed.created, true);
  end if;
end;
$$;

comment on function billing_private.keep_first_failure is
  'When the payment of an invoice first failed, as its declined charges tell: in history there is no event that does.';

create function billing_private.keep_debts_of_payment(p_object_id text, p_moment timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  paid constant text := billing_private.payment_of_source(p_object_id);
begin
  perform billing_private.keep_history_debt(i.id, p_moment)
  from billing.payments as p
  join billing.invoices as i on i.id = p.invoice_id
  where p.id = paid and i.status = 'open';
end;
$$;

comment on function billing_private.keep_debts_of_payment is
  'keep_history_debt for the open invoice that a payment is for: its failure may be what makes it overdue.';

create function billing_private.project_history(p_read billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  case p_read.payload #>> '{data,object,object}'
    when 'customer' then
      perform billing_private.record_given_card(p_read), billing_private.project_customer(p_read),
        billing_private.link_from_customer(p_read), billing_private.project_entitlements(p_read);
    when 'product' then
      perform billing_private.project_product(p_read), billing_private.refresh_usage_of_plan(p_read), billing_private.project_features(p_read);
    when 'price' then
      perform billing_private.project_price(p_read), billing_private.refresh_usage_of_plan(p_read), billing_private.project_features(p_read);
    when 'subscription' then
      perform billing_private.record_given_card(p_read), billing_private.project_subscription(p_read),
        billing_private.link_from_subscription(p_read), billing_private.refresh_usage_of_subscription(p_read),
        billing_private.project_entitlements(p_read), billing_private.record_trial(p_read);
    when 'invoice' then
      perform billing_private.project_invoice(p_read), billing_private.link_invoice_payments(p_read),
        billing_private.keep_history_debt(p_read.object_id, p_read.received_at);
    when 'invoice_payment' then
      perform billing_private.project_invoice_payment(p_read);
    when 'payment_intent' then
      perform billing_private.project_payment_intent(p_read), billing_private.keep_debts_of_payment(p_read.object_id, p_read.received_at);
    when 'charge' then
      perform billing_private.project_charge(p_read), billing_private.keep_first_failure(p_read.object_id),
        billing_private.keep_debts_of_payment(p_read.object_id, p_read.received_at);
    when 'payment_record' then
      perform billing_private.project_payment_record(p_read);
    when 'refund' then
      perform billing_private.project_refund(p_read);
    when 'dispute' then
      perform billing_private.project_dispute(p_read), billing_private.update_dispute_amounts(p_read);
    when 'payment_method' then
      perform billing_private.project_payment_method(p_read);
    when 'checkout.session' then
      perform billing_private.project_checkout_session(p_read), billing_private.record_credit_purchase(p_read);
      if p_read.payload #>> '{data,object,status}' = 'complete' then
        perform billing_private.link_from_checkout(p_read);
      end if;
      perform billing_private.match_credits_to_checkout(p_read);
    when 'entitlements.active_entitlement_summary' then
      perform billing_private.project_entitlement_summary(p_read), billing_private.project_entitlements(p_read);
    else
      perform billing_private.raise_error('DU008', format('cannot apply %s', p_read.object_id));
  end case;
end;
$$;

comment on function billing_private.project_history is
  'Runs the handlers that keep the state of an object read by a history run, and none that enqueues an effect. Raises DU008 for a kind that is not kept.';

create function billing_private.is_of_open_case(p_read billing.stripe_events)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  o constant jsonb := p_read.payload #> '{data,object}';
  kind constant text := o ->> 'object';
  named text[];
begin
  -- Nearly nobody has one.
  if not exists (select from billing.dunning_cases as c where c.customer = p_read.customer_id and c.status = 'open') then
    return false;
  end if;
  if kind in ('invoice', 'invoice_payment', 'payment_intent', 'charge', 'payment_record', 'refund', 'dispute') then
    named := billing_private.payments_named_by(o);
    -- As it is known without a lock: what becomes known while it is read, an event tells.
    named := named || array(
      select s.payment_id
      from billing_private.payment_sources as s
      where s.object_id = any (named) and s.kind in ('charge', 'payment_record')
    );
    named := named || array(select p.invoice_id from billing.payments as p where p.id = any (named));
  end if;
  return exists (
    select
    from billing.dunning_cases as c
    where c.customer = p_read.customer_id
      and c.status = 'open'
      and (
        kind in ('customer', 'payment_method')
        or c.subscription = p_read.object_id
        or exists (select from billing.dunning_case_invoices as k where k.case_id = c.id and k.invoice = any (named))
      )
  );
end;
$$;

comment on function billing_private.is_of_open_case is
  'Whether an object is what an open case is about: its invoices and their payments, its subscription, its customer and their cards. Whatever else the customer has may be years old, and nobody is told of it.';

create function billing_private.finish_history_read(p_read billing.stripe_events, p_object jsonb, p_outcome text, p_again text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_outcome = 'undecided' then
    -- An event of the same second as the read: it is read again, as after any other tie.
    perform billing_private.enqueue_refresh(p_read, p_again);
  end if;
  if p_object ? 'customer_account' then
    perform billing_private.move_account_to_customer(p_read);
  end if;
end;
$$;

comment on function billing_private.finish_history_read is
  'What every object of a history run ends with, however it was applied: one that is undecided is read again, and an account goes to its customer.';

create function billing_private.apply_history_object(p_object jsonb, p_read_at timestamptz, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  incoming constant billing.stripe_events := billing_private.take_read(p_object, p_read_at, p_now);
  outcome constant text := billing_private.order_refresh(incoming);
begin
  if billing_private.is_of_open_case(incoming) then
    perform billing_private.run_refresh_handlers(incoming, outcome);
  elsif outcome = 'applied' then
    perform billing_private.project_history(incoming);
  end if;
  perform billing_private.finish_history_read(incoming, p_object, outcome, 'history');
  return outcome;
end;
$$;

comment on function billing_private.apply_history_object is
  'Applies one object that a history run has read, as the truth of p_read_at. Returns what apply_refresh does, and raises as it does.';
