-- receive_events answers each event of an array as receive_event would, in one transaction; what it cannot take comes back.
begin;
select plan(33);

create function pg_temp.event(p_id text, p_type text, p_object jsonb, p_change jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', 1790000000, 'livemode', false,
    'data', jsonb_build_object('object', p_object)
  ) || p_change;
$$;
create function pg_temp.customer_event(p_id text, p_customer text, p_change jsonb default '{}') returns jsonb language sql as $$
  select pg_temp.event(p_id, 'customer.created', jsonb_build_object('id', p_customer, 'object', 'customer', 'email', p_customer || '@example.com'), p_change);
$$;
create function pg_temp.receive(variadic p_events jsonb[]) returns text[] language sql as $$
  select billing.receive_events(to_jsonb(p_events), '2026-11-01 12:00:00Z');
$$;
create function pg_temp.fail_for_eve(p_event billing.stripe_events) returns void language plpgsql as $$
begin
  if p_event.object_id = 'cus_eve' then
    raise exception 'not Eve';
  end if;
end;
$$;

select throws_ok($$ select billing.receive_events(null) $$, 'DU032', 'expected an array of 1 to 100 events, got null', 'nothing is no batch');
select throws_ok($$ select billing.receive_events('null') $$, 'DU032', 'expected an array of 1 to 100 events, got null', 'nor is json null');
select throws_ok(
  $$ select billing.receive_events(pg_temp.customer_event('evt_1', 'cus_ada')) $$, 'DU032', 'expected an array of 1 to 100 events, got object', 'nor one event'
);
select throws_ok($$ select billing.receive_events('[]') $$, 'DU032', 'expected an array of 1 to 100 events, got 0 events', 'nor no event');
select throws_ok(
  $$ select billing.receive_events((select jsonb_agg(pg_temp.customer_event('evt_' || n, 'cus_' || n)) from generate_series(1, 101) as n)) $$,
  'DU032', 'expected an array of 1 to 100 events, got 101 events', 'nor more than a page of Stripe''s'
);
select is_empty($$ select from billing.webhook_events $$, 'none of them left a row');
select is(
  billing.receive_events((select jsonb_agg(pg_temp.customer_event('evt_page_' || n, 'cus_page_' || n)) from generate_series(1, 100) as n)),
  array_fill('processed'::text, array[100]), 'a page is a batch'
);

select is(
  pg_temp.receive(
    pg_temp.customer_event('evt_1', 'cus_ada'), pg_temp.customer_event('evt_2', 'cus_bob'),
    pg_temp.event('evt_3', 'tax.settings.updated', '{"object": "tax.settings"}')
  ),
  array['processed', 'processed', 'processed'], 'new events are processed, also those nobody handles'
);
select results_eq(
  $$ select id, received_at from billing.webhook_events where id in ('evt_1', 'evt_2', 'evt_3') order by id $$,
  $$ values
    ('evt_1', timestamptz '2026-11-01 12:00:00Z'), ('evt_2', timestamptz '2026-11-01 12:00:00Z'), ('evt_3', timestamptz '2026-11-01 12:00:00Z') $$,
  'they are stored, with the time that was given'
);
select set_eq($$ select email from billing.customers where id in ('cus_ada', 'cus_bob') $$, array['cus_ada@example.com', 'cus_bob@example.com'], 'and state is there');

select is(
  pg_temp.receive(
    pg_temp.customer_event('evt_4', 'cus_cy'), pg_temp.customer_event('evt_1', 'cus_ada'), pg_temp.customer_event('evt_4', 'cus_other'),
    '{"id": "evt_1"}'
  ),
  array['processed', 'duplicate', 'duplicate', 'duplicate'], 'answers line up: the id decides, in the batch too, whatever the event says'
);
select results_eq(
  $$ select event_id, count(*) from billing.webhook_duplicates group by event_id order by event_id $$,
  $$ values ('evt_1', 2::bigint), ('evt_4', 1::bigint) $$, 'each repetition is counted'
);
select is_empty($$ select from billing.customers where id = 'cus_other' $$, 'of two of one id the first counts');

select is(
  pg_temp.receive(
    'null', '"evt_5"', '7', '[]', '{}', pg_temp.customer_event(' ', 'cus_blank'), pg_temp.customer_event('evt_5', 'cus_dan') - 'type',
    pg_temp.customer_event('evt_6', 'cus_dan', '{"object": "v2.core.event"}'), pg_temp.customer_event('evt_7', 'cus_dan')
  ),
  array_fill('retry_single'::text, array[8]) || 'processed'::text, 'what is no event comes back, and the others are received'
);
select is_empty($$ select from billing.webhook_events where id in ('evt_5', 'evt_6', ' ') $$, 'nothing of it is stored');
select throws_ok($$ select billing.receive_event(pg_temp.customer_event('evt_5', 'cus_dan') - 'type') $$, 'DU001', 'event evt_5 has no type', 'alone it is told why');

select is(
  pg_temp.receive(
    pg_temp.customer_event('evt_live', 'cus_live', '{"livemode": true}'), pg_temp.customer_event('evt_foreign', 'cus_foreign', '{"account": "acct_other"}'),
    pg_temp.customer_event('evt_8', 'cus_fay')
  ),
  array['quarantined', 'quarantined', 'processed'], 'what belongs elsewhere is quarantined'
);
select is_empty($$ select from billing.customers where id in ('cus_live', 'cus_foreign') $$, 'and not projected');
select is(
  (select array_agg(status order by event_id) from billing.failed_webhooks), array['quarantined', 'quarantined'], 'with the reason kept'
);

insert into billing.event_handlers (event_type, handler, position)
select 'customer.created', format('%I.fail_for_eve', (select nspname from pg_namespace where oid = pg_my_temp_schema())), 200;
select is(
  pg_temp.receive(pg_temp.customer_event('evt_9', 'cus_gus'), pg_temp.customer_event('evt_10', 'cus_eve'), pg_temp.customer_event('evt_11', 'cus_hal')),
  array['processed', 'failed', 'processed'], 'an event whose projection fails does not take the others with it'
);
select isnt_empty($$ select from billing.webhook_events where id = 'evt_10' $$, 'it is stored');
select is_empty($$ select from billing.customers where id = 'cus_eve' $$, 'with nothing half written');
select results_eq(
  $$ select status, attempts, error ->> 'message', next_attempt_at > '2026-11-01 12:00:00Z' from billing.failed_webhooks where event_id = 'evt_10' $$,
  $$ values ('retrying', 1, 'not Eve', true) $$, 'and kept, to be tried again'
);
select is(pg_temp.receive(pg_temp.customer_event('evt_10', 'cus_eve')), array['duplicate'], 'sent again it is a duplicate, as it would be alone');
delete from billing.event_handlers where handler like '%.fail_for_eve';

select is(
  pg_temp.receive(
    pg_temp.event('evt_12', 'product.created', '{"id": "prod_1", "object": "product"}'),
    pg_temp.event('evt_13', 'price.updated', '{"id": "price_1", "object": "price", "product": "prod_1"}'), pg_temp.customer_event('evt_14', 'cus_ida')
  ),
  array['retry_single', 'retry_single', 'processed'], 'products and prices come alone'
);
select is(
  pg_temp.receive(
    pg_temp.event('evt_15', 'invoice.updated', '{"id": "in_1", "object": "invoice", "customer": "cus_ida", "customer_account": "acct_ida", "status": "draft"}')
  ),
  array['retry_single'], 'so does the first event that tells which customer an account is'
);
select is(
  billing.receive_event(
    pg_temp.event('evt_15', 'invoice.updated', '{"id": "in_1", "object": "invoice", "customer": "cus_ida", "customer_account": "acct_ida", "status": "draft"}')
  ),
  'processed', 'alone it is taken'
);
select is(
  pg_temp.receive(pg_temp.event('evt_16', 'invoice.updated', '{"id": "in_2", "object": "invoice", "customer_account": "acct_ida", "status": "draft"}')),
  array['processed'], 'and later ones in a batch'
);
select is((select customer from billing.invoices where id = 'in_2'), 'cus_ida', 'for the customer that the account is');

insert into billing_private.forgotten_subjects (subject_id, forgotten_at) values ('cus_jan', '2026-11-01');
select is(pg_temp.receive(pg_temp.customer_event('evt_17', 'cus_jan')), array['processed'], 'an event of somebody who is forgotten is received');
select is((select payload #>> '{data,object,email}' from billing.stripe_events where id = 'evt_17'), null, 'without what tells who that was');

select is(
  pg_temp.receive(
    pg_temp.event('evt_18', 'customer.updated', '{"id": "cus_kim", "object": "customer", "name": "New"}', '{"created": 1790000009}'),
    pg_temp.event('evt_19', 'customer.updated', '{"id": "cus_kim", "object": "customer", "name": "Old"}', '{"created": 1790000001}')
  ),
  array['processed', 'processed'], 'a stale event is processed'
);
select is((select name from billing.customers where id = 'cus_kim'), 'New', 'and shows nothing');

select * from finish();
rollback;
