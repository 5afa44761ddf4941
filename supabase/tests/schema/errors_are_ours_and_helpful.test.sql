-- Every refusal of ours has an SQLSTATE, a message that names the value, and a hint that says what to do.
begin;
select plan(5);

create function pg_temp.hint_of(p_sqlstate text) returns text language plpgsql as $$
declare
  given text;
begin
  perform billing_private.raise_error(p_sqlstate, 'something is wrong');
exception when others then
  get stacked diagnostics given = pg_exception_hint;
  return given;
end;
$$;

select throws_ok($$ select billing_private.raise_error('DU001', 'event x has no id') $$, 'DU001', 'event x has no id', 'an error has the SQLSTATE and the message it was raised with');
select results_eq(
  $$ select c.sqlstate from billing_private.error_codes as c where pg_temp.hint_of(c.sqlstate) = c.hint order by 1 $$,
  $$ select c.sqlstate from billing_private.error_codes as c order by 1 $$,
  'each error is sent with the hint of its code'
);
select is_empty(
  $$ select c.sqlstate from billing_private.error_codes as c where c.name !~ '^[a-z]+(_[a-z]+)+$' or c.hint !~ '\.$' $$,
  'each has a name that a program can tell it by, and a sentence that says what to do'
);
select throws_ok(
  $$ insert into billing_private.error_codes values ('P0001', 'other', 'none') $$,
  '23514', null, 'an SQLSTATE outside our own class is refused'
);
select is_empty(
  $$
    select p.oid::regprocedure, code[1]
    from pg_proc as p
    cross join lateral regexp_matches(p.prosrc, '''(DU[0-9]{3})''', 'g') as code
    where p.pronamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and code[1] not in (select c.sqlstate from billing_private.error_codes as c)
  $$,
  'no function raises an error that is not in the table'
);

select * from finish();
rollback;
