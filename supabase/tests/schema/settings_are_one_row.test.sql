begin;
select plan(6);

select results_eq(
  'select livemode, stripe_account, link_customers_by_email from billing.settings',
  $$ values (false, null::text, false) $$,
  'a new project mirrors test mode, the platform''s own account, and links nobody by email'
);
select throws_ok('insert into billing.settings default values', '23505', null, 'there is one row');
select throws_ok('insert into billing.settings (id) values (false)', '23514', null, 'and no other');
select throws_ok($$ update billing.settings set app_name = ' ' $$, '23514', null, 'the app has a name');
select throws_ok($$ update billing.settings set app_url = 'example.com' $$, '23514', null, 'its URL has a scheme');
select lives_ok($$ update billing.settings set app_url = 'https://example.com', app_name = 'Example', livemode = true $$, 'they can be set');

select * from finish();
rollback;
