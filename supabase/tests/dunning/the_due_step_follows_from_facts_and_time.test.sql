begin;
select plan(44);

-- The default ladder's due step: on which day (and hour) after the anchor, with what behind it and which end before it.
create function pg_temp.due(p_at interval, p_taken integer default 0, p_last_mail interval default null, p_ends interval default null)
returns text language sql as $$
  select coalesce(
    (array['notice', 'urgent_reminder', 'final_warning', 'end'])[billing_private.due_dunning_step(
      array[0, 3, 7, 10], array['notice', 'urgent_reminder', 'final_warning', 'end'],
      '2026-11-01 12:00Z', p_taken, timestamptz '2026-11-01 12:00Z' + p_last_mail, timestamptz '2026-11-01 12:00Z' + p_ends,
      timestamptz '2026-11-01 12:00Z' + p_at
    )],
    'none'
  );
$$;

select is(pg_temp.due('-1 second'), 'none', 'before it is overdue, nothing is due');
select is(pg_temp.due('0'), 'notice', 'the notice is due in the second it fails');
select is(pg_temp.due('5 minutes', 1, '0'), 'none', 'and not again');
select is(pg_temp.due('2 days 23:59:59', 1, '0'), 'none', 'a day is 24 hours');
select is(pg_temp.due('3 days', 1, '0'), 'urgent_reminder', 'the reminder is due on day 3');
select is(pg_temp.due('3 days', 1), 'urgent_reminder', 'also where the notice was skipped');
select is(pg_temp.due('6 days 23:59:59', 2, '3 days'), 'none', 'between steps nothing is due');
select is(pg_temp.due('7 days', 2, '3 days'), 'final_warning', 'the final warning is due on day 7');
select is(pg_temp.due('9 days 23:59:59', 3, '7 days', '10 days'), 'none', 'the end is not due before day 10');
select is(pg_temp.due('10 days', 3, '7 days', '10 days'), 'end', 'it is due on day 10');
select is(pg_temp.due('1 year', 4, '7 days', '10 days'), 'none', 'after the end nothing is');

select is(pg_temp.due('3 days'), 'notice', 'first seen late, it starts with the notice');
select is(pg_temp.due('8 days'), 'notice', 'first seen very late, too');
select is(pg_temp.due('2 years'), 'notice', 'it never opens with a warning, and never with the end');
select is(pg_temp.due('2 years 1 day', 1, '2 years'), 'final_warning', 'then the highest that is due, once');
select is(pg_temp.due('8 days', 1, '0'), 'final_warning', 'of several that are due, the highest');
select is(pg_temp.due('4 days', 1, '0'), 'urgent_reminder', 'but none whose day has not come');
select is(pg_temp.due('30 days', 2, '3 days'), 'final_warning', 'never the end instead of the warning, however late');

select is(pg_temp.due('3 days', 1, '2 days 4 hours 1 second'), 'none', 'no second mail within 20 hours');
select is(pg_temp.due('3 days', 1, '2 days 4 hours'), 'urgent_reminder', 'after 20 hours there is');
select is(pg_temp.due('2 years', 0, '2 years -1 hour'), 'none', 'the notice of another invoice waits for them too');
select is(pg_temp.due('30 days', 3, '30 days', '30 days'), 'end', 'the end is no mail: it waits for none');

select is(pg_temp.due('30 days', 3, '30 days', null), 'none', 'no end without a warning that was sent');

-- Ladders that are not the default.
create function pg_temp.due_of(p_days integer[], p_kinds text[], p_at interval, p_taken integer)
returns integer language sql as $$
  select billing_private.due_dunning_step(
    p_days, p_kinds, '2026-11-01 12:00Z', p_taken, null, null, timestamptz '2026-11-01 12:00Z' + p_at
  );
$$;
select is(pg_temp.due_of(array[2], array['notice'], '1 day', 0), null, 'a ladder may start later');
select is(pg_temp.due_of(array[2], array['notice'], '2 days', 0), 1, 'on its own day');
select is(pg_temp.due_of(array[2], array['notice'], '9 days', 1), null, 'one of a single notice comes to nothing more');
select is(
  pg_temp.due_of(array[0, 7], array['notice', 'final_warning'], '99 days', 2), null, 'one that does not end goes no further than its warning'
);

-- When a case ends, and what becomes of its warning. Times are days and hours after 2026-11-01 09:00 UTC.
create function pg_temp.at(p_after text) returns timestamptz language sql as $$
  select timestamptz '2026-11-01 09:00Z' + p_after::interval;
$$;
create function pg_temp.plan(
  p_now text, p_taken integer, p_last_mail text default null, p_warned text default null, p_named text default null,
  p_days integer[] default '{0,3,7,10}', p_again boolean default false, p_scheduled text default null, p_canceled boolean default false,
  p_told text default null
)
returns text language sql as $$
  select format(
    '%s, ends %s%s', coalesce((array['notice', 'urgent_reminder', 'final_warning', 'end'])[f.due], 'none'),
    coalesce(to_char(f.ends_at at time zone 'UTC', 'MM-DD HH24:MI'), 'never'), case when f.is_leaving then ', leaving' else '' end
  )
  from billing_private.plan_dunning(
    row(
      1, 's', 'c', 's', 1, p_days, array['notice', 'urgent_reminder', 'final_warning', 'end'], 'cancel', 'i', pg_temp.at('0'),
      pg_temp.at('0'), 'usd', 1, array['i'], p_taken, pg_temp.at(p_last_mail), pg_temp.at(p_warned), pg_temp.at(p_named),
      pg_temp.at(p_told), p_again, false,
      pg_temp.at(p_scheduled), p_canceled, null, null, null, null
    )::billing_private.dunning_fact,
    pg_temp.at(p_now)
  ) as f;
$$;

select is(pg_temp.plan('0', 0), 'notice, ends 11-11 12:00', 'the end is at noon of its day');
select is(pg_temp.plan('7 days', 2, '3 days'), 'final_warning, ends 11-11 12:00', 'which the warning names');
select is(pg_temp.plan('10 days 02:59:59', 3, '7 days', '7 days', '10 days 03:00'), 'none, ends 11-11 12:00', 'and not before');
select is(pg_temp.plan('10 days 03:00', 3, '7 days', '7 days', '10 days 03:00'), 'end, ends 11-11 12:00', 'then it is due');
select is(
  pg_temp.plan('10 days 03:00', 3, '8 days', '8 days', '10 days 03:00'), 'none, ends 11-12 12:00', 'three days after the warning left, however late'
);
select is(
  pg_temp.plan('10 days 03:00', 3, '7 days', '7 days', '12 days 03:00'), 'none, ends 11-13 12:00', 'nobody is ended before the day they were told'
);
select is(
  pg_temp.plan('10 days 03:00', 3, '7 days', '7 days', '10 days 03:00', p_told => '14 days 03:00'), 'none, ends 11-15 12:00',
  'whichever mail it was'
);
select is(
  pg_temp.plan('17 days 03:00', 3, '7 days', '7 days', '10 days 03:00'), 'end, ends 11-11 12:00', 'a warning stands for seven days'
);
select is(
  pg_temp.plan('17 days 03:00:01', 3, '7 days', '7 days', '10 days 03:00'), 'final_warning, ends 11-22 12:00',
  'then it is stale, and a fresh one gives three days'
);
select is(
  pg_temp.plan('60 days', 3, '7 days', '7 days', '30 days 03:00', '{0,3,7,30}'), 'final_warning, ends 01-23 12:00', 'or what lies between them by the policy'
);
select is(
  pg_temp.plan('61 days', 3, '60 days', '60 days', '83 days 03:00', '{0,3,7,30}', true), 'none, ends 01-23 12:00', 'as it then does'
);
select is(
  pg_temp.plan('9 days', 2, '7 days', null), 'final_warning, ends 11-13 12:00', 'a warning that could not be sent is due again'
);
select is(
  pg_temp.plan('7 days', 2, '3 days', p_scheduled => '200 days'), 'final_warning, ends 11-11 12:00', 'a fixed term has the whole ladder'
);
select is(
  pg_temp.plan('7 days', 2, '3 days', p_scheduled => '200 days', p_canceled => true), 'final_warning, ends 11-11 12:00',
  'and so has who canceled for a later day'
);
select is(
  pg_temp.plan('7 days', 2, '3 days', p_scheduled => '9 days', p_canceled => true), 'final_warning, ends never, leaving',
  'who canceled for a day before is leaving, and not ended'
);
select is(
  pg_temp.plan('10 days 03:00', 3, '7 days', '7 days', null, p_scheduled => '9 days', p_canceled => true), 'none, ends never, leaving',
  'not even where Stripe is late with it'
);
select is(
  pg_temp.plan('8 days', 3, '7 days', '7 days', null), 'final_warning, ends 11-12 12:00', 'who stays after all is warned of an end they were not told of'
);

select * from finish();
rollback;
