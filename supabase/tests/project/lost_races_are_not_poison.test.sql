-- A serialization failure, a deadlock and a lock not had in time say nothing against the event: they do not bring it
-- nearer to its end. Everything else does.
begin;
select plan(15);

create schema app;
create table app.failure (code text);
insert into app.failure values ('40001');
create function app.fail(p_event billing.stripe_events) returns void language plpgsql as $$
begin
  if (select f.code from app.failure as f) = 'slow' then
    perform pg_sleep(30);
  end if;
  raise exception 'lost' using errcode = (select f.code from app.failure as f);
end;
$$;
insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.fail');
create function pg_temp.attempts() returns integer language sql as $$ select attempts from billing.failed_webhooks where event_id = 'evt_1'; $$;

select is(
  billing.receive_event(
    '{"id": "evt_1", "object": "event", "type": "customer.created", "created": 1790000000, "livemode": false,
      "data": {"object": {"id": "cus_1", "object": "customer"}}}',
    '2026-11-01 12:00:00Z'
  ),
  'failed', 'a serialization failure is a failure'
);
select is(pg_temp.attempts(), 0, 'that does not count');
update app.failure set code = '40P01';
select is(billing.retry_failed_webhook('2026-11-01 13:00:00Z'), true, 'a deadlock');
select is(pg_temp.attempts(), 0, 'does not count');
update app.failure set code = '55P03';
select is(billing.retry_failed_webhook('2026-11-01 14:00:00Z'), true, 'a lock not had in time');
select is(pg_temp.attempts(), 0, 'does not count');

select is(
  (select count(*) filter (where billing.retry_failed_webhook(timestamptz '2026-11-02' + hour * interval '1 hour')) from generate_series(1, 20) as hour),
  20::bigint, 'it is tried again for as long as it loses'
);
select is((select status from billing.failed_webhooks), 'retrying', 'and does not die of it');
select ok(
  (select next_attempt_at - last_failed_at between interval '1 minute' and interval '1.2 minutes' from billing.failed_webhooks),
  'always about a minute later'
);

update app.failure set code = '57014';
select is(billing.retry_failed_webhook('2026-11-03'), true, 'a statement that somebody canceled');
select is(pg_temp.attempts(), 0, 'does not count');
update app.failure set code = 'slow';
set local statement_timeout = '300ms';
select is(billing.retry_failed_webhook('2026-11-03 12:00:00Z'), true, 'a statement whose time the event used up by itself');
set local statement_timeout = 0;
select is(pg_temp.attempts(), 1, 'counts');
update app.failure set code = 'P0004';
select is(billing.retry_failed_webhook('2026-11-04'), true, 'a failed assertion');
select is(pg_temp.attempts(), 2, 'counts');

select * from finish();
rollback;
