-- Refresh: an object read from Stripe is the truth of the moment it was read, and goes through the same handlers as
-- an event. A newer event wins over it; it wins over every older one.
-- Reads: object_versions, stripe_events, invoices, settings. Writes: billing state, through the handlers. Called by: duebase-deliver.

create table billing_private.refresh_handlers (
  object text not null,
  handler text not null,
  position integer not null,
  runs_on_stale boolean not null default false,
  primary key (object, handler)
);

comment on table billing_private.refresh_handlers is
  'Which handlers keep the state of which kind of Stripe object: what an object read from Stripe is projected by.';
comment on column billing_private.refresh_handlers.object is 'Stripe''s object field: subscription, invoice, …';
comment on column billing_private.refresh_handlers.handler is 'As in billing.event_handlers; only handlers that keep state, none that records or tells an event.';
comment on column billing_private.refresh_handlers.position is 'Smaller runs first.';
comment on column billing_private.refresh_handlers.runs_on_stale is
  'Whether it learns something even from an object that is not shown, because something newer is.';

alter table billing_private.refresh_handlers enable row level security;
create policy nobody_reads on billing_private.refresh_handlers using (false);

insert into billing_private.refresh_handlers (object, handler, position) values
  ('customer', 'billing_private.project_customer', 10),
  ('customer', 'billing_private.link_from_customer', 20),
  ('product', 'billing_private.project_product', 10),
  ('price', 'billing_private.project_price', 10),
  ('subscription', 'billing_private.project_subscription', 10),
  ('subscription', 'billing_private.link_from_subscription', 20),
  ('invoice', 'billing_private.project_invoice', 10),
  ('invoice', 'billing_private.link_invoice_payments', 20),
  ('invoice_payment', 'billing_private.project_invoice_payment', 10),
  ('payment_intent', 'billing_private.project_payment_intent', 10),
  ('charge', 'billing_private.project_charge', 10),
  ('refund', 'billing_private.project_refund', 10),
  ('payment_record', 'billing_private.project_payment_record', 10),
  ('dispute', 'billing_private.project_dispute', 10),
  ('dispute', 'billing_private.update_dispute_amounts', 20),
  ('payment_method', 'billing_private.project_payment_method', 10),
  ('checkout.session', 'billing_private.project_checkout_session', 10);

create function billing_private.read_as_event(p_object jsonb, p_read_at timestamptz, p_now timestamptz)
returns billing.stripe_events
language plpgsql
immutable
set search_path = ''
as $$
declare
  event billing.stripe_events;
begin
  -- No id: object_versions then shows that no event said so.
  event.type := case when p_object -> 'deleted' = 'true' then 'duebase.deleted' else 'duebase.refreshed' end;
  event.livemode := (p_object ->> 'livemode')::boolean;
  event.created := date_trunc('second', p_read_at);
  event.object_id := p_object ->> 'id';
  event.customer_id := billing_private.event_customer(p_object, null);
  event.payload := jsonb_build_object('data', jsonb_build_object('object', p_object));
  event.received_at := p_now;
  return event;
end;
$$;

comment on function billing_private.read_as_event is
  'An object read from Stripe, in the form handlers take: an event without an id, created in the second of the read.';

create function billing_private.goes_by_test_clock(p_read billing.stripe_events)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_read.livemode then
    return false;
  end if;
  -- Payments and cards do not say so themselves: their customer does.
  return p_read.payload #>> '{data,object,test_clock}' is not null
    or exists (
      select
      from billing.stripe_events as e
      where e.object_id = p_read.customer_id and e.payload #>> '{data,object,test_clock}' is not null
    );
end;
$$;

comment on function billing_private.goes_by_test_clock is
  'Whether an object read from Stripe lives under a test clock, as far as it or the events of its customer tell.';

create function billing_private.step_back_shown_version(p_read billing.stripe_events)
returns timestamptz
language plpgsql
set search_path = ''
as $$
declare
  latest timestamptz;
begin
  update billing_private.object_versions as v
  set as_of = v.as_of - interval '1 second'
  where v.object_id = p_read.object_id and v.rank < 9 and v.as_of is not null
  returning v.as_of + interval '1 second' into latest;
  return coalesce(latest, to_timestamp((p_read.payload #>> '{data,object,created}')::double precision), p_read.created);
end;
$$;

comment on function billing_private.step_back_shown_version is
  'Under a test clock events carry its time, which stands still and has nothing to do with ours. What is read now is the truth of the latest moment known: returns it, and steps what is shown back by a second so that the read counts as newer.';

create function billing_private.order_refresh(p_read billing.stripe_events)
returns text
language plpgsql
set search_path = ''
as $$
declare
  shown billing_private.object_versions;
begin
  select * into shown from billing_private.object_versions as v where v.object_id = p_read.object_id for update;
  if not found or shown.as_of is null then
    return 'applied';
  elsif shown.as_of > p_read.created then
    return 'stale';
  -- Nothing brings a deleted object back. A canceled subscription can still be read, and have been edited since.
  elsif shown.rank = 9 and billing_private.event_rank(p_read.type, p_read.payload #> '{data,object}') < 5 then
    return 'stale';
  elsif shown.as_of = p_read.created and shown.event_id is null then
    -- Of two reads in one second the later will do: an event of a change between them is newer than both.
    update billing_private.object_versions as v set as_of = v.as_of - interval '1 second' where v.object_id = p_read.object_id;
    return 'applied';
  end if;
  return case when shown.as_of < p_read.created then 'applied' else 'undecided' end;
end;
$$;

comment on function billing_private.order_refresh is
  'Whether an object read from Stripe may be shown: applied; stale, a newer event or a deletion is shown; undecided, something of the same second as the read is.';

create function billing_private.read_problem(p_read billing.stripe_events)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  expected constant boolean := coalesce((select s.livemode from billing.settings as s), false);
  invoice_status text;
begin
  if p_read.livemode <> expected then
    return format(
      '%s has livemode %s, this project mirrors livemode %s (billing.settings.livemode)', p_read.object_id, p_read.livemode, expected
    );
  elsif p_read.type = 'duebase.deleted' and p_read.payload #>> '{data,object,object}' = 'invoice' then
    select i.status into invoice_status from billing.invoices as i where i.id = p_read.object_id;
    if invoice_status <> 'draft' then
      return format('invoice %s is %s, and a finalized invoice cannot be deleted', p_read.object_id, invoice_status);
    end if;
  end if;
  return null;
end;
$$;

comment on function billing_private.read_problem is
  'Why what was read from Stripe cannot be true here, or null: it is of the other mode, or says that an invoice was deleted which cannot be.';

create function billing_private.take_read(p_object jsonb, p_read_at timestamptz, p_now timestamptz)
returns billing.stripe_events
language plpgsql
set search_path = ''
as $$
declare
  incoming billing.stripe_events := billing_private.read_as_event(p_object, p_read_at, p_now);
  refusal constant text := billing_private.read_problem(incoming);
begin
  if refusal is not null then
    perform billing_private.raise_error('DU058', refusal);
  end if;
  incoming := billing_private.fill_in_customer(incoming);
  if billing_private.is_forgotten(incoming.customer_id, p_object) then
    incoming.payload := billing_private.redact(incoming.payload);
  end if;
  if billing_private.lock_customer(incoming) and billing_private.goes_by_test_clock(incoming) then
    incoming.created := billing_private.step_back_shown_version(incoming);
  end if;
  return incoming;
end;
$$;

comment on function billing_private.take_read is
  'An object read from Stripe as handlers take it: of its customer, redacted where that is forgotten, and at its place in time; under its customer''s lock. Raises DU058 for what cannot be true here.';

create function billing_private.run_refresh_handlers(p_read billing.stripe_events, p_outcome text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  handlers text;
begin
  select string_agg(h.handler || '($1)', ', ' order by h.position, h.handler)
  into handlers
  from billing_private.refresh_handlers as h
  where h.object = p_read.payload #>> '{data,object,object}' and (p_outcome = 'applied' or p_outcome = 'stale' and h.runs_on_stale);
  if handlers is not null then
    execute 'select ' || handlers using p_read;
  end if;
end;
$$;

comment on function billing_private.run_refresh_handlers is
  'Runs the handlers of an object read from Stripe: all where it is applied, those that run on stale where it is stale, none where that is undecided.';

create function billing.apply_refresh(object jsonb, p_read_at timestamptz, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  incoming billing.stripe_events;
  outcome text;
begin
  if not exists (select from billing_private.refresh_handlers as h where h.object = apply_refresh.object ->> 'object')
    or coalesce(btrim(apply_refresh.object ->> 'id'), '') = ''
    or p_read_at is null
  then
    perform billing_private.raise_error(
      'DU008', format('cannot apply %s %s', coalesce(apply_refresh.object ->> 'object', 'nothing'), left(apply_refresh.object ->> 'id', 80))
    );
  end if;

  incoming := billing_private.take_read(apply_refresh.object, p_read_at, p_now);
  outcome := billing_private.order_refresh(incoming);
  perform billing_private.run_refresh_handlers(incoming, outcome);
  perform billing_private.move_account_to_customer(incoming);
  return outcome;
end;
$$;

comment on function billing.apply_refresh is
  'Applies an object read from Stripe at p_read_at (Stripe''s clock), under its customer''s lock, through the handlers that keep its state. {id, object, deleted: true} leaves a tombstone, which holds until something newer is shown. Returns applied; stale, something newer is shown; or undecided, read again a second later. Raises DU008, and DU058 for what cannot be true here.';

grant execute on function billing.apply_refresh(jsonb, timestamptz, timestamptz) to service_role;
