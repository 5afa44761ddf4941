begin;
select plan(16);

create function pg_temp.receive(p_id text, p_type text, p_created bigint, p_object jsonb, p_previous jsonb default null)
returns text language sql as $$
  select billing.receive_event(
    jsonb_build_object(
      'id', p_id, 'object', 'event', 'type', p_type, 'created', p_created, 'livemode', false,
      'data', jsonb_strip_nulls(jsonb_build_object('object', p_object, 'previous_attributes', p_previous))
    ),
    '2026-11-01 12:00:00Z'
  );
$$;
create function pg_temp.customer(p_id text, p_name text) returns jsonb language sql as $$
  select jsonb_build_object('id', p_id, 'object', 'customer', 'name', p_name);
$$;
create function pg_temp.name_of(p_id text) returns text language sql as $$ select name from billing.customers where id = p_id; $$;

-- Across seconds: created decides.
select pg_temp.receive('evt_a2', 'customer.updated', 200, pg_temp.customer('cus_a', 'second'));
select is(pg_temp.name_of('cus_a'), 'second', 'an update that arrives before its creation is shown');
select is(pg_temp.receive('evt_a1', 'customer.created', 100, pg_temp.customer('cus_a', 'first')), 'processed', 'the creation that comes late is processed');
select is(pg_temp.name_of('cus_a'), 'second', 'and changes nothing');
select isnt_empty(
  $$ select from billing.audit_events where event_id = 'evt_a1' and action = 'customer.created' $$, 'but its fact is on record'
);
select pg_temp.receive('evt_a3', 'customer.updated', 300, pg_temp.customer('cus_a', 'third'));
select is(pg_temp.name_of('cus_a'), 'third', 'a newer update is shown');

-- Within a second: a creation is before everything, a deletion after.
select pg_temp.receive('evt_b2', 'customer.updated', 100, pg_temp.customer('cus_b', 'updated'), '{"name": "created"}');
select pg_temp.receive('evt_b1', 'customer.created', 100, pg_temp.customer('cus_b', 'created'));
select is(pg_temp.name_of('cus_b'), 'updated', 'in one second a creation does not overwrite an update');

-- Within a second: an update that lists the other's state as what it changed is the later one.
select pg_temp.receive('evt_c1', 'customer.updated', 100, pg_temp.customer('cus_c', 'two'), '{"name": "one"}');
select pg_temp.receive('evt_c2', 'customer.updated', 100, pg_temp.customer('cus_c', 'three'), '{"name": "two"}');
select is(pg_temp.name_of('cus_c'), 'three', 'in one second the successor is shown');
select pg_temp.receive('evt_d2', 'customer.updated', 100, pg_temp.customer('cus_d', 'three'), '{"name": "two"}');
select pg_temp.receive('evt_d1', 'customer.updated', 100, pg_temp.customer('cus_d', 'two'), '{"name": "one"}');
select is(pg_temp.name_of('cus_d'), 'three', 'also when it arrives first');
select is_empty($$ select from billing.outbox where kind = 'refresh' $$, 'none of this leaves a doubt');

-- Within a second and undecidable: one is chosen, the same one in any order, and Stripe is asked.
select pg_temp.receive('evt_e1', 'customer.updated', 100, pg_temp.customer('cus_e', 'left'), '{"email": "x"}');
select pg_temp.receive('evt_e2', 'customer.updated', 100, pg_temp.customer('cus_e', 'right'), '{"email": "x"}');
select pg_temp.receive('evt_f2', 'customer.updated', 100, pg_temp.customer('cus_f', 'right'), '{"email": "x"}');
select pg_temp.receive('evt_f1', 'customer.updated', 100, pg_temp.customer('cus_f', 'left'), '{"email": "x"}');
select is(pg_temp.name_of('cus_e'), pg_temp.name_of('cus_f'), 'where nothing tells, the choice does not depend on arrival');
select set_eq(
  $$ select payload ->> 'id' as id, payload ->> 'object' as object, status from billing.outbox where kind = 'refresh' $$,
  $$ values ('cus_e', 'customer', 'pending'), ('cus_f', 'customer', 'pending') $$,
  'and a read from Stripe is owed, once per object'
);

-- A deletion leaves a tombstone.
select pg_temp.receive('evt_g1', 'customer.created', 100, pg_temp.customer('cus_g', 'Grace'));
select pg_temp.receive('evt_g3', 'customer.deleted', 300, pg_temp.customer('cus_g', 'Grace'));
select pg_temp.receive('evt_g2', 'customer.updated', 200, pg_temp.customer('cus_g', 'late'));
select pg_temp.receive('evt_g4', 'customer.updated', 400, pg_temp.customer('cus_g', 'later'));
select results_eq(
  $$ select name, deleted_at from billing.customers where id = 'cus_g' $$,
  $$ values ('Grace', to_timestamp(300)) $$,
  'no update brings a deleted object back, neither a late one nor a later one'
);
select pg_temp.receive('evt_h2', 'customer.deleted', 300, '{"id": "cus_h", "object": "customer", "deleted": true}');
select pg_temp.receive('evt_h1', 'customer.updated', 200, pg_temp.customer('cus_h', 'Hedy'));
select results_eq(
  $$ select name, deleted_at from billing.customers where id = 'cus_h' $$,
  $$ values ('Hedy', to_timestamp(300)) $$,
  'a deletion that says nothing but that, and comes first, is remembered by the state that follows'
);

-- Terminal states: not undone by an event of the same second.
select pg_temp.receive('evt_i2', 'invoice.paid', 100, '{"id": "in_i", "object": "invoice", "status": "paid"}');
select pg_temp.receive('evt_i1', 'invoice.updated', 100, '{"id": "in_i", "object": "invoice", "status": "open"}');
select is((select status from billing.invoices where id = 'in_i'), 'paid', 'in one second paid is not undone by open');
select pg_temp.receive('evt_j2', 'customer.subscription.deleted', 100, '{"id": "sub_j", "object": "subscription", "status": "canceled"}');
select pg_temp.receive('evt_j1', 'customer.subscription.updated', 100, '{"id": "sub_j", "object": "subscription", "status": "active"}');
select is((select status from billing.subscriptions where id = 'sub_j'), 'canceled', 'nor canceled by active');
select is_empty($$ select from billing.failed_webhooks $$, 'and nothing of it failed');

select * from finish();
rollback;
