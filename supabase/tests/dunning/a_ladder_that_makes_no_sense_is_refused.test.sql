begin;
select plan(37);

create function pg_temp.fault(variadic p_steps text[]) returns text language sql as $$
  select billing_private.ladder_fault((
    select jsonb_agg(jsonb_build_object('day', split_part(s, ' ', 1), 'kind', split_part(s, ' ', 2)) order by position)
    from unnest(p_steps) with ordinality as t (s, position)
  ));
$$;

select is(pg_temp.fault('0 notice'), null, 'a notice is a ladder');
select is(pg_temp.fault('0 notice', '3 urgent_reminder', '7 final_warning', '10 end'), null, 'so is the default');
select is(pg_temp.fault('0 notice', '1 final_warning', '2 end'), null, 'and one without a reminder');
select is(pg_temp.fault('5 notice', '9999 urgent_reminder'), null, 'and one that starts late and takes long');

select is(billing_private.ladder_fault(null), 'there are no steps', 'no steps are no ladder');
select is(billing_private.ladder_fault('[]'), 'there are no steps', 'an empty list neither');
select is(billing_private.ladder_fault('{"day": 0, "kind": "notice"}'), 'there are no steps', 'nor one step that is no list');
select is(billing_private.ladder_fault('[3]'), 'there is no step null', 'a step says what kind it is');
select is(pg_temp.fault('0 fax'), 'there is no step fax', 'of the kinds there are');
select is(billing_private.ladder_fault('[{"kind": "notice"}]'), 'day of step notice is no number of days: null', 'and which day');
select is(pg_temp.fault('-1 notice'), 'day of step notice is no number of days: -1', 'not before it failed');
select is(pg_temp.fault('1.5 notice'), 'day of step notice is no number of days: 1.5', 'in whole days');
select is(pg_temp.fault('soon notice'), 'day of step notice is no number of days: soon', 'in figures');
select is(pg_temp.fault('10000 notice'), 'day of step notice is no number of days: 10000', 'within a lifetime');
select is(
  pg_temp.fault('3 notice', '3 urgent_reminder'), 'step urgent_reminder on day 3 does not come after day 3', 'one day, one step'
);
select is(
  pg_temp.fault('3 notice', '2 urgent_reminder'), 'step urgent_reminder on day 2 does not come after day 3', 'days ascend'
);
select is(pg_temp.fault('0 notice', '3 notice'), 'step notice comes twice', 'no step comes twice');
select is(pg_temp.fault('0 notice', '3 final_warning', '6 end', '9 urgent_reminder'), 'step urgent_reminder comes after the end', 'the end is the end');
select is(
  pg_temp.fault('0 notice', '3 final_warning', '6 urgent_reminder'), 'step urgent_reminder comes after final_warning', 'nobody speaks more softly later'
);
select is(pg_temp.fault('0 urgent_reminder'), 'the first step is not a notice', 'nobody begins with a reminder');
select is(pg_temp.fault('0 final_warning', '3 end'), 'the first step is not a notice', 'nor with a warning');
select is(pg_temp.fault('0 end'), 'the first step is not a notice', 'nor with the end');
select is(pg_temp.fault('0 notice', '3 end'), 'the end does not come after a final warning', 'nobody is ended unwarned');
select is(
  pg_temp.fault('0 notice', '3 urgent_reminder', '6 end'), 'the end does not come after a final warning', 'a reminder is no warning'
);

create function pg_temp.define(p_arguments text) returns text language sql as $$
  select format($f$ select billing.define_dunning_policy(%s) $f$, p_arguments);
$$;
select throws_ok(pg_temp.define($$ 'x', '[]' $$), 'DU040', 'policy x: there are no steps', 'a policy is not written with such a ladder');
select throws_ok(
  pg_temp.define($$ null, '[{"day": 0, "kind": "notice"}]' $$), 'DU040', 'policy null: a name has lower-case letters, digits, - and _ only',
  'nor without a name'
);
select throws_ok(
  pg_temp.define($$ 'Big Customers', '[{"day": 0, "kind": "notice"}]' $$), 'DU040',
  'policy Big Customers: a name has lower-case letters, digits, - and _ only', 'nor with one nobody can type'
);
select throws_ok(
  pg_temp.define($$ 'x', '[{"day": 0, "kind": "notice"}]', 'sue' $$), 'DU040', 'policy x: there is no end action sue', 'nor with an end nobody knows'
);
select throws_ok(
  pg_temp.define($$ 'x', '[{"day": 0, "kind": "notice"}]', null $$), 'DU040', 'policy x: there is no end action null', 'nor with none'
);
select throws_ok(
  pg_temp.define($$ 'x', '[{"day": 0, "kind": "notice"}]', 'pause', true $$), 'DU040', 'policy x: only cancel can void open invoices, not pause',
  'nor one that voids what goes on'
);
select throws_ok(
  pg_temp.define($$ 'x', '[{"day": 0, "kind": "notice"}]', p_minimum_amounts => '{"usd": "a few"}' $$), 'DU040',
  'policy x: minimum amounts are not minor units by currency: {"usd": "a few"}', 'nor with an amount that is none'
);
select throws_ok(
  pg_temp.define($$ 'x', '[{"day": 0, "kind": "notice"}]', p_minimum_amounts => '{"USD": 500}' $$), 'DU040',
  'policy x: minimum amounts are not minor units by currency: {"USD": 500}', 'nor in a currency Stripe would not name so'
);
select throws_ok(
  pg_temp.define($$ 'x', '[{"day": 0, "kind": "notice"}]', p_minimum_amounts => '[500]' $$), 'DU040',
  'policy x: minimum amounts are not minor units by currency: [500]', 'nor in none'
);

select is(
  (select array_agg(version order by version) from billing.dunning_policies where name = 'default'), array[1], 'there is a default to begin with'
);
select lives_ok(pg_temp.define($$ 'default', '[{"day": 0, "kind": "notice"}]', 'leave' $$), 'a policy defined again');
select results_eq(
  $$ select version, superseded_at is null from billing.dunning_policies where name = 'default' order by version $$,
  $$ values (1, false), (2, true) $$, 'is a new version, and the one in force'
);
select throws_ok(
  $$ update billing.dunning_steps set day = 5 where kind = 'notice' $$, null, null, 'the steps of a version are never changed'
);

select * from finish();
rollback;
