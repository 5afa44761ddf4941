-- A signature proves who sent it, not that it is an event. What is not is refused by name and leaves nothing behind.
begin;
select plan(17);

create function pg_temp.event_with(p_change jsonb, p_without text default null) returns jsonb language sql as $$
  select (jsonb_build_object(
    'id', 'evt_ok', 'object', 'event', 'type', 'customer.created', 'created', 1790000000, 'livemode', false,
    'data', jsonb_build_object('object', jsonb_build_object('id', 'cus_ok', 'object', 'customer'))
  ) || p_change) - coalesce(p_without, '');
$$;

select throws_ok($$ select billing.receive_event(null) $$, 'DU001', 'not a Stripe event: null', 'nothing');
select throws_ok($$ select billing.receive_event('null') $$, 'DU001', 'not a Stripe event: null', 'json null');
select throws_ok($$ select billing.receive_event('[]') $$, 'DU001', 'not a Stripe event: []', 'an array');
select throws_ok($$ select billing.receive_event('"evt_1"') $$, 'DU001', 'not a Stripe event: "evt_1"', 'a text');
select throws_ok(
  $$ select billing.receive_event('{"object": "customer", "id": "cus_1"}') $$,
  'DU001', 'not a Stripe event: {"id": "cus_1", "object": "customer"}', 'an object of another kind'
);
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{}', 'id')) $$, 'DU001', 'event has no usable id: null', 'no id');
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{"id": " "}')) $$, 'DU001', 'event has no usable id:  ', 'a blank id');
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{"id": 7}')) $$, 'DU001', 'event has no usable id: 7', 'an id that is no text');
select throws_ok(
  $$ select billing.receive_event(pg_temp.event_with(jsonb_build_object('id', repeat('x', 256)))) $$,
  'DU001', 'event has no usable id: ' || repeat('x', 80), 'an id longer than any of Stripe''s, cut off in the message'
);
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{}', 'type')) $$, 'DU001', 'event evt_ok has no type', 'no type');
select throws_ok(
  $$ select billing.receive_event(pg_temp.event_with('{"created": "yesterday"}')) $$,
  'DU001', 'event evt_ok: created is not a Unix time: yesterday', 'a time that is none'
);
select throws_ok(
  $$ select billing.receive_event(pg_temp.event_with('{"created": 123456789012}')) $$,
  'DU001', 'event evt_ok: created is not a Unix time: 123456789012', 'a time in milliseconds'
);
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{}', 'created')) $$, 'DU001', null, 'no time');
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{"data": {}}')) $$, 'DU001', 'event evt_ok has no data.object', 'no object');
select throws_ok($$ select billing.receive_event(pg_temp.event_with('{"data": {"object": "cus_1"}}')) $$, 'DU001', 'event evt_ok has no data.object', 'an object that is a text');

select is_empty($$ select from billing.webhook_events $$, 'none of them left a row');
select is(billing.receive_event(pg_temp.event_with('{}')), 'processed', 'and the event they were made from is one');

select * from finish();
rollback;
