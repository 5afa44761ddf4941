-- Counts of seats become one row of their owner, and the newest of them is the one that counts.
begin;
select plan(9);

create schema app;
create function app.teams_of(user_id uuid) returns table (owner_id uuid, can_manage boolean)
language sql stable set search_path = '' as $$ select null::uuid, false where false $$;
update billing.settings set owners_function = 'app.teams_of' where id;

select ok(billing.sync_seats('00000000-0000-4000-8000-00000000000a', 3), 'a count is taken');
select ok(billing.sync_seats('00000000-0000-4000-8000-00000000000a', 5), 'and another');
select ok(not billing.sync_seats(null, 5), 'one of nobody is not, and raises nothing');
select ok(not billing.sync_seats('00000000-0000-4000-8000-00000000000a', -1), 'nor is a negative one');
select is(billing_private.follow_seats(), 2, 'the tick takes both counts');
select results_eq(
  $$ select quantity, status from billing.seats $$, $$ values (5::bigint, 'no_item') $$, 'the last one is the owner''s quantity'
);
select is(billing_private.follow_seats(), 0, 'and nothing is left');
select is((billing.limit_seats('00000000-0000-4000-8000-00000000000a')).used, 5::bigint, 'it is what is used');
select billing.owner_deleted('00000000-0000-4000-8000-00000000000a');
select is_empty($$ select from billing.seats $$, 'a deleted owner has no seats');

select * from finish();
rollback;
