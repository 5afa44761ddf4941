-- What a function may do is decided where it is written: it looks names up nowhere but where it says, runs with its
-- caller's rights unless listed here, and is called by nobody it was not granted to.
begin;
select plan(9);

create view pg_temp.our_functions as
  select p.oid, p.oid::regprocedure::text as signature, p.prosecdef, p.proconfig, p.proacl, p.pronamespace::regnamespace::text as schema
  from pg_proc as p
  where p.pronamespace in ('billing'::regnamespace, 'billing_private'::regnamespace);

select isnt_empty('select from pg_temp.our_functions', 'there are functions to look at');

select is_empty(
  $$ select signature from pg_temp.our_functions where not coalesce(proconfig, '{}') @> array['search_path=""'] $$,
  'every function has an empty search_path'
);

-- Which function is for whom is listed once, in test/integration/access/expectations.ts. These are the rules of it.
select set_eq(
  $$ select signature from pg_temp.our_functions where prosecdef and schema <> 'billing' $$,
  array[
    'billing_private.tg_users__after_write()', 'billing_private.tg_users__after_delete()', 'billing_private.schedule_dunning()', 'billing_private.schedule_tick()',
    'billing_private.my_customers(boolean)', 'billing_private.my_owner_array(boolean)'
  ],
  'only the doors in and out, what policies ask, and what Auth''s role or an operator sets off, run with their owner''s rights'
);

select is_empty(
  $$ select signature from pg_temp.our_functions where has_function_privilege('public', oid, 'execute') $$,
  'PUBLIC may execute nothing'
);
select is_empty(
  $$ select signature from pg_temp.our_functions where has_function_privilege('anon', oid, 'execute') $$,
  'anon may execute nothing'
);
select set_eq(
  $$ select signature from pg_temp.our_functions where has_function_privilege('authenticated', oid, 'execute') $$,
  array[
    'billing.has_feature(text)', 'billing.entitlements_version()', 'billing.current_usage(text)', 'billing.credit_balance(text)',
    'billing.my_billing_status(timestamp with time zone)', 'billing.my_owners()', 'billing.my_usage(text,uuid)',
    'billing.my_credit_balance(text,uuid)', 'billing.my_seats(uuid)', 'billing_private.my_customers(boolean)',
    'billing_private.my_owner_array(boolean)'
  ],
  'authenticated may ask about themselves and execute nothing else'
);
select is_empty(
  $$ select signature from pg_temp.our_functions where has_function_privilege('service_role', oid, 'execute') and schema <> 'billing' $$,
  'service_role may execute nothing of the internals'
);

create function billing.added_later() returns integer language sql set search_path = '' as 'select 1';
select set_eq(
  $$ select signature from pg_temp.our_functions where has_function_privilege('public', oid, 'execute') $$,
  array['billing.added_later()'],
  'a function from which EXECUTE was not taken is found'
);

select is_empty(
  $$ select signature from pg_temp.our_functions as f where f.schema = 'billing' and f.signature like 'billing.tg\_%' $$,
  'trigger functions are not in the exposed schema'
);

select * from finish();
rollback;
