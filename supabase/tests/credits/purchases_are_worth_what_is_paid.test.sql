-- A purchase gives its credits once; a refund takes back its share, and says what it could not take.
begin;
select plan(12);

insert into auth.users (id, email) values ('00000000-0000-4000-8000-00000000000a', 'owner@example.com');

create function pg_temp.receive(p_id text, p_type text, p_created bigint, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', p_created, 'livemode', false, 'data', jsonb_build_object('object', p_object)
  ));
$$;
create function pg_temp.balance() returns bigint language sql as $$
  select billing.credit_balance('00000000-0000-4000-8000-00000000000a', 'images');
$$;
create function pg_temp.charge(p_id text, p_created bigint, p_refunded bigint) returns text language sql as $$
  select pg_temp.receive(p_id, 'charge.refunded', p_created, jsonb_build_object(
    'id', 'ch_a', 'object', 'charge', 'payment_intent', 'pi_a', 'customer', 'cus_a', 'amount', 1000, 'amount_captured', 1000,
    'amount_refunded', p_refunded, 'currency', 'eur', 'status', 'succeeded'
  ));
$$;

select is((billing_private.bought_credits('{"credit_kind": "images", "credits": "100"}')).credits, 100::bigint, 'metadata say what is bought');
select is((billing_private.bought_credits('{"credit_kind": "images", "credits": "ten"}')).credits, null::bigint, 'or nothing that can be read');

select pg_temp.charge('evt_1', 1790000300, 500);
select pg_temp.receive('evt_2', 'checkout.session.completed', 1790000000, '{
  "id": "cs_a", "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid", "customer": "cus_a",
  "payment_intent": "pi_a", "metadata": {"credit_kind": "images", "credits": "100"}}');
select is(pg_temp.balance(), 0::bigint, 'credits of a customer who is nobody yet are given to nobody');
select pg_temp.receive('evt_3', 'customer.created', 1790000000, '{
  "id": "cus_a", "object": "customer", "metadata": {"owner_id": "00000000-0000-4000-8000-00000000000a"}}');
select is(pg_temp.balance(), 50::bigint, 'once the user is known: the purchase, less the refund that came before it');
select results_eq(
  $$ select reason, credits from billing.credit_entries order by id $$, $$ values ('purchase', 100::bigint), ('refund', -50) $$,
  'both are in the ledger'
);
select pg_temp.receive('evt_4', 'payment_intent.succeeded', 1790000100, '{
  "id": "pi_a", "object": "payment_intent", "customer": "cus_a", "amount": 1000, "amount_received": 1000, "currency": "eur",
  "status": "succeeded", "metadata": {"credit_kind": "images", "credits": "100"}}');
select is(pg_temp.balance(), 50::bigint, 'the payment that says so as well gives nothing more');

select billing.deduct_credits('00000000-0000-4000-8000-00000000000a', 'images', 30, 'spent');
select pg_temp.charge('evt_5', 1790000400, 1000);
select is(pg_temp.balance(), 0::bigint, 'the rest of the money takes back what is left');
select results_eq(
  $$ select credits, missing from billing.credit_entries where reason = 'refund' order by id desc limit 1 $$,
  $$ values (-20::bigint, 30::bigint) $$, 'and the ledger says what is missing'
);
select is(
  (select detail ->> 'missing' from billing.audit_events where action = 'credits.not_taken_back'), '30', 'so does the audit trail'
);
select pg_temp.charge('evt_6', 1790000350, 700);
select is((select count(*) from billing.credit_entries), 4::bigint, 'a stale event adds nothing');

select pg_temp.receive('evt_7', 'checkout.session.completed', 1790000000, '{
  "id": "cs_b", "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "unpaid", "customer": "cus_a",
  "payment_intent": "pi_b", "metadata": {"credit_kind": "images", "credits": "5"}}');
select is(pg_temp.balance(), 0::bigint, 'a debit that is on its way gives nothing');
select pg_temp.receive('evt_8', 'checkout.session.async_payment_succeeded', 1790009000, '{
  "id": "cs_b", "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid", "customer": "cus_a",
  "payment_intent": "pi_b", "metadata": {"credit_kind": "images", "credits": "5"}}');
select is(pg_temp.balance(), 5::bigint, 'until it has come in');

select * from finish();
rollback;
