-- What each caller of the Data API sees of the same rows. The whole matrix is in test/integration/access.
begin;
select plan(29);

insert into auth.users (id, email) values
  ('00000000-0000-4000-8000-00000000000a', 'owner@example.com'),
  ('00000000-0000-4000-8000-00000000000b', 'other@example.com'),
  ('00000000-0000-4000-8000-00000000000c', 'newcomer@example.com');
insert into billing.customers (id, owner_id) values
  ('cus_a', '00000000-0000-4000-8000-00000000000a'), ('cus_b', '00000000-0000-4000-8000-00000000000b'), ('cus_nobody', null);
insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
select 'sub_' || id, id, 'active', false from billing.customers;
insert into billing.subscription_items (id, subscription, customer) select 'si_' || id, id, customer from billing.subscriptions;
insert into billing.invoices (id, customer) select 'in_' || id, id from billing.customers;
insert into billing.invoices (id, customer) values ('in_without_customer', null);
insert into billing.payments (id, customer, amount, amount_received, amount_refunded, currency, status, metadata)
select 'pi_' || id, id, 1, 1, 0, 'eur', 'succeeded', '{}' from billing.customers;
insert into billing.payments (id, customer, amount, amount_received, amount_refunded, currency, status, metadata)
values ('pi_guest', null, 1, 1, 0, 'eur', 'succeeded', '{}');
insert into billing.payment_methods (id, customer) select 'pm_' || id, id from billing.customers;
insert into billing.payment_methods (id, customer, detached_at) values ('pm_former', 'cus_a', now());

-- Runs a query as the Data API does for a caller; the assertions themselves stay with the test's own role.
create function pg_temp.asked_by(p_role text, p_owner text, p_query text) returns setof text language plpgsql as $$
begin
  perform set_config('request.jwt.claims', json_strip_nulls(json_build_object('sub', p_owner, 'role', p_role))::text, true);
  perform set_config('role', p_role, true);
  return query execute p_query;
  perform set_config('role', 'none', true);
end;
$$;
create function pg_temp.owner(p_query text) returns setof text language sql as $$
  select pg_temp.asked_by('authenticated', '00000000-0000-4000-8000-00000000000a', p_query);
$$;
create function pg_temp.other(p_query text) returns setof text language sql as $$
  select pg_temp.asked_by('authenticated', '00000000-0000-4000-8000-00000000000b', p_query);
$$;
create function pg_temp.newcomer(p_query text) returns setof text language sql as $$
  select pg_temp.asked_by('authenticated', '00000000-0000-4000-8000-00000000000c', p_query);
$$;
create function pg_temp.refused(p_by text, p_query text, p_what text) returns text language sql as $$
  select throws_ok(format('select pg_temp.%s(%L)', p_by, p_query), '42501', null, p_what);
$$;

select set_eq($$ select pg_temp.owner('select id from billing.customers') $$, array['cus_a'], 'an owner sees the own customer');
select set_eq($$ select pg_temp.owner('select id from billing.subscriptions') $$, array['sub_cus_a'], 'its subscriptions');
select set_eq($$ select pg_temp.owner('select id from billing.subscription_items') $$, array['si_sub_cus_a'], 'their items');
select set_eq($$ select pg_temp.owner('select id from billing.invoices') $$, array['in_cus_a'], 'its invoices');
select set_eq($$ select pg_temp.owner('select id from billing.payments') $$, array['pi_cus_a'], 'its payments');
select set_eq($$ select pg_temp.owner('select id from billing.payment_methods') $$, array['pm_cus_a'], 'its payment methods, but not the detached');
select pg_temp.refused('owner', 'select id from billing.refunds', 'refunds are told by their payments');

select pg_temp.refused('owner', 'update billing.subscriptions set status = ''active'' returning id', 'and changes nothing');
select pg_temp.refused('owner', 'insert into billing.payments (id) values (''pi_x'') returning id', 'adds nothing');
select pg_temp.refused('owner', 'delete from billing.invoices returning id', 'removes nothing');
select pg_temp.refused('owner', 'select id from billing.webhook_events', 'the events are not for users');
select pg_temp.refused('owner', 'select action from billing.audit_events', 'nor is the audit trail');
select pg_temp.refused('owner', 'select app_name from billing.settings', 'nor are the settings');
select pg_temp.refused('owner', 'select kind from billing.outbox', 'nor what is owed');
select pg_temp.refused('owner', 'select id from billing.products', 'nor the catalogue');
select pg_temp.refused('owner', 'select source from billing_private.customer_owner_hints', 'and the internals are closed');
select pg_temp.refused('owner', 'select billing.receive_event(''{}'')', 'a user brings no events');
select pg_temp.refused('owner', 'select billing.replay_failed_webhook(''evt_1'')', 'replays none');
select pg_temp.refused('owner', 'select billing.retry_failed_webhook()::text', 'and retries none');

select set_eq($$ select pg_temp.other('select id from billing.invoices') $$, array['in_cus_b'], 'another user sees the other rows');
select is_empty(
  $$ select pg_temp.other('select id from billing.payments where customer = ''cus_a''') $$, 'and none of the owner''s'
);
select is_empty($$ select pg_temp.newcomer('select id from billing.customers') $$, 'a user without a customer sees none');
select is_empty($$ select pg_temp.newcomer('select id from billing.invoices') $$, 'not even an invoice without a customer');
select is_empty($$ select pg_temp.newcomer('select id from billing.payments') $$, 'nor a guest''s payment');
select is_empty(
  $$ select pg_temp.asked_by('authenticated', null, 'select id from billing.customers') $$,
  'a token without a user shows nothing, not even what belongs to nobody'
);

select throws_ok($$ select pg_temp.asked_by('anon', null, 'select id from billing.customers') $$, '42501', null, 'anon sees nothing');
select throws_ok($$ select pg_temp.asked_by('anon', null, 'select billing.receive_event(''{}'')') $$, '42501', null, 'and calls nothing');

select set_eq(
  $$ select pg_temp.asked_by('service_role', null, 'select id from billing.customers') $$, array['cus_a', 'cus_b', 'cus_nobody'],
  'service_role sees all'
);
select throws_ok(
  $$ select pg_temp.asked_by('service_role', null, 'update billing.customers set owner_id = null where id = ''cus_a'' returning id') $$,
  '42501', null, 'and changes nothing but through the functions'
);

select * from finish();
rollback;
