-- A handler that raises costs nothing but time: the event is stored, its work undone, and it is tried again three times.
begin;
select plan(36);

create schema app;
create table app.mood (is_good boolean);
insert into app.mood values (false);
create function app.depend_on_the_mood(p_event billing.stripe_events) returns void language plpgsql as $$
begin
  insert into billing.products (id) values ('half_done_by_' || p_event.id);
  if not (select m.is_good from app.mood as m) then
    raise exception 'not in the mood for %', p_event.id using errcode = 'AP001', hint = 'Wait.';
  end if;
end;
$$;
insert into billing.event_handlers (event_type, handler, description) values ('customer.created', 'app.depend_on_the_mood', 'ours');

create function pg_temp.receive(p_id text, p_now timestamptz) returns text language sql as $$
  select billing.receive_event(
    jsonb_build_object(
      'id', p_id, 'object', 'event', 'type', 'customer.created', 'created', 1790000000, 'livemode', false,
      'data', jsonb_build_object('object', jsonb_build_object('id', 'cus_' || p_id, 'object', 'customer'))
    ),
    p_now
  );
$$;
create function pg_temp.delay() returns interval language sql as $$
  select next_attempt_at - last_failed_at from billing.failed_webhooks where event_id = 'evt_1';
$$;

select is(pg_temp.receive('evt_1', '2026-11-01 12:00:00Z'), 'failed', 'an event whose handler raises is stored and failed');
select isnt_empty($$ select from billing.webhook_events where id = 'evt_1' $$, 'the event is there');
select is_empty($$ select from billing.customers where id = 'cus_evt_1' $$, 'what the handlers before it did is undone');
select is_empty($$ select from billing.products $$, 'and what it did itself');
select is_empty($$ select from billing.audit_events where event_id = 'evt_1' $$, 'and no fact was recorded of what did not happen');
select results_eq(
  $$ select status, attempts, first_failed_at, last_failed_at, resolved_at, error ->> 'sqlstate', error ->> 'message', error ->> 'hint'
     from billing.failed_webhooks where event_id = 'evt_1' $$,
  $$ values (
    'retrying', 1, timestamptz '2026-11-01 12:00:00Z', timestamptz '2026-11-01 12:00:00Z', null::timestamptz,
    'AP001', 'not in the mood for evt_1', 'Wait.'
  ) $$,
  'the failure says when, how often and why'
);
select matches(
  (select error ->> 'context' from billing.failed_webhooks where event_id = 'evt_1'), 'app\.depend_on_the_mood',
  'and where'
);
select ok(pg_temp.delay() between interval '1 minute' and interval '1.2 minutes', 'the first retry is due after a minute and up to a fifth');
select is(pg_temp.receive('evt_1', '2026-11-01 12:00:30Z'), 'duplicate', 'Stripe sending it again is a duplicate');
select is((select attempts from billing.failed_webhooks where event_id = 'evt_1'), 1, 'and no attempt');

select is(billing.retry_failed_webhook('2026-11-01 12:00:59Z'), false, 'before its time nothing is tried');
select is(billing.retry_failed_webhook('2026-11-01 12:02:00Z'), true, 'first retry');
select results_eq(
  $$ select status, attempts, first_failed_at, last_failed_at from billing.failed_webhooks where event_id = 'evt_1' $$,
  $$ values ('retrying', 2, timestamptz '2026-11-01 12:00:00Z', timestamptz '2026-11-01 12:02:00Z') $$,
  'it failed and is kept'
);
select ok(pg_temp.delay() between interval '5 minutes' and interval '6 minutes', 'the second is due after five minutes');
select is(billing.retry_failed_webhook('2026-11-01 12:08:00Z'), true, 'second retry');
select ok(pg_temp.delay() between interval '25 minutes' and interval '30 minutes', 'the third after twenty-five');
select is_empty($$ select from billing.outbox $$, 'nobody is alarmed yet');
select is(billing.retry_failed_webhook('2026-11-01 12:38:00Z'), true, 'third retry');
select results_eq(
  $$ select status, attempts, next_attempt_at from billing.failed_webhooks where event_id = 'evt_1' $$,
  $$ values ('dead', 4, null::timestamptz) $$,
  'then it is dead'
);
select results_eq(
  $$ select kind, status, payload ->> 'cause', payload ->> 'event_id', payload ->> 'type', payload ->> 'error', run_after from billing.outbox $$,
  $$ values (
    'alert', 'pending', 'dead_webhook', 'evt_1', 'customer.created', 'not in the mood for evt_1', timestamptz '2026-11-01 12:38:00Z'
  ) $$,
  'and an alert is owed that names it'
);
select is(billing.retry_failed_webhook('2027-01-01'), false, 'it is not tried by itself any more');

select is(billing.replay_failed_webhook('evt_1', '2026-11-02 09:00:00Z'), 'dead', 'replayed before the cause is mended it stays dead');
select is((select attempts from billing.failed_webhooks where event_id = 'evt_1'), 5, 'the attempt counts');
select is((select count(*) from billing.outbox), 1::bigint, 'and alarms nobody a second time');

update app.mood set is_good = true;
select is(billing.replay_failed_webhook('evt_1', '2026-11-02 10:00:00Z'), 'processed', 'replayed after, it is processed');
select isnt_empty($$ select from billing.customers where id = 'cus_evt_1' $$, 'its state is there');
select isnt_empty($$ select from billing.products where id = 'half_done_by_evt_1' $$, 'all of it');
select results_eq(
  $$ select status, next_attempt_at, resolved_at, error ->> 'message' from billing.failed_webhooks where event_id = 'evt_1' $$,
  $$ values ('resolved', null::timestamptz, timestamptz '2026-11-02 10:00:00Z', 'not in the mood for evt_1') $$,
  'the failure is resolved and still says what it was'
);
select is(
  (select count(*) from billing.audit_events where action = 'webhook.replayed' and actor = 'operator' and subject_id = 'cus_evt_1'), 2::bigint,
  'both replays are on record'
);

create temporary table before as select * from billing.failed_webhooks;
select is(billing.replay_failed_webhook('evt_1', '2026-11-03'), 'processed', 'a second replay answers the same');
select results_eq('select * from billing.failed_webhooks', 'select * from before', 'and changes nothing');
select is((select count(*) from billing.products), 1::bigint, 'nor does it run a handler');

select throws_ok(
  $$ select billing.replay_failed_webhook('evt_never') $$, 'DU002', 'no event evt_never was received', 'an unknown event cannot be replayed'
);
select throws_ok(
  $$ select billing.replay_failed_webhook(null) $$, 'DU002', 'no event null was received', 'nor can none'
);
select is(pg_temp.receive('evt_2', '2026-11-02 11:00:00Z'), 'processed', 'an event that never failed');
select is(billing.replay_failed_webhook('evt_2'), 'processed', 'is left as it is by a replay');

select * from finish();
rollback;
