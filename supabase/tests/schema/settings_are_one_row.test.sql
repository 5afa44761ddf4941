begin;
select plan(8);

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

select is_empty(
  $$ select wanted from unnest(array['duebase-retry', 'duebase-link']) as wanted
     where not exists (select from cron.job as j where j.jobname = wanted and j.schedule = '* * * * *' and j.username = 'postgres' and j.active) $$,
  'what runs by the clock is scheduled, as the owner of the tables'
);
select matches(
  (select command from cron.job where jobname = 'duebase-retry'), 'retry_failed_webhook\(now\(\)\).*commit',
  'the retry commits event by event'
);

select * from finish();
rollback;
