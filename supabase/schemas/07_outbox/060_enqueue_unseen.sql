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
  if p_id is null or exists (select from billing_private.forgotten_subjects as f where f.subject_id = p_id) then
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

create function billing_private.enqueue_refresh_of_unseen_payment(p_event billing.stripe_events, p_payment_id text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  object constant text := case
    when p_payment_id like 'pi\_%' then 'payment_intent'
    when p_payment_id like 'ch\_%' or p_payment_id like 'py\_%' then 'charge'
  end;
begin
  if object is not null and not exists (select from billing.payments as p where p.id = p_payment_id) then
    perform billing_private.enqueue_refresh_of_unseen(p_event, object, p_payment_id);
  end if;
end;
$$;

comment on function billing_private.enqueue_refresh_of_unseen_payment is
  'Owes a read of the PaymentIntent or charge that a dispute or refund is about, where no row tells of it.';

create function billing_private.enqueue_refreshes_of_unseen_on_lines(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  lines constant jsonb := p_event.payload #> '{data,object,lines,data}';
  unseen record;
begin
  if jsonb_typeof(lines) is distinct from 'array' then
    return;
  end if;
  for unseen in
    select distinct
      -- Looked up one by one: of a join with few lines the planner would read all prices.
      case when (select p.id from billing.prices as p where p.id = l.price) is null then l.price end as price,
      case when (select d.id from billing.products as d where d.id = l.product) is null then l.product end as product
    from jsonb_array_elements(lines) as e (line)
    cross join lateral (
      select billing_private.line_price(e.line) as price, billing_private.product_named_by_line(e.line) as product
    ) as l
    order by 1, 2
  loop
    perform billing_private.enqueue_refresh_of_unseen(p_event, 'price', unseen.price);
    perform billing_private.enqueue_refresh_of_unseen(p_event, 'product', unseen.product);
  end loop;
end;
$$;

comment on function billing_private.enqueue_refreshes_of_unseen_on_lines is
  'Owes a read of the prices and products that the lines of an invoice name, as far as the invoice came with them, and that no row tells of.';

create function billing_private.enqueue_refreshes_of_unseen(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o constant jsonb := p_event.payload #> '{data,object}';
  unseen record;
begin
  -- A row that was made when a customer was linked has no more than its id and its user.
  if p_event.customer_id is not null
    -- An account's id, while nobody has told which customer it is: Stripe has no customer of that name.
    and p_event.customer_id not like 'acct\_%'
    and not exists (select from billing.customers as c where c.id = p_event.customer_id and c.created is not null)
    -- Expanded and deleted: there is nothing left to read.
    and o #> '{customer,deleted}' is distinct from 'true'
  then
    perform billing_private.enqueue_refresh_of_unseen(p_event, 'customer', p_event.customer_id);
  end if;

  case o ->> 'object'
    when 'subscription' then
      for unseen in
        select i.price, i.product, p.id is null as price_is, d.id is null as product_is
        from billing.subscription_items as i
        left join billing.prices as p on p.id = i.price
        left join billing.products as d on d.id = i.product
        where i.subscription = p_event.object_id and (p.id is null or d.id is null)
        order by i.id
      loop
        if unseen.price_is then
          perform billing_private.enqueue_refresh_of_unseen(p_event, 'price', unseen.price);
        end if;
        if unseen.product_is then
          perform billing_private.enqueue_refresh_of_unseen(p_event, 'product', unseen.product);
        end if;
      end loop;
    when 'price' then
      if not exists (select from billing.products as d where d.id = billing_private.stripe_id(o -> 'product')) then
        perform billing_private.enqueue_refresh_of_unseen(p_event, 'product', billing_private.stripe_id(o -> 'product'));
      end if;
    when 'product' then
      if not exists (select from billing.prices as p where p.id = billing_private.stripe_id(o -> 'default_price')) then
        perform billing_private.enqueue_refresh_of_unseen(p_event, 'price', billing_private.stripe_id(o -> 'default_price'));
      end if;
    when 'invoice' then
      perform billing_private.enqueue_refreshes_of_unseen_on_lines(p_event);
    when 'dispute' then
      perform billing_private.enqueue_refresh_of_unseen_payment(p_event, (select d.payment_id from billing.disputes as d where d.id = p_event.object_id));
    when 'refund' then
      perform billing_private.enqueue_refresh_of_unseen_payment(p_event, (select r.payment_id from billing.refunds as r where r.id = p_event.object_id));
    else null;
  end case;
end;
$$;

comment on function billing_private.enqueue_refreshes_of_unseen is
  'Handler: whatever names a customer, a product, a price or a payment. Owes a read of those that no row tells of: once each, as the dedupe key stands for as long as the outbox keeps it.';

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
