-- Owners that are no users: linked, named by an operator, deleted.
begin;
select plan(18);

create schema app;
create function app.teams_of(user_id uuid) returns table (owner_id uuid, can_manage boolean)
language sql stable set search_path = '' as $$ select null::uuid, false where false $$;

create function pg_temp.receive(p_id text, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', 'customer.created', 'created', 1790000000, 'livemode', false,
    'data', jsonb_build_object('object', p_object || '{"object": "customer"}')
  ));
$$;
create function pg_temp.owner_of(p_customer text) returns text language sql as $$
  select right(owner_id::text, 1) from billing.customers where id = p_customer;
$$;

-- Without an owners function, owners are the users.
select ok(not billing_private.owner_exists('00000000-0000-4000-8000-000000000001'), 'an id without an account is nobody''s');
select pg_temp.receive('evt_1', '{"id": "cus_a", "metadata": {"owner_id": "00000000-0000-4000-8000-000000000001"}}');
select is(pg_temp.owner_of('cus_a'), null, 'and links nobody');
insert into auth.users (id, email) values ('00000000-0000-4000-8000-000000000002', 'two@example.com');
select ok(billing_private.owner_exists('00000000-0000-4000-8000-000000000002'), 'a user is an owner');
select is(billing.owner_deleted('00000000-0000-4000-8000-000000000002'), 0, 'and is not deleted by being called so');
select ok(billing_private.owner_exists('00000000-0000-4000-8000-000000000002'), 'but with the account');
delete from auth.users where id = '00000000-0000-4000-8000-000000000002';
select ok(not billing_private.owner_exists('00000000-0000-4000-8000-000000000002'), 'which it then is');

-- With one, ids are the application's.
update billing.settings set owners_function = 'app.teams_of', link_customers_by_email = true;
select ok(not billing_private.links_by_email(), 'no email links a customer to a team');
select ok(billing_private.owner_exists('00000000-0000-4000-8000-000000000001'), 'any id is an owner''s');
select ok(not billing_private.owner_exists('00000000-0000-4000-8000-000000000002'), 'but one that was deleted');
select ok(not billing_private.owner_exists(null), 'and none is nobody''s');
select billing_private.link_waiting_customers(now());
select is(pg_temp.owner_of('cus_a'), '1', 'what named a team before is linked');

-- An operator's word.
select results_eq(
  $$ select outcome from billing.link_customers('[{"customer": "cus_a", "owner_id": "00000000-0000-4000-8000-000000000003"},
    {"customer": "cus_b", "owner_id": "00000000-0000-4000-8000-000000000003"},
    {"customer": "cus_c", "owner_id": "00000000-0000-4000-8000-000000000002"}]') $$,
  $$ values ('linked'), ('kept'), ('refused') $$,
  'is followed, kept for a customer who is not known yet, and refused of an owner who was deleted'
);
select pg_temp.receive('evt_2', '{"id": "cus_b", "metadata": {"owner_id": "00000000-0000-4000-8000-000000000001"}}');
select is(pg_temp.owner_of('cus_b'), '3', 'and counts for more than what the customer says');
select throws_ok($$ select billing.link_customers('{}') $$, 'DU019', 'links is not an array but object', 'it comes as an array');

-- A team goes.
select is(billing.owner_deleted('00000000-0000-4000-8000-000000000003'), 2, 'a team that is deleted loses its customers');
select is(pg_temp.owner_of('cus_b'), '1', 'to whoever else is named');
select throws_ok('select billing.owner_deleted(null)', 'DU020', null, 'nobody is not deleted');
select results_eq(
  $$ select count(*)::int from billing.audit_events
     where action = 'customer.unlinked' and detail ->> 'former_owner_id' = '00000000-0000-4000-8000-000000000003' $$,
  $$ values (2) $$,
  'and whose they were is on record'
);

select * from finish();
rollback;
