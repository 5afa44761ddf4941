begin;
select plan(31);

-- The default ladder's due step: on which day (and hour) after the anchor, with what behind it.
create function pg_temp.due(p_at interval, p_taken integer default 0, p_last_mail interval default null, p_warned interval default null)
returns text language sql as $$
  select coalesce(
    (array['notice', 'urgent_reminder', 'final_warning', 'end'])[billing_private.due_dunning_step(
      array[0, 3, 7, 10], array['notice', 'urgent_reminder', 'final_warning', 'end'],
      '2026-11-01 12:00Z', p_taken, timestamptz '2026-11-01 12:00Z' + p_last_mail, timestamptz '2026-11-01 12:00Z' + p_warned,
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
select is(pg_temp.due('3 days', 1), 'urgent_reminder', 'also where the notice was passed over');
select is(pg_temp.due('6 days 23:59:59', 2, '3 days'), 'none', 'between steps nothing is due');
select is(pg_temp.due('7 days', 2, '3 days'), 'final_warning', 'the final warning is due on day 7');
select is(pg_temp.due('9 days 23:59:59', 3, '7 days', '7 days'), 'none', 'the end is not due before day 10');
select is(pg_temp.due('10 days', 3, '7 days', '7 days'), 'end', 'it is due on day 10');
select is(pg_temp.due('1 year', 4, '7 days', '7 days'), 'none', 'after the end nothing is');

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
select is(pg_temp.due('30 days', 3, '30 days', '20 days'), 'end', 'the end is no mail: it waits for none');

select is(pg_temp.due('30 days', 3, '30 days', null), 'none', 'no end without a warning that was sent');
select is(pg_temp.due('30 days', 3, '27 days 1 second', '27 days 1 second'), 'none', 'none within three days of a late warning');
select is(pg_temp.due('30 days', 3, '27 days', '27 days'), 'end', 'three days after it');

-- Ladders that are not the default.
create function pg_temp.due_of(p_days integer[], p_kinds text[], p_at interval, p_taken integer, p_warned interval default null)
returns integer language sql as $$
  select billing_private.due_dunning_step(
    p_days, p_kinds, '2026-11-01 12:00Z', p_taken, null, timestamptz '2026-11-01 12:00Z' + p_warned, timestamptz '2026-11-01 12:00Z' + p_at
  );
$$;
select is(pg_temp.due_of(array[2], array['notice'], '1 day', 0), null, 'a ladder may start later');
select is(pg_temp.due_of(array[2], array['notice'], '2 days', 0), 1, 'on its own day');
select is(pg_temp.due_of(array[2], array['notice'], '9 days', 1), null, 'one of a single notice comes to nothing more');
select is(
  pg_temp.due_of(array[0, 7], array['notice', 'final_warning'], '99 days', 2, '7 days'), null, 'one that does not end goes no further than its warning'
);
select is(
  pg_temp.due_of(array[0, 1, 2], array['notice', 'final_warning', 'end'], '3 days 23:00', 2, '1 day'), null,
  'a ladder in a hurry gives three days all the same'
);
select is(
  pg_temp.due_of(array[0, 1, 2], array['notice', 'final_warning', 'end'], '4 days', 2, '1 day'), 3, 'and then ends'
);

select * from finish();
rollback;
