begin;
select plan(20);

select ok(billing_private.attributes_match('{"a": 1, "b": 2}', '{"a": 1}'), 'the attribute is as it was');
select ok(not billing_private.attributes_match('{"a": 1}', '{"a": 2}'), 'it is another');
select ok(billing_private.attributes_match('{"a": 1}', '{"b": null}'), 'a key that was not there is listed as null');
select ok(not billing_private.attributes_match('{"a": 1, "b": 2}', '{"b": null}'), 'and does not match one that is there');
select ok(billing_private.attributes_match('{"o": {"x": 1, "y": 2}}', '{"o": {"x": 1}}'), 'of a nested object only what changed is listed');
select ok(not billing_private.attributes_match('{"o": {"x": 1, "y": 2}}', '{"o": {"x": 3}}'), 'and that must match');
select ok(billing_private.attributes_match('{"o": {"x": 1}}', '{"o": {"y": null}}'), 'a nested key that was not there');
select ok(not billing_private.attributes_match('{"o": null}', '{"o": {"x": 1}}'), 'an object where there is none');
select ok(billing_private.attributes_match('{"l": [1, 2]}', '{"l": [1, 2]}'), 'a list is compared whole');
select ok(not billing_private.attributes_match('{"l": [1, 2]}', '{"l": [1]}'), 'and not in part');
select ok(billing_private.attributes_match('{"a": 1}', '{}'), 'nothing changed matches everything');

select is(billing_private.event_rank('customer.created', '{"object": "customer"}')::integer, 1, 'created comes first');
select is(billing_private.event_rank('invoice.updated', '{"object": "invoice", "status": "draft"}')::integer, 2, 'a draft before');
select is(billing_private.event_rank('invoice.updated', '{"object": "invoice", "status": "open"}')::integer, 3, 'an open invoice, before');
select is(billing_private.event_rank('invoice.updated', '{"object": "invoice", "status": "uncollectible"}')::integer, 4, 'one given up, before');
select is(billing_private.event_rank('invoice.updated', '{"object": "invoice", "status": "paid"}')::integer, 5, 'a paid one');
select is(billing_private.event_rank('customer.subscription.updated', '{"object": "subscription", "status": "canceled"}')::integer, 5, 'canceled is terminal');
select is(billing_private.event_rank('payment_intent.succeeded', '{"object": "payment_intent", "status": "succeeded"}')::integer, 5, 'succeeded is terminal');
select is(billing_private.event_rank('customer.subscription.updated', '{"object": "subscription", "status": "a_status_to_come"}')::integer, 3, 'a status Stripe adds is on the way');
select is(billing_private.event_rank('customer.deleted', '{"object": "customer"}')::integer, 9, 'deleted comes last');

select * from finish();
rollback;
