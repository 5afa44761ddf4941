-- Read what was never seen: an event that names a customer, product or price of which nothing has arrived owes a read
-- of it, and so does a dispute or refund of a payment. The same holds for whatever is older than the installation, and for
-- events that were lost. Only a payment names the customer of a dispute, whose dunning it holds.
-- Reads: the event, customers, products, prices, subscription_items, payments, disputes, refunds. Writes: outbox.
-- Called by: projection, refresh.

create function billing_private.enqueue_refresh_of_unseen(p_event billing.stripe_events, p_object text, p_id text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  key text := format('unseen:%s:%s', p_object, p_id);
begin
  if p_id is null
    or exists (select from billing.outbox as o where o.dedupe_key = key)
    or exists (select from billing_private.forgotten_subjects as f where f.subject_id = p_id)
  then
    return;
  end if;
  -- Events of several customers name one product or price, each with others: whoever waited for another's key here could
  -- be waited for by them. Read twice it does no harm.
  if not pg_try_advisory_xact_lock(hashtextextended(key, 7311)) then
    key := key || ':' || pg_backend_pid();
  end if;
  perform billing_private.enqueue(
    'refresh',
    key,
    jsonb_strip_nulls(jsonb_build_object('object', p_object, 'id', p_id, 'event', p_event.id)),
    p_event.received_at,
    -- Its own event is often on its way, as Stripe sends parents and children at the same time.
    p_event.received_at + interval '30 seconds'
  );
end;
$$;

comment on function billing_private.enqueue_refresh_of_unseen is
  'Enqueues a read of an object that was never seen, once, unless it is a person''s who was forgotten. Waits for nobody: of two at the same moment each enqueues its own.';

create function billing_private.payment_named_by(p_payment_id text)
returns table (object text, id text)
language plpgsql
immutable
set search_path = ''
rows 1
as $$
begin
  return query
    select k.object, p_payment_id
    from (
      select case
        when p_payment_id like 'pi\_%' then 'payment_intent'
        when p_payment_id like 'ch\_%' or p_payment_id like 'py\_%' then 'charge'
      end as object
    ) as k
    where k.object is not null;
end;
$$;

comment on function billing_private.payment_named_by is 'The PaymentIntent or charge that a payment is, as Stripe can be asked for it; none for what goes by another id.';

create function billing_private.objects_named_by(p_event billing.stripe_events)
returns table (object text, id text)
language plpgsql
stable
set search_path = ''
rows 5
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
begin
  if p_event.customer_id is not null
    -- An account's id, while nobody has told which customer it is: Stripe has no customer of that name.
    and p_event.customer_id not like 'acct\_%'
    -- Expanded and deleted: there is nothing left to read.
    and o #> '{customer,deleted}' is distinct from 'true'
  then
    object := 'customer';
    id := p_event.customer_id;
    return next;
  end if;

  case o ->> 'object'
    when 'subscription' then
      return query
        select k.object, k.id
        from billing.subscription_items as i
        cross join lateral (values ('price', i.price), ('product', i.product)) as k (object, id)
        where i.subscription = p_event.object_id;
    when 'price' then
      object := 'product';
      id := billing_private.stripe_id(o -> 'product');
      return next;
    when 'product' then
      object := 'price';
      id := billing_private.stripe_id(o -> 'default_price');
      return next;
    when 'invoice' then
      -- As far as the invoice came with them.
      if jsonb_typeof(o #> '{lines,data}') = 'array' then
        return query
          select k.object, k.id
          from jsonb_array_elements(o #> '{lines,data}') as e (line)
          cross join lateral (
            values ('price', billing_private.line_price(e.line)), ('product', billing_private.product_named_by_line(e.line))
          ) as k (object, id);
      end if;
    when 'dispute' then
      return query
        select k.object, k.id
        from billing.disputes as d
        cross join lateral billing_private.payment_named_by(d.payment_id) as k
        where d.id = p_event.object_id;
    when 'refund' then
      return query
        select k.object, k.id
        from billing.refunds as r
        cross join lateral billing_private.payment_named_by(r.payment_id) as k
        where r.id = p_event.object_id;
    else null;
  end case;
end;
$$;

comment on function billing_private.objects_named_by is
  'Customer, products, prices and payments that an event, or the object it shows, names: kind and id.';

create function billing_private.enqueue_refreshes_of_unseen_of(p_events billing.stripe_events[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  unseen record;
begin
  for unseen in
    select distinct on (k.object, k.id) k.object, k.id, e.n
    from generate_subscripts(p_events, 1) as e (n)
    cross join lateral billing_private.objects_named_by(p_events[e.n]) as k
    where k.id is not null
      -- Looked up one by one: of a join with few names the planner would read all prices.
      and case k.object
        -- A row that was made when a customer was linked has no more than its id and its user.
        when 'customer' then (select c.id from billing.customers as c where c.id = k.id and c.created is not null)
        when 'price' then (select p.id from billing.prices as p where p.id = k.id)
        when 'product' then (select d.id from billing.products as d where d.id = k.id)
        else (select p.id from billing.payments as p where p.id = k.id)
      end is null
    order by k.object, k.id, e.n
  loop
    perform billing_private.enqueue_refresh_of_unseen(p_events[unseen.n], unseen.object, unseen.id);
  end loop;
end;
$$;

comment on function billing_private.enqueue_refreshes_of_unseen_of is 'enqueue_refreshes_of_unseen for many.';

create function billing_private.enqueue_refreshes_of_unseen(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.enqueue_refreshes_of_unseen_of(array[p_event]);
end;
$$;

comment on function billing_private.enqueue_refreshes_of_unseen is
  'Handler: whatever names a customer, a product, a price or a payment. Owes a read of those that no row tells of: once each, as the dedupe key stands for as long as the outbox keeps it.';

insert into billing_private.set_handlers (handler, set_handler) values
  ('billing_private.enqueue_refreshes_of_unseen', 'billing_private.enqueue_refreshes_of_unseen_of');

insert into billing.event_handlers (event_type, handler, position, description)
select distinct h.event_type, 'billing_private.enqueue_refreshes_of_unseen', 30, 'owes a read of a customer, product, price or payment nobody has seen'
from billing.event_handlers as h
where h.handler = any (array[
  'billing_private.project_subscription', 'billing_private.project_invoice', 'billing_private.project_payment_intent',
  'billing_private.project_charge', 'billing_private.project_payment_method', 'billing_private.project_checkout_session',
  'billing_private.project_price', 'billing_private.project_product', 'billing_private.project_dispute',
  'billing_private.project_refund'
])
  -- Deleted objects need no parents.
  and h.event_type not in ('price.deleted', 'product.deleted', 'invoice.deleted', 'payment_method.detached');

-- What names a customer and shows no object of its own.
insert into billing.event_handlers (event_type, handler, position, description)
select t.event_type, 'billing_private.enqueue_refreshes_of_unseen', 30, 'owes a read of a customer, product, price or payment nobody has seen'
from unnest(array['invoice.upcoming', 'entitlements.active_entitlement_summary.updated']) as t (event_type);

insert into billing_private.refresh_handlers (object, handler, position)
select h.object, 'billing_private.enqueue_refreshes_of_unseen', 30
from billing_private.refresh_handlers as h
where h.handler = any (array[
  'billing_private.project_subscription', 'billing_private.project_invoice', 'billing_private.project_payment_intent',
  'billing_private.project_charge', 'billing_private.project_payment_method', 'billing_private.project_checkout_session',
  'billing_private.project_price', 'billing_private.project_product', 'billing_private.project_dispute',
  'billing_private.project_refund'
]);
