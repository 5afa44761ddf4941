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

select set_eq(
  $$ select signature from pg_temp.our_functions where prosecdef $$,
  array[
    'billing.record_usage(uuid,text,bigint,text,timestamp with time zone)',
    'billing.current_usage(uuid,text,timestamp with time zone)',
    'billing.grant_credits(uuid,text,bigint,text,text,timestamp with time zone)',
    'billing.deduct_credits(uuid,text,bigint,text,text,timestamp with time zone)',
    'billing.credit_balance(uuid,text)',
    'billing.current_usage(text)',
    'billing.credit_balance(text)',
    'billing.claim_outbox(text,integer,interval,text[],timestamp with time zone)',
    'billing.complete_outbox(bigint,uuid,timestamp with time zone)',
    'billing.fail_outbox(bigint,uuid,jsonb,interval,boolean,timestamp with time zone)',
    'billing.release_outbox(bigint[],uuid,interval,timestamp with time zone)',
    'billing.replay_outbox(bigint,timestamp with time zone)',
    'billing.find_portal_customer(uuid,text)',
    'billing.my_billing_status(timestamp with time zone)',
    'billing.prepare_checkout(uuid,text)',
    'billing.apply_refresh(jsonb,timestamp with time zone,timestamp with time zone)',
    'billing.forget_user(uuid,timestamp with time zone)',
    'billing.prepare_emails(bigint[],uuid,text,timestamp with time zone)',
    'billing.begin_emails(uuid,jsonb,text,timestamp with time zone)',
    'billing.finish_emails(uuid,jsonb,timestamp with time zone)',
    'billing.fail_emails(bigint[],uuid,jsonb,boolean,interval,boolean,timestamp with time zone)',
    'billing.receive_email_report(text,jsonb,timestamp with time zone)',
    'billing.define_dunning_policy(text,jsonb,text,boolean,boolean,jsonb,text,timestamp with time zone)',
    'billing.assign_dunning_policy(text,text,text,timestamp with time zone)',
    'billing.take_dunning_steps(text,text[],timestamp with time zone)',
    'billing.review_dunning_end(bigint,text[],timestamp with time zone)',
    'billing.finish_dunning_end(bigint,timestamp with time zone)',
    'billing.advance_dunning(timestamp with time zone,text,integer)',
    'billing.begin_dunning_run(timestamp with time zone)',
    'billing.finish_dunning_run(bigint,jsonb,text,timestamp with time zone)',
    'billing.open_dunning(text,timestamp with time zone)',
    'billing.close_dunning(bigint,text,timestamp with time zone)',
    'billing.hold_dunning(bigint,text,timestamp with time zone,timestamp with time zone)',
    'billing.exclude_from_dunning(text,text,timestamp with time zone,timestamp with time zone)',
    'billing.release_dunning(bigint,text,timestamp with time zone)',
    'billing.dunning_preview(timestamp with time zone)',
    'billing.receive_event(jsonb,timestamp with time zone)',
    'billing.replay_failed_webhook(text,timestamp with time zone)',
    'billing.retry_failed_webhooks(timestamp with time zone,integer)',
    'billing.entitlements_version()',
    'billing_private.schedule_dunning()',
    'billing_private.tg_users__after_write()', 'billing_private.tg_users__on_delete()'
  ],
  'only the doors in and out, what a user asks of hidden tables, and the triggers on auth.users run with their owner''s rights'
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
    'billing.my_billing_status(timestamp with time zone)'
  ],
  'authenticated may ask about themselves and execute nothing else'
);
select set_eq(
  $$ select signature from pg_temp.our_functions where has_function_privilege('service_role', oid, 'execute') $$,
  array[
    'billing.current_usage(text)',
    'billing.credit_balance(text)',
    'billing.record_usage(uuid,text,bigint,text,timestamp with time zone)',
    'billing.current_usage(uuid,text,timestamp with time zone)',
    'billing.grant_credits(uuid,text,bigint,text,text,timestamp with time zone)',
    'billing.deduct_credits(uuid,text,bigint,text,text,timestamp with time zone)',
    'billing.credit_balance(uuid,text)',
    'billing.claim_outbox(text,integer,interval,text[],timestamp with time zone)',
    'billing.complete_outbox(bigint,uuid,timestamp with time zone)',
    'billing.fail_outbox(bigint,uuid,jsonb,interval,boolean,timestamp with time zone)',
    'billing.release_outbox(bigint[],uuid,interval,timestamp with time zone)',
    'billing.replay_outbox(bigint,timestamp with time zone)',
    'billing.find_portal_customer(uuid,text)',
    'billing.prepare_checkout(uuid,text)',
    'billing.read_app_addresses()',
    'billing.apply_refresh(jsonb,timestamp with time zone,timestamp with time zone)',
    'billing.forget_user(uuid,timestamp with time zone)',
    'billing.prepare_emails(bigint[],uuid,text,timestamp with time zone)',
    'billing.begin_emails(uuid,jsonb,text,timestamp with time zone)',
    'billing.finish_emails(uuid,jsonb,timestamp with time zone)',
    'billing.fail_emails(bigint[],uuid,jsonb,boolean,interval,boolean,timestamp with time zone)',
    'billing.receive_email_report(text,jsonb,timestamp with time zone)',
    'billing.define_dunning_policy(text,jsonb,text,boolean,boolean,jsonb,text,timestamp with time zone)',
    'billing.assign_dunning_policy(text,text,text,timestamp with time zone)',
    'billing.take_dunning_steps(text,text[],timestamp with time zone)',
    'billing.review_dunning_end(bigint,text[],timestamp with time zone)',
    'billing.finish_dunning_end(bigint,timestamp with time zone)',
    'billing.advance_dunning(timestamp with time zone,text,integer)',
    'billing.begin_dunning_run(timestamp with time zone)',
    'billing.finish_dunning_run(bigint,jsonb,text,timestamp with time zone)',
    'billing.open_dunning(text,timestamp with time zone)',
    'billing.close_dunning(bigint,text,timestamp with time zone)',
    'billing.hold_dunning(bigint,text,timestamp with time zone,timestamp with time zone)',
    'billing.exclude_from_dunning(text,text,timestamp with time zone,timestamp with time zone)',
    'billing.release_dunning(bigint,text,timestamp with time zone)',
    'billing.dunning_preview(timestamp with time zone)',
    'billing.receive_event(jsonb,timestamp with time zone)',
    'billing.replay_failed_webhook(text,timestamp with time zone)',
    'billing.retry_failed_webhooks(timestamp with time zone,integer)',
    'billing.has_feature(text)', 'billing.has_feature(uuid,text)', 'billing.entitlements_version()'
  ],
  'service_role may execute the doors in and out, ask what users may ask, and nothing else'
);

create function billing.added_later() returns integer language sql set search_path = '' as 'select 1';
select is_empty(
  $$
    select role
    from unnest(array['public', 'anon', 'authenticated', 'service_role']) as role
    where has_function_privilege(role, 'billing.added_later()', 'execute')
  $$,
  'a function added later is called by nobody until it is granted'
);

select is_empty(
  $$ select signature from pg_temp.our_functions as f where f.schema = 'billing' and f.signature like 'billing.tg\_%' $$,
  'trigger functions are not in the exposed schema'
);

select * from finish();
rollback;
