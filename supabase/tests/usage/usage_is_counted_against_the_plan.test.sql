-- A month of one subscriber: limits, recording, refusal, and who may ask.
begin;
select plan(17);

insert into auth.users (id, email) values
  ('00000000-0000-4000-8000-00000000000a', 'owner@example.com'), ('00000000-0000-4000-8000-00000000000b', 'other@example.com');

create function pg_temp.receive(p_id text, p_type text, p_created bigint, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', p_created, 'livemode', false, 'data', jsonb_build_object('object', p_object)
  ));
$$;
create function pg_temp.subscription(p_id text, p_created bigint, p_start bigint, p_price text) returns text language sql as $$
  select pg_temp.receive(p_id, 'customer.subscription.updated', p_created, jsonb_build_object(
    'id', 'sub_a', 'object', 'subscription', 'customer', 'cus_a', 'status', 'active', 'items', jsonb_build_object('data', jsonb_build_array(
      jsonb_build_object(
        'id', 'si_a', 'price', jsonb_build_object('id', p_price, 'product', 'prod_a'), 'quantity', 2,
        'current_period_start', p_start, 'current_period_end', p_start + 2592000
      )
    ))
  ));
$$;
create function pg_temp.used(p_now timestamptz) returns text language sql as $$
  select concat_ws('/', u.used, coalesce(u.usage_limit::text, 'unlimited'))
  from billing.current_usage('00000000-0000-4000-8000-00000000000a', 'api_calls', p_now) as u;
$$;
create function pg_temp.record(p_quantity bigint, p_key text, p_now timestamptz) returns text language sql as $$
  select concat_ws('/', u.used, u.usage_limit)
  from billing.record_usage('00000000-0000-4000-8000-00000000000a', 'api_calls', p_quantity, p_key, p_now) as u;
$$;

select pg_temp.receive('evt_1', 'product.created', 1790000000, '{"id": "prod_a", "object": "product", "metadata": {"limit_api_calls": "10"}}');
select pg_temp.receive('evt_2', 'customer.created', 1790000000, '{
  "id": "cus_a", "object": "customer", "metadata": {"owner_id": "00000000-0000-4000-8000-00000000000a"}}');
select is(pg_temp.used(to_timestamp(1790000001)), '0/0', 'without a subscription nothing is allowed');
select throws_ok($$ select pg_temp.record(1, 'a', to_timestamp(1790000001)) $$, 'DU011', null, 'and nothing is recorded');

select pg_temp.subscription('evt_3', 1790000000, 1790000000, 'price_a');
select is(pg_temp.used(to_timestamp(1790000001)), '0/10', 'the period opens with the subscription');
select is(pg_temp.record(7, 'a', to_timestamp(1790000001)), '7/10', 'usage is counted');
select is(pg_temp.record(7, 'a', to_timestamp(1790000002)), '7/10', 'once');
select throws_ok($$ select pg_temp.record(8, 'a', to_timestamp(1790000002)) $$, 'DU013', null, 'a key stands for one recording');
select throws_ok(
  $$ select pg_temp.record(4, 'b', to_timestamp(1790000002)) $$, 'DU010', 'over the limit of 10 api_calls: 7 used, 4 more asked for',
  'never over the limit'
);
select throws_ok($$ select pg_temp.record(-1, 'c', now()) $$, 'DU012', null, 'nothing is taken back');

select pg_temp.receive('evt_4', 'price.created', 1790000100, '{
  "id": "price_b", "object": "price", "product": "prod_a", "metadata": {"limit_api_calls": "20 per unit"}}');
select pg_temp.subscription('evt_5', 1790000200, 1790000000, 'price_b');
select is(pg_temp.used(to_timestamp(1790000201)), '7/40', 'another plan in mid-period keeps what was used; 20 for each of 2 units');
select pg_temp.subscription('evt_6', 1790000150, 1790000000, 'price_a');
select is(pg_temp.used(to_timestamp(1790000201)), '7/40', 'a stale event changes nothing');

select is(pg_temp.used(to_timestamp(1792592001)), '0/40', 'after the period the next has begun, told or not');
select is(pg_temp.record(5, 'd', to_timestamp(1792592001)), '5/40', 'and counts');
select pg_temp.subscription('evt_7', 1792592000, 1792592000, 'price_b');
select is(pg_temp.used(to_timestamp(1792592001)), '5/40', 'and keeps what it counted when Stripe tells of it');
select results_eq(
  $$ select used, is_open from billing.subscription_usage order by period_start $$, $$ values (7::bigint, false), (5::bigint, true) $$,
  'what was used is on record, a row a period'
);

create function pg_temp.as_other(p_query text) returns bigint language plpgsql as $$
declare
  answer bigint;
begin
  perform set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-00000000000b", "role": "authenticated"}', true);
  perform set_config('role', 'authenticated', true);
  execute p_query into answer;
  perform set_config('role', 'none', true);
  return answer;
end;
$$;
select is(pg_temp.as_other($$ select used from billing.current_usage('api_calls') $$), 0::bigint, 'a user asks about nobody but oneself');
select throws_ok(
  $$ select pg_temp.as_other($q$ select used from billing.current_usage('00000000-0000-4000-8000-00000000000a', 'api_calls') $q$) $$, '42501',
  null, 'and may not name another'
);
select throws_ok(
  $$ select pg_temp.as_other($q$ select used from billing.record_usage('00000000-0000-4000-8000-00000000000b', 'api_calls', 1, 'x') $q$) $$,
  '42501', null, 'nor record anything'
);

select * from finish();
rollback;
