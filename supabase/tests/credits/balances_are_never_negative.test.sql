-- Granting and deducting: a ledger whose rows are never changed, and a balance that never falls below nothing.
begin;
select plan(19);

insert into auth.users (id, email) values
  ('00000000-0000-4000-8000-00000000000a', 'owner@example.com'), ('00000000-0000-4000-8000-00000000000b', 'other@example.com');

create function pg_temp.grant_to_a(p_amount bigint, p_key text) returns bigint language sql as $$
  select balance_after from billing.grant_credits('00000000-0000-4000-8000-00000000000a', 'images', p_amount, p_key);
$$;
create function pg_temp.deduct(p_amount bigint, p_key text) returns bigint language sql as $$
  select balance_after from billing.deduct_credits('00000000-0000-4000-8000-00000000000a', 'images', p_amount, p_key);
$$;

select is(pg_temp.grant_to_a(10, 'a'), 10::bigint, 'a grant is given');
select is(pg_temp.grant_to_a(10, 'a'), 10::bigint, 'once');
select is(pg_temp.deduct(4, 'b'), 6::bigint, 'a deduction is taken');
select is(pg_temp.deduct(4, 'b'), 6::bigint, 'once');
select throws_ok($$ select pg_temp.deduct(5, 'b') $$, 'DU016', 'key ''b'' changed images by -4, not images by -5', 'a key stands for one change');
select throws_ok($$ select pg_temp.grant_to_a(4, 'b') $$, 'DU016', null, 'and a grant is not a deduction');
select throws_ok($$ select pg_temp.deduct(7, 'c') $$, 'DU015', '7 images credits asked for, 6 there', 'no more is taken than there is');
select throws_ok($$ select pg_temp.deduct(0, 'c') $$, 'DU017', null, 'nothing is no deduction');
select throws_ok($$ select pg_temp.grant_to_a(null, 'c') $$, 'DU017', null, 'and null no grant');
select throws_ok($$ select pg_temp.grant_to_a(1, '') $$, 'DU017', null, 'a change has a key');
select throws_ok(
  $$ select billing.grant_credits('00000000-0000-4000-8000-0000000000ff', 'images', 1, 'a') $$, 'DU018', null, 'nobody is given nothing'
);
select is(billing.credit_balance('00000000-0000-4000-8000-00000000000a', 'images'), 6::bigint, 'the balance is what is left');
select is(
  (select sum(credits) from billing.credit_entries)::bigint,
  (select sum(credits) from billing_private.credit_balances)::bigint,
  'and the sum of the ledger'
);

select throws_ok($$ update billing.credit_entries set credits = 100 $$, 'DU004', null, 'an entry is never changed');
select throws_ok(
  $$ update billing.credit_entries set owner_id = '00000000-0000-4000-8000-00000000000b' $$, 'DU004', null, 'nor given to somebody else'
);
select throws_ok($$ delete from billing.credit_entries $$, 'DU004', null, 'nor removed');
select throws_ok($$ truncate billing.credit_entries $$, 'DU004', null, 'nor all of them');
delete from auth.users where id = '00000000-0000-4000-8000-00000000000a';
select results_eq(
  $$ select owner_id, credits from billing.credit_entries order by id $$, $$ values (null::uuid, 10::bigint), (null, -4) $$,
  'only the user who is deleted is forgotten'
);
select is(billing.credit_balance('00000000-0000-4000-8000-00000000000a', 'images'), 0::bigint, 'with the balance');

select * from finish();
rollback;
