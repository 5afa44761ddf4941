-- A payment of 900 and everything that may take some of it again: the row, its outcome, and the day's revenue follow.
begin;
select plan(14);

create function pg_temp.receive(p_id text, p_type text, p_object text, p_after integer default 0) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', 1790000000 + p_after, 'livemode', false, 'data',
    jsonb_build_object('object', p_object::jsonb || '{"created": 1790000000, "currency": "eur", "livemode": false}')
  ));
$$;
create function pg_temp.money() returns table (refunded bigint, disputed bigint, lost bigint, outcome text) language sql as $$
  select p.amount_refunded, p.amount_disputed, p.amount_lost, p.outcome from billing.payments as p where p.id = 'pi_1';
$$;

select pg_temp.receive('evt_r1', 'refund.created', '{"id": "re_1", "object": "refund", "payment_intent": "pi_1", "charge": "ch_1", "amount": 300, "status": "pending"}');
select is_empty('select from pg_temp.money()', 'a refund alone is no payment');
select pg_temp.receive('evt_c1', 'charge.succeeded', '{
  "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "customer": "cus_1", "amount": 900, "amount_captured": 900, "captured": true, "status": "succeeded"
}');
select results_eq('select * from pg_temp.money()', $$ values (300::bigint, 0::bigint, 0::bigint, 'partially_refunded') $$, 'it is taken off the payment it is of');
select pg_temp.receive('evt_c2', 'charge.refunded', '{
  "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "customer": "cus_1", "amount": 900, "amount_captured": 900, "captured": true, "status": "succeeded",
  "amount_refunded": 300
}', 1);
select results_eq('select refunded from pg_temp.money()', array[300::bigint], 'once, whoever else tells of it');
select pg_temp.receive('evt_r2', 'refund.failed', '{"id": "re_1", "object": "refund", "payment_intent": "pi_1", "charge": "ch_1", "amount": 300, "status": "failed"}', 60);
select results_eq('select * from pg_temp.money()', $$ values (0::bigint, 0::bigint, 0::bigint, 'paid') $$, 'and put back when it fails');

select is(billing_private.has_open_dispute('cus_1'), false, 'nothing is disputed');
select pg_temp.receive('evt_d1', 'charge.dispute.created', '{"id": "du_1", "object": "dispute", "payment_intent": "pi_1", "charge": "ch_1", "amount": 900, "status": "warning_needs_response"}');
select results_eq('select outcome from pg_temp.money()', array['paid'], 'an inquiry takes nothing');
select is(billing_private.has_open_dispute('cus_1'), true, 'and is a dispute all the same');
select pg_temp.receive('evt_d2', 'charge.dispute.updated', '{"id": "du_1", "object": "dispute", "payment_intent": "pi_1", "charge": "ch_1", "amount": 900, "status": "needs_response"}', 60);
select results_eq('select * from pg_temp.money()', $$ values (0::bigint, 900::bigint, 0::bigint, 'disputed') $$, 'a dispute holds the money back');
select pg_temp.receive('evt_d3', 'charge.dispute.closed', '{"id": "du_1", "object": "dispute", "payment_intent": "pi_1", "charge": "ch_1", "amount": 900, "status": "lost"}', 120);
select results_eq('select * from pg_temp.money()', $$ values (0::bigint, 0::bigint, 900::bigint, 'lost') $$, 'lost, it takes it');
select is(billing_private.has_open_dispute('cus_1'), false, 'and is over');
select results_eq('select closed_at from billing.disputes', array[to_timestamp(1790000120)], 'since the bank decided');

select results_eq(
  'select day, currency, payments, gross, one_time, refunded, disputed, lost, net from billing.revenue',
  $$ values (date '2026-09-21', 'eur', 1::bigint, 900::bigint, 900::bigint, 0::bigint, 0::bigint, 900::bigint, 0::bigint) $$,
  'the day adds up'
);
select results_eq(
  $$ select billing_private.amount_of_charge(o::jsonb) from (values
    ('{"status": "succeeded", "amount": 900}'), ('{"status": "succeeded", "amount": 900, "amount_captured": 600, "captured": true}'),
    ('{"status": "succeeded", "amount": 900, "amount_captured": 0, "captured": false}'), ('{"status": "pending", "amount": 900, "amount_captured": 900}')
  ) as charges (o) $$,
  array[900, 600, 0, 0]::bigint[],
  'a charge brought what was captured of it, once it succeeded'
);
select results_eq(
  $$ select billing_private.payment_of(o::jsonb) from (values
    ('{"payment_intent": "pi_1", "charge": "ch_1"}'), ('{"payment_intent": null, "charge": "ch_1"}'),
    ('{"charge": {"id": "ch_1", "payment_intent": "pi_2"}}'), ('{}')
  ) as claims (o) $$,
  array['pi_1', 'ch_1', 'pi_2', null],
  'what takes it back names the PaymentIntent, else the charge'
);

select * from finish();
rollback;
