-- Test-mode money must never look like live money, nor one account's like another's. Such an event is stored,
-- acknowledged and left alone until somebody decides.
begin;
select plan(14);

create function pg_temp.receive(p_id text, p_livemode boolean, p_account text default null) returns text language sql as $$
  select billing.receive_event(
    jsonb_strip_nulls(jsonb_build_object(
      'id', p_id, 'object', 'event', 'type', 'customer.created', 'created', 1790000000, 'livemode', p_livemode, 'account', p_account,
      'data', jsonb_build_object('object', jsonb_build_object('id', 'cus_' || p_id, 'object', 'customer'))
    )),
    '2026-11-01 12:00:00Z'
  );
$$;

select is(pg_temp.receive('evt_live', true), 'quarantined', 'a live event in a test project is quarantined');
select isnt_empty($$ select from billing.webhook_events where id = 'evt_live' and livemode $$, 'it is stored');
select is_empty($$ select from billing.customers $$, 'it is not projected');
select results_eq(
  $$ select status, attempts, next_attempt_at, error ->> 'message' from billing.failed_webhooks where event_id = 'evt_live' $$,
  $$ values (
    'quarantined', 0, null::timestamptz,
    'event has livemode t, this project mirrors livemode f (billing.settings.livemode)'
  ) $$,
  'the reason says what differs and where to change it'
);
select is(pg_temp.receive('evt_live', true), 'duplicate', 'sent again it is a duplicate');
select is(billing.retry_failed_webhook('2026-12-01'), false, 'the retry leaves it alone');

select is(pg_temp.receive('evt_foreign', false, 'acct_other'), 'quarantined', 'an event of an account we do not mirror is quarantined');
select is(
  (select error ->> 'message' from billing.failed_webhooks where event_id = 'evt_foreign'),
  'event belongs to account acct_other, this project mirrors the platform account (billing.settings.stripe_account)',
  'its reason names both accounts'
);
select throws_ok(
  $$ select billing.replay_failed_webhook('evt_foreign') $$, 'DU003', null, 'replay refuses while settings say the same'
);

update billing.settings set stripe_account = 'acct_other';
select is(pg_temp.receive('evt_platform', false), 'quarantined', 'where an account is mirrored, the platform''s own events are not');
select is(pg_temp.receive('evt_account', false, 'acct_other'), 'processed', 'and those of the account are');
select is(billing.replay_failed_webhook('evt_foreign'), 'processed', 'the one held back is projected when it is replayed');
select is(
  (select array_agg(id order by id) from billing.customers), array['cus_evt_account', 'cus_evt_foreign'],
  'only events that belong here became state'
);

update billing.settings set livemode = true;
select is(pg_temp.receive('evt_test', false, 'acct_other'), 'quarantined', 'a test event in a live project is quarantined');

select * from finish();
rollback;
