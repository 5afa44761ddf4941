-- What each caller of the Data API sees of the same rows. The whole matrix is in test/integration/access.
begin;
select plan(27);

insert into auth.users (id, email) values
  ('00000000-0000-4000-8000-00000000000a', 'owner@example.com'),
  ('00000000-0000-4000-8000-00000000000b', 'other@example.com'),
  ('00000000-0000-4000-8000-00000000000c', 'newcomer@example.com');
insert into billing.customers (id, user_id) values
  ('cus_a', '00000000-0000-4000-8000-00000000000a'), ('cus_b', '00000000-0000-4000-8000-00000000000b'), ('cus_nobody', null);
insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
select 'sub_' || id, id, 'active', false from billing.customers;
insert into billing.subscription_items (id, subscription) select 'si_' || id, id from billing.subscriptions;
insert into billing.invoices (id, customer) select 'in_' || id, id from billing.customers;
insert into billing.invoices (id, customer) values ('in_without_customer', null);
insert into billing.payments (id, customer, amount, amount_received, amount_refunded, currency, status, metadata)
select 'pi_' || id, id, 1, 1, 0, 'eur', 'succeeded', '{}' from billing.customers;
insert into billing.payments (id, customer, amount, amount_received, amount_refunded, currency, status, metadata)
values ('pi_guest', null, 1, 1, 0, 'eur', 'succeeded', '{}');

create function pg_temp.sign_in(p_user text) returns void language sql as $$
  select set_config('request.jwt.claims', json_build_object('sub', p_user, 'role', 'authenticated')::text, true);
$$;

-- The owner.
select pg_temp.sign_in('00000000-0000-4000-8000-00000000000a');
set local role authenticated;
select results_eq('select id from billing.customers', array['cus_a'], 'an owner sees the own customer');
select results_eq('select id from billing.subscriptions', array['sub_cus_a'], 'its subscriptions');
select results_eq('select id from billing.subscription_items', array['si_sub_cus_a'], 'their items');
select results_eq('select id from billing.invoices', array['in_cus_a'], 'its invoices');
select results_eq('select id from billing.payments', array['pi_cus_a'], 'its payments');
select throws_ok($$ update billing.subscriptions set status = 'active' $$, '42501', null, 'and changes nothing');
select throws_ok($$ insert into billing.payments (id) values ('pi_x') $$, '42501', null, 'adds nothing');
select throws_ok('delete from billing.invoices', '42501', null, 'removes nothing');
select throws_ok('select from billing.webhook_events', '42501', null, 'the events are not for users');
select throws_ok('select from billing.audit_events', '42501', null, 'nor is the audit trail');
select throws_ok('select from billing.settings', '42501', null, 'nor are the settings');
select throws_ok('select from billing.outbox', '42501', null, 'nor what is owed');
select throws_ok('select from billing.products', '42501', null, 'nor the catalogue');
select throws_ok('select from billing_private.customer_claims', '42501', null, 'and the internals are closed');
select throws_ok($$ select billing.receive_event('{}') $$, '42501', null, 'a user brings no events');
select throws_ok($$ select billing.replay_failed_webhook('evt_1') $$, '42501', null, 'and replays none');
select throws_ok($$ select billing.retry_failed_webhooks() $$, '42501', null, 'nor retries them');
reset role;

-- Another user, and one without any customer.
select pg_temp.sign_in('00000000-0000-4000-8000-00000000000b');
set local role authenticated;
select results_eq('select id from billing.invoices', array['in_cus_b'], 'another user sees the other rows');
select is_empty($$ select from billing.payments where customer = 'cus_a' $$, 'and none of the owner''s');
reset role;
select pg_temp.sign_in('00000000-0000-4000-8000-00000000000c');
set local role authenticated;
select is_empty('select from billing.customers', 'a user without a customer sees none');
select is_empty('select from billing.invoices', 'not even an invoice without a customer');
select is_empty('select from billing.payments', 'nor a guest''s payment');
reset role;

-- Somebody whose token names no user, and anon.
select set_config('request.jwt.claims', '{"role": "authenticated"}', true);
set local role authenticated;
select is_empty('select from billing.customers', 'a token without a user shows nothing, not even what belongs to nobody');
reset role;
set local role anon;
select throws_ok('select from billing.customers', '42501', null, 'anon sees nothing');
select throws_ok($$ select billing.receive_event('{}') $$, '42501', null, 'and calls nothing');
reset role;

-- service_role.
set local role service_role;
select is((select count(*) from billing.customers), 3::bigint, 'service_role sees all');
select throws_ok($$ update billing.customers set user_id = null where id = 'cus_a' $$, '42501', null, 'and changes nothing but through the functions');
reset role;

select * from finish();
rollback;
