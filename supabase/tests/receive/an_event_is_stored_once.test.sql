-- The primary key of webhook_events is the idempotency constraint: what Stripe repeats is counted and changes nothing.
begin;
select plan(12);

create function pg_temp.customer_event(p_id text, p_email text default 'ada@example.com') returns jsonb language sql as $$
  select jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', 'customer.created', 'api_version', '2026-10-28.endive', 'created', 1790000000,
    'livemode', false,
    'data', jsonb_build_object('object', jsonb_build_object('id', 'cus_' || p_id, 'object', 'customer', 'email', p_email))
  );
$$;

select is(billing.receive_event(pg_temp.customer_event('evt_1'), '2026-11-01 12:00:00Z'), 'processed', 'a new event is processed');
select results_eq(
  $$ select id, type, api_version, livemode, account, created, object_id, customer_id, received_at from billing.webhook_events where id = 'evt_1' $$,
  $$ values (
    'evt_1', 'customer.created', '2026-10-28.endive', false, null::text, to_timestamp(1790000000), 'cus_evt_1', 'cus_evt_1',
    timestamptz '2026-11-01 12:00:00Z'
  ) $$,
  'its row repeats what every query asks for'
);
select is(
  (select payload from billing.stripe_events where id = 'evt_1'), pg_temp.customer_event('evt_1'),
  'and keeps the payload as it came'
);
select is((select email from billing.customers where id = 'cus_evt_1'), 'ada@example.com', 'state is there when it is stored');

select is(billing.receive_event(pg_temp.customer_event('evt_1'), '2026-11-01 12:00:05Z'), 'duplicate', 'a repetition is a duplicate');
select is(
  billing.receive_event(pg_temp.customer_event('evt_1', 'eve@example.com'), '2026-11-01 12:00:06Z'), 'duplicate',
  'whatever it says: the id decides'
);
select results_eq(
  $$ select event_id, received_at from billing.webhook_duplicates order by id $$,
  $$ values ('evt_1', timestamptz '2026-11-01 12:00:05Z'), ('evt_1', timestamptz '2026-11-01 12:00:06Z') $$,
  'each repetition is counted'
);
select is((select count(*) from billing.webhook_events where id = 'evt_1'), 1::bigint, 'the event is there once');
select is((select email from billing.customers where id = 'cus_evt_1'), 'ada@example.com', 'and its state is untouched');

select is(
  billing.receive_event(jsonb_set(pg_temp.customer_event('evt_2'), '{type}', '"tax.settings.updated"')), 'processed',
  'an event nobody handles is stored and done'
);
select is_empty($$ select from billing.customers where id = 'cus_evt_2' $$, 'without any effect');
select is_empty($$ select from billing.failed_webhooks $$, 'and nothing has failed');

select * from finish();
rollback;
