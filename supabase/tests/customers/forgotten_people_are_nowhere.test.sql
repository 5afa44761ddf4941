-- A user who is forgotten: what tells who it was goes, the books stay, and nothing that comes later brings it back.
begin;
select plan(13);

insert into auth.users (id, email, email_confirmed_at) values ('00000000-0000-4000-8000-000000000001', 'ada@example.com', now());
create function pg_temp.receive(p_id text, p_type text, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', 1790000000, 'livemode', false, 'data', jsonb_build_object('object', p_object)
  ));
$$;
select pg_temp.receive('evt_1', 'customer.created', '{
  "id": "cus_a", "object": "customer", "email": "ada@example.com", "name": "Ada Lovelace", "created": 1790000000,
  "metadata": {"owner_id": "00000000-0000-4000-8000-000000000001", "company": "Analytical"}}');
select pg_temp.receive('evt_2', 'invoice.paid', '{
  "id": "in_a", "object": "invoice", "customer": "cus_a", "customer_name": "Ada Lovelace", "status": "paid", "currency": "eur",
  "total": 900, "amount_paid": 900, "number": "A-1", "hosted_invoice_url": "https://pay.example.com/x"}');
select pg_temp.receive('evt_b', 'customer.created', '{"id": "cus_b", "object": "customer", "name": "Bob", "email": "bob@example.com"}');

select is(billing.forget_user('00000000-0000-4000-8000-000000000001'), 1, 'one customer is forgotten');
select results_eq(
  $$ select email, name, owner_id is not null from billing.customers where id = 'cus_a' $$, $$ values (null::text, null::text, true) $$,
  'its name and address are gone, whose it is stays'
);
select is_empty(
  $$ select id from billing.stripe_events where payload::text ~* 'lovelace|ada@|analytical|pay\.example' $$, 'from the events as well'
);
select results_eq(
  $$ select number, total, amount_paid, hosted_invoice_url from billing.invoices where id = 'in_a' $$,
  $$ values ('A-1', 900::bigint, 900::bigint, null::text) $$, 'the books stay, without the link to a page that names the buyer'
);
select is((select payload #>> '{data,object,amount_paid}' from billing.stripe_events where id = 'evt_2'), '900', 'also in the event');
select is((select name from billing.customers where id = 'cus_b'), 'Bob', 'nobody else is touched');
select is(
  (select detail from billing.audit_events where action = 'user.forgotten'), '{"customers": ["cus_a"]}'::jsonb, 'it is on record, by ids'
);

select pg_temp.receive('evt_3', 'customer.updated', '{
  "id": "cus_a", "object": "customer", "email": "ada@example.com", "name": "Ada Lovelace", "created": 1790000000, "balance": -500}');
select results_eq(
  $$ select email, name, balance from billing.customers where id = 'cus_a' $$, $$ values (null::text, null::text, -500::bigint) $$,
  'later news is kept without the person'
);
select is((select payload #>> '{data,object,name}' from billing.stripe_events where id = 'evt_3'), null, 'and stored without');

select throws_ok(
  $$ update billing_private.webhook_payloads set payload = billing_private.redact(payload) where event_id = 'evt_b' $$, 'DU004', null,
  'an event of somebody who is not forgotten cannot be redacted'
);
select throws_ok(
  $$ update billing_private.webhook_payloads set payload = '{}' where event_id = 'evt_2' $$, 'DU004', null, 'nor one of somebody who is be emptied'
);
select is(billing.forget_user('00000000-0000-4000-8000-000000000001'), 1, 'twice is once');
select throws_ok(
  $$ select billing.forget_user('00000000-0000-4000-8000-0000000000ff') $$, 'DU025', null, 'a user nobody knows is refused'
);

select * from finish();
rollback;
