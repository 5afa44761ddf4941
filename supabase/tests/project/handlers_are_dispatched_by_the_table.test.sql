-- event_handlers says which functions see an event; an application adds its own beside ours.
begin;
select plan(15);

create schema app;
create table app.seen (number integer generated always as identity, handler text, event_id text, email text);
create function app.first(p_event billing.stripe_events) returns void language sql as $$
  insert into app.seen (handler, event_id, email) values ('first', p_event.id, (select email from billing.customers where id = p_event.object_id));
$$;
create function app.second(p_event billing.stripe_events) returns void language sql as $$
  insert into app.seen (handler, event_id, email) values ('second', p_event.id, (select email from billing.customers where id = p_event.object_id));
$$;
create function app.of_nothing() returns void language sql as $$ select; $$;
create function pg_temp.receive(p_id text) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', 'customer.created', 'created', 1790000000, 'livemode', false,
    'data', jsonb_build_object('object', jsonb_build_object('id', 'cus_' || p_id, 'object', 'customer', 'email', 'ada@example.com'))
  ));
$$;

select lives_ok(
  $$ insert into billing.event_handlers (event_type, handler, position) values ('customer.created', 'app.second', 200), ('customer.created', 'app.first', 1) $$,
  'an application adds handlers'
);
select is(pg_temp.receive('evt_1'), 'processed', 'they run with ours');
select results_eq(
  $$ select handler, event_id, email from app.seen order by number $$,
  $$ values ('first', 'evt_1', null), ('second', 'evt_1', 'ada@example.com') $$,
  'in the order of position: one before ours, one after, which sees what ours wrote'
);
update billing.event_handlers set enabled = false where handler = 'app.first';
select is(pg_temp.receive('evt_2'), 'processed', 'one of them switched off');
select results_eq(
  $$ select handler from app.seen where event_id = 'evt_2' $$, $$ values ('second') $$, 'does not run'
);

select throws_ok(
  $$ insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.missing') $$,
  'DU005', 'no function app.missing(billing.stripe_events) for event type customer.created', 'a handler that does not exist is refused'
);
select throws_ok(
  $$ update billing.event_handlers set handler = 'app.missing' where handler = 'app.second' $$, 'DU005', null, 'also by an update'
);
select throws_ok(
  $$ insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.of_nothing') $$,
  'DU005', null, 'and one that takes no event'
);
select throws_ok(
  $$ insert into billing.event_handlers (event_type, handler) values ('customer.created', 'first') $$,
  null, null, 'a name without its schema is refused'
);
select throws_ok(
  $$ insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.first($1), app.second') $$,
  null, null, 'and one that is more than a name'
);
select throws_ok(
  $$ insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.second') $$,
  '23505', null, 'a handler sees an event once'
);

select is_empty(
  $$ select event_type, handler from billing.event_handlers where handler not like 'app.%' and description is null $$,
  'each of ours says what it does'
);
select is_empty(
  $$ select event_type, handler from billing.event_handlers where handler like 'billing%' and position not between 10 and 50 $$,
  'and leaves room before and after'
);

drop function app.second(billing.stripe_events);
select is(pg_temp.receive('evt_3'), 'failed', 'a handler that was dropped fails its events');
select is(
  (select error ->> 'sqlstate' from billing.failed_webhooks where event_id = 'evt_3'), '42883', 'which are kept, with the reason'
);

select * from finish();
rollback;
