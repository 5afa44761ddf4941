-- One event of each object, in the shape of today's API and of the one before 2025-03-31.basil: the rows are the same.
begin;
select plan(16);

create function pg_temp.receive(p_id text, p_type text, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', 1790000000, 'livemode', false, 'data', jsonb_build_object('object', p_object)
  ));
$$;

select is(pg_temp.receive('evt_c', 'customer.created', '{
  "id": "cus_1", "object": "customer", "email": "ada@example.com", "name": "Ada", "currency": "eur", "balance": -500, "delinquent": false,
  "preferred_locales": ["de", "en"], "metadata": {"plan": "gold"}, "livemode": false, "created": 1789999000,
  "invoice_settings": {"default_payment_method": "pm_1"}
}'), 'processed', 'a customer');
select results_eq(
  $$ select email, name, currency, balance, delinquent, preferred_locales, billing_private.metadata_of(id) ->> 'plan', default_payment_method, created, deleted_at
     from billing.customers where id = 'cus_1' $$,
  $$ values (
    'ada@example.com', 'Ada', 'eur', -500::bigint, false, array['de', 'en'], 'gold', 'pm_1', to_timestamp(1789999000), null::timestamptz
  ) $$,
  'is its row'
);

select is(pg_temp.receive('evt_p', 'product.created', '{"id": "prod_1", "object": "product", "name": "Gold", "active": true, "metadata": {}}'), 'processed', 'a product');
select is(pg_temp.receive('evt_r', 'price.created', '{
  "id": "price_1", "object": "price", "product": "prod_1", "active": true, "currency": "jpy", "unit_amount": 1200, "unit_amount_decimal": "1200",
  "type": "recurring", "recurring": {"interval": "month", "interval_count": 1}
}'), 'processed', 'a price');
select results_eq(
  $$ select p.name, r.currency, r.unit_amount, r.recurring ->> 'interval' from billing.prices as r join billing.products as p on p.id = r.product $$,
  $$ values ('Gold', 'jpy', 1200::bigint, 'month') $$,
  'are theirs'
);

select is(pg_temp.receive('evt_s1', 'customer.subscription.created', '{
  "id": "sub_new", "object": "subscription", "customer": "cus_1", "status": "active", "currency": "jpy", "cancel_at_period_end": false,
  "items": {"data": [{"id": "si_new", "price": {"id": "price_1", "product": "prod_1"}, "quantity": 2,
                      "current_period_start": 1790000000, "current_period_end": 1792592000}]}
}'), 'processed', 'a subscription of today');
select is(pg_temp.receive('evt_s2', 'customer.subscription.created', '{
  "id": "sub_old", "object": "subscription", "customer": {"id": "cus_1"}, "status": "active", "currency": "jpy", "cancel_at_period_end": false,
  "current_period_start": 1790000000, "current_period_end": 1792592000,
  "items": {"data": [{"id": "si_old", "price": {"id": "price_1", "product": "prod_1"}, "quantity": 2}]}
}'), 'processed', 'and one of before');
select results_eq(
  $$ select customer, status, current_period_start, current_period_end from billing.subscriptions where id = 'sub_new' $$,
  $$ select customer, status, current_period_start, current_period_end from billing.subscriptions where id = 'sub_old' $$,
  'are the same'
);
select results_eq(
  $$ select price, product, quantity, current_period_start, current_period_end from billing.subscription_items where id = 'si_new' $$,
  $$ select price, product, quantity, current_period_start, current_period_end from billing.subscription_items where id = 'si_old' $$,
  'and so are their items'
);

select pg_temp.receive('evt_i1', 'invoice.paid', '{
  "id": "in_new", "object": "invoice", "customer": "cus_1", "status": "paid", "currency": "jpy", "total": 2400, "amount_due": 2400,
  "amount_paid": 2400, "amount_remaining": 0, "total_taxes": [{"amount": 400}],
  "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_new"}},
  "status_transitions": {"paid_at": 1790000100, "finalized_at": 1790000050}
}');
select pg_temp.receive('evt_ip1', 'invoice_payment.paid', '{
  "id": "inpay_1", "object": "invoice_payment", "invoice": "in_new", "amount_paid": 2400, "currency": "jpy", "status": "paid",
  "payment": {"type": "payment_intent", "payment_intent": "pi_new"}, "status_transitions": {"paid_at": 1790000100}
}');
select pg_temp.receive('evt_i2', 'invoice.paid', '{
  "id": "in_old", "object": "invoice", "customer": "cus_1", "paid": true, "status": "paid", "currency": "jpy", "total": 2400, "amount_due": 2400,
  "amount_paid": 2400, "amount_remaining": 0, "tax": 400, "subscription": "sub_old", "payment_intent": "pi_old", "charge": "ch_old",
  "status_transitions": {"paid_at": 1790000100, "finalized_at": 1790000050}
}');
select results_eq(
  $$ select customer, status, tax, total, amount_paid, finalized_at, paid_at, subscription is not null from billing.invoices where id = 'in_new' $$,
  $$ select customer, status, tax, total, amount_paid, finalized_at, paid_at, subscription is not null from billing.invoices where id = 'in_old' $$,
  'an invoice of today and one of before are the same'
);
select results_eq(
  $$ select subscription from billing.invoices order by id $$, $$ values ('sub_new'), ('sub_old') $$, 'each with its subscription'
);
select results_eq(
  $$ select id, invoice_id, amount, amount_received, currency, status from billing.payments order by id $$,
  $$ values
    ('pi_new', 'in_new', 2400::bigint, 2400::bigint, 'jpy', 'succeeded'),
    ('pi_old', 'in_old', 2400::bigint, 2400::bigint, 'jpy', 'succeeded') $$,
  'and the money that paid them is there, though no payment event came'
);

select pg_temp.receive('evt_pi', 'payment_intent.succeeded', '{
  "id": "pi_new", "object": "payment_intent", "customer": "cus_1", "amount": 2400, "amount_received": 2400, "currency": "jpy", "status": "succeeded"
}');
select pg_temp.receive('evt_ch', 'charge.succeeded', '{
  "id": "ch_new", "object": "charge", "customer": "cus_1", "payment_intent": "pi_new", "amount": 2400, "currency": "jpy", "status": "succeeded",
  "payment_method_details": {"type": "card", "card": {"brand": "Visa", "last4": "4242"}}
}');
select results_eq(
  $$ select invoice_id, customer, amount, latest_charge, card_brand, card_last4 from billing.payments where id = 'pi_new' $$,
  $$ values ('in_new', 'cus_1', 2400::bigint, 'ch_new', 'visa', '4242') $$,
  'when they come, they add to the same payment'
);
select is((select count(*) from billing.payments), 2::bigint, 'there are never two rows for the same money');
select is_empty($$ select * from billing.failed_webhooks $$, 'nothing failed');
select is_empty(
  $$ select event_id, action from billing.audit_events group by 1, 2 having count(*) > 1 $$, 'and each fact is on record once'
);

select * from finish();
rollback;
