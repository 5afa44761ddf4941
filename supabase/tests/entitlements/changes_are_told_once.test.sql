-- A change of what a user may use is on record, moves the user's version, and wakes who waits; no change does nothing.
begin;
select plan(11);

insert into auth.users (id, email) values ('00000000-0000-4000-8000-00000000000a', 'ada@example.com');
insert into billing.customers (id, owner_id) values ('cus_1', '00000000-0000-4000-8000-00000000000a');
insert into billing_private.entitlement_summaries (customer_id, features, is_whole) values ('cus_1', '{api,export}', true);

create function pg_temp.version() returns bigint language sql as $$ select version from billing.entitlement_versions $$;

select is(pg_temp.version(), null, 'a user to whom nothing happened has no version');
select billing_private.refresh_entitlements('cus_1', '2026-11-01 12:00:00Z');
select is(pg_temp.version(), 1::bigint, 'two features at once are one change');
select results_eq(
  $$ select feature, version, updated_at from billing.entitlements order by feature $$,
  $$ values ('api', 1::bigint, timestamptz '2026-11-01 12:00:00Z'), ('export', 1, '2026-11-01 12:00:00Z') $$,
  'each row says with which change it came'
);
select results_eq(
  $$
    select action, actor, subject_id, customer_id, detail, occurred_at from billing.audit_events where action like 'entitlement.%' order by id
  $$,
  $$
    values
      (
        'entitlement.granted', 'system', '00000000-0000-4000-8000-00000000000a', 'cus_1',
        '{"feature": "api", "sources": ["cus_1"], "version": 1}'::jsonb, timestamptz '2026-11-01 12:00:00Z'
      ),
      (
        'entitlement.granted', 'system', '00000000-0000-4000-8000-00000000000a', 'cus_1',
        '{"feature": "export", "sources": ["cus_1"], "version": 1}', '2026-11-01 12:00:00Z'
      )
  $$,
  'and each is on record'
);
select billing_private.refresh_entitlements('cus_1', '2026-11-02');
select is(pg_temp.version(), 1::bigint, 'computed anew without a change, the version stays');
select is((select count(*) from billing.audit_events where action like 'entitlement.%'), 2::bigint, 'and nothing is put on record');

update billing_private.entitlement_summaries set features = '{api}' where customer_id = 'cus_1';
select billing_private.refresh_entitlements('cus_1', '2026-11-03');
select is(pg_temp.version(), 2::bigint, 'a feature that goes is a change');
select results_eq(
  $$ select feature, version from billing.entitlements $$, $$ values ('api', 1::bigint) $$, 'the row that stays is not touched'
);
select is(
  (select detail ->> 'feature' from billing.audit_events where action = 'entitlement.revoked'), 'export', 'what went is on record'
);

delete from auth.users where id = '00000000-0000-4000-8000-00000000000a';
select is_empty('select from billing.entitlements', 'a user who is deleted has nothing');
select is(
  (select count(*) from billing.audit_events where action = 'entitlement.revoked'), 2::bigint, 'and that is on record as well'
);

select * from finish();
rollback;
