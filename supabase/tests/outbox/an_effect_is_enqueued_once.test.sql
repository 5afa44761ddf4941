begin;
select plan(16);

select billing_private.enqueue('alert', 'alert:x', '{"cause": "x"}', '2026-11-01 12:00:00Z');
select results_eq(
  $$ select kind, payload, status, attempts, run_after, created_at, claim_id, locked_until, finished_at from billing.outbox $$,
  $$ values (
    'alert', '{"cause": "x"}'::jsonb, 'pending', 0, timestamptz '2026-11-01 12:00:00Z', timestamptz '2026-11-01 12:00:00Z',
    null::uuid, null::timestamptz, null::timestamptz
  ) $$,
  'an effect owed is due at once'
);
select billing_private.enqueue('alert', 'alert:x', '{"cause": "another"}', '2026-11-02');
select is((select payload ->> 'cause' from billing.outbox), 'x', 'owed again under the same key, it is the same effect');
select billing_private.enqueue('email', 'email:y', '{}', '2026-11-01 12:00:00Z', '2026-11-05');
select is(
  (select run_after from billing.outbox where dedupe_key = 'email:y'), timestamptz '2026-11-05', 'an effect may be owed for later'
);

select throws_ok(
  $$ insert into billing.outbox (kind, dedupe_key, run_after, created_at) values ('alert', 'alert:x', now(), now()) $$,
  '23505', null, 'the table itself refuses a second row with the same key'
);
select throws_ok(
  $$ select billing_private.enqueue('fax', 'fax:1', '{}', now()) $$, '23514', null, 'an effect of no kind that is known is refused'
);

create function pg_temp.set_to(p_status text, p_claim uuid, p_locked timestamptz, p_finished timestamptz) returns void language sql as $$
  update billing.outbox
  set status = p_status, claim_id = p_claim, locked_until = p_locked, finished_at = p_finished
  where dedupe_key = 'alert:x';
$$;
select lives_ok($$ select pg_temp.set_to('claimed', gen_random_uuid(), now(), null) $$, 'a claim has an owner and an end');
select throws_ok($$ select pg_temp.set_to('claimed', null, now(), null) $$, '23514', null, 'none without an owner');
select throws_ok($$ select pg_temp.set_to('claimed', gen_random_uuid(), null, null) $$, '23514', null, 'none without an end');
select throws_ok($$ select pg_temp.set_to('pending', gen_random_uuid(), now(), null) $$, '23514', null, 'and no owner without a claim');
select lives_ok($$ select pg_temp.set_to('delivered', null, null, now()) $$, 'what is delivered has a time');
select throws_ok($$ select pg_temp.set_to('delivered', null, null, null) $$, '23514', null, 'always');
select lives_ok($$ select pg_temp.set_to('dead', null, null, now()) $$, 'what is dead, too');
select lives_ok($$ select pg_temp.set_to('canceled', null, null, now()) $$, 'and what is no longer wanted');
select throws_ok($$ select pg_temp.set_to('pending', null, null, now()) $$, '23514', null, 'what is pending has none');
select throws_ok($$ select pg_temp.set_to('sent', null, null, now()) $$, '23514', null, 'and there is no other status');
select throws_ok($$ update billing.outbox set attempts = -1 $$, '23514', null, 'nobody tries less than never');

select * from finish();
rollback;
