-- What happened stays as it was written, whoever asks: also the owner of the tables.
begin;
select plan(22);

select billing.receive_event('{
  "id": "evt_1", "object": "event", "type": "customer.created", "created": 1790000000, "livemode": false,
  "data": {"object": {"id": "cus_1", "object": "customer"}}
}');
select billing.receive_event(payload) from billing.stripe_events where id = 'evt_1';

select isnt_empty($$ select from billing.audit_events $$, 'there is a fact to protect');
select throws_ok(
  $$ update billing.audit_events set actor = 'operator' $$,
  'DU004', 'UPDATE on billing.audit_events refused: its rows are never changed or removed', 'an audit fact is not changed'
);
select throws_ok($$ delete from billing.audit_events $$, 'DU004', null, 'nor removed');
select throws_ok($$ truncate billing.audit_events $$, 'DU004', null, 'nor are all of them');
select throws_ok($$ update billing.audit_events set actor = 'operator' where false $$, 'DU004', null, 'not even none of them');

select throws_ok($$ update billing.webhook_events set type = 'other' $$, 'DU004', null, 'an event is not changed');
select throws_ok($$ update billing_private.webhook_payloads set payload = '{}' $$, 'DU004', null, 'nor is its payload');
select throws_ok($$ truncate billing_private.webhook_payloads $$, 'DU004', null, 'nor are all payloads removed');
select throws_ok(
  format('truncate billing_private.webhook_payloads_%s', to_char(now() at time zone 'UTC', 'YYYY_MM')), 'DU004', null, 'nor those of a month'
);
select throws_ok($$ truncate billing_private.webhook_payloads_default $$, 'DU004', null, 'nor those without a partition');
insert into billing_private.kept_payloads select * from billing_private.webhook_payloads;
select throws_ok($$ update billing_private.kept_payloads set payload = '{}' $$, 'DU004', null, 'nor one that is kept past its age');
select throws_ok($$ truncate billing_private.kept_payloads $$, 'DU004', null, 'nor are all of those removed');
select throws_ok($$ truncate billing.webhook_events cascade $$, 'DU004', null, 'nor are all of them removed');
select throws_ok(
  $$ insert into billing.webhook_events select * from billing.webhook_events on conflict (id) do update set type = 'other' $$,
  'DU004', null, 'nor is it changed by way of a conflict'
);
select throws_ok($$ update billing.webhook_duplicates set received_at = now() $$, 'DU004', null, 'a repetition is not changed');
select throws_ok($$ truncate billing.webhook_duplicates $$, 'DU004', null, 'nor are all of them removed');

select is((select count(*) from billing.audit_events where event_id = 'evt_1'), 1::bigint, 'the fact is still there');
select is((select payload ->> 'id' from billing.stripe_events), 'evt_1', 'and so is the event');

-- Retention: what is removed by age is said in the same transaction, and nothing else is removed.
select throws_ok($$ delete from billing.webhook_events where id = 'evt_1' $$, 'DU004', null, 'an event is not removed by hand');
select billing_private.record_purge('billing.webhook_events', now(), 1, now());
select lives_ok($$ delete from billing.webhook_events where id = 'evt_1' $$, 'a purge that says so removes one');
select throws_ok($$ delete from billing.audit_events $$, 'DU004', null, 'and nothing of another table');
select throws_ok($$ delete from billing.purges $$, 'DU004', null, 'nor the row that says so');

select * from finish();
rollback;
