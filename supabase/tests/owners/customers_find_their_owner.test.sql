-- Who said whom a customer is, and in which order that counts.
begin;
select plan(15);

insert into auth.users (id, email, email_confirmed_at) values
  ('00000000-0000-4000-8000-000000000001', 'one@example.com', now()),
  ('00000000-0000-4000-8000-000000000002', 'two@example.com', now()),
  ('00000000-0000-4000-8000-000000000003', 'three@example.com', now());

create function pg_temp.receive(p_id text, p_type text, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', 1790000000, 'livemode', false, 'data', jsonb_build_object('object', p_object)
  ));
$$;
create function pg_temp.user_of(p_customer text) returns text language sql as $$
  select right(owner_id::text, 1) from billing.customers where id = p_customer;
$$;

-- In this order: checkout session, customer, subscription.
select pg_temp.receive('evt_1', 'customer.subscription.created', '{
  "id": "sub_a", "object": "subscription", "customer": "cus_a", "status": "active", "metadata": {"owner_id": "00000000-0000-4000-8000-000000000003"}}');
select is(pg_temp.user_of('cus_a'), '3', 'a subscription names its customer''s user, even before the customer is known');
select pg_temp.receive('evt_2', 'customer.created', '{
  "id": "cus_a", "object": "customer", "metadata": {"owner_id": "00000000-0000-4000-8000-000000000002"}}');
select is(pg_temp.user_of('cus_a'), '2', 'the customer itself counts for more');
select pg_temp.receive('evt_3', 'checkout.session.completed', '{
  "id": "cs_a", "object": "checkout.session", "customer": "cus_a", "status": "complete", "metadata": {"owner_id": "00000000-0000-4000-8000-000000000001"}}');
select is(pg_temp.user_of('cus_a'), '1', 'and the checkout for most');
select pg_temp.receive('evt_4', 'checkout.session.completed', '{
  "id": "cs_b", "object": "checkout.session", "customer": "cus_b", "status": "complete", "payment_link": null,
  "client_reference_id": "00000000-0000-4000-8000-000000000001"}');
select is(pg_temp.user_of('cus_b'), '1', 'a checkout of the API may name the user in client_reference_id');

-- An id that is no user is a fact and no error.
select is(pg_temp.receive('evt_5', 'checkout.session.completed', '{
  "id": "cs_c", "object": "checkout.session", "customer": "cus_c", "status": "complete", "client_reference_id": "cart-4711"}'),
  'processed', 'a reference that is no user''s id is no error');
select results_eq(
  $$ select actor, detail from billing.audit_events where action = 'customer.owner_unknown' and customer_id = 'cus_c' $$,
  $$ values ('system', '{"source": "client_reference", "hinted_owner": null}'::jsonb) $$,
  'it is on record, without what was said: it could be an address'
);
select is(pg_temp.user_of('cus_c'), null, 'and links nobody');
select pg_temp.receive('evt_6', 'customer.created', '{
  "id": "cus_d", "object": "customer", "metadata": {"owner_id": "00000000-0000-4000-8000-000000000009"}}');
select is(pg_temp.user_of('cus_d'), null, 'nor does the id of a user who is not there');
insert into auth.users (id, email) values ('00000000-0000-4000-8000-000000000009', 'nine@example.com');
select is(pg_temp.user_of('cus_d'), '9', 'until that user signs up');

-- By email only where settings say so, and only a confirmed one.
select pg_temp.receive('evt_7', 'customer.created', '{"id": "cus_e", "object": "customer", "email": "TWO@example.com"}');
select is(pg_temp.user_of('cus_e'), null, 'an email links nobody by default');
update billing.settings set link_customers_by_email = true;
select pg_temp.receive('evt_8', 'customer.created', '{"id": "cus_f", "object": "customer", "email": "TWO@example.com"}');
select is(pg_temp.user_of('cus_f'), '2', 'where settings allow it, a confirmed email does');
select pg_temp.receive('evt_9', 'customer.created', '{"id": "cus_g", "object": "customer", "email": "nine@example.com"}');
select is(pg_temp.user_of('cus_g'), null, 'one that is not confirmed does not');
update auth.users set email_confirmed_at = now() where email = 'nine@example.com';
select is(pg_temp.user_of('cus_g'), '9', 'until it is');

select is(
  (select count(*) from billing.audit_events where action = 'customer.linked' and customer_id = 'cus_a'), 3::bigint,
  'every change of user is on record'
);
delete from auth.users where email = 'two@example.com';
select is(pg_temp.user_of('cus_f'), null, 'a user who leaves takes no customer along');

select * from finish();
rollback;
