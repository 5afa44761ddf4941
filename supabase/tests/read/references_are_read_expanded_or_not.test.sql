begin;
select plan(17);

select is(billing_private.stripe_id('"cus_1"'), 'cus_1', 'a reference');
select is(billing_private.stripe_id('{"id": "cus_1", "object": "customer"}'), 'cus_1', 'an expanded one');
select is(billing_private.stripe_id('{"id": "cus_1", "deleted": true}'), 'cus_1', 'one whose object is gone');
select is(billing_private.stripe_id('null'), null, 'json null');
select is(billing_private.stripe_id(null), null, 'none');
select is(billing_private.stripe_id('""'), null, 'an empty one');
select is(billing_private.stripe_id('{}'), null, 'an object without id');
select is(billing_private.stripe_id('7'), null, 'a number');
select is(billing_private.stripe_id('["cus_1"]'), null, 'an array');

select is(billing_private.event_customer('{"object": "customer", "id": "cus_1"}', null), 'cus_1', 'a customer is its own');
select is(billing_private.event_customer('{"object": "invoice", "customer": "cus_1"}', null), 'cus_1', 'an object names its customer');
select is(billing_private.event_customer('{"object": "invoice", "customer": {"id": "cus_1"}}', null), 'cus_1', 'expanded');
select is(
  billing_private.event_customer('{"object": "payment_method", "customer": null}', '{"customer": "cus_1"}'), 'cus_1',
  'a detached payment method: the customer it had'
);
select is(billing_private.event_customer('{"object": "product"}', null), null, 'a product has none');

select is(
  billing_private.default_payment_method('{"invoice_settings": {"default_payment_method": "pm_1"}, "default_source": "card_1"}'), 'pm_1',
  'the default payment method'
);
select is(
  billing_private.default_payment_method('{"invoice_settings": {"default_payment_method": null}, "default_source": {"id": "card_1"}}'), 'card_1',
  'else the older default source'
);
select is(billing_private.default_payment_method('{"id": "cus_1"}'), null, 'or none');

select * from finish();
rollback;
