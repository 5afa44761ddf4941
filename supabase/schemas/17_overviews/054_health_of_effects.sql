-- Health of effects: whether what is to be done outside is done, and mails arrive.
-- Reads: outbox, hourly_metrics. Called by: health.

create function billing_private.health_of_outbox(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  most constant integer := 10000;
  due record;
  dead record;
  waits interval;
begin
  select count(*) as effects, min(o.due_at) as since into due
  from (
    select coalesce(e.locked_until, e.run_after) as due_at
    from billing.outbox as e
    where e.status in ('pending', 'claimed') and coalesce(e.locked_until, e.run_after) <= p_now
    order by coalesce(e.locked_until, e.run_after)
    limit most
  ) as o;
  waits := coalesce(p_now - due.since, '0');
  return next billing_private.health_row(
    'outbox-depth', billing_private.light(false, waits > interval '5 minutes'),
    due.effects, 'count', 'shown',
    format('%s due at this moment', billing_private.counted(due.effects, 'effect is', 'effects are', most)),
    due.since,
    'see outbox-oldest-due'
  );
  return next billing_private.health_row(
    'outbox-oldest-due', billing_private.light(waits > interval '10 minutes', waits > interval '5 minutes'),
    round(extract(epoch from waits)), 'seconds', 'nothing due for over 10 minutes',
    case
      when due.effects = 0 then 'nothing is due'
      else format('the oldest of what is due has been due for %s', billing_private.in_words(waits))
    end,
    due.since,
    'duebase-deliver does not come to it: see call-deliver, and the log of the function; what it is: select id, kind, run_after, locked_by, last_error from billing.outbox where status in (''pending'', ''claimed'') and run_after < now() order by run_after'
  );

  select count(*) as effects, min(d.finished_at) as since,
    (select string_agg(format('%s %s', k.n, k.kind), ', ' order by k.kind) from (
      select x.kind, count(*) as n from (select y.kind from billing.outbox as y where y.status = 'dead' limit most) as x group by x.kind
    ) as k) as kinds
  into dead
  from (select o.finished_at from billing.outbox as o where o.status = 'dead' order by o.finished_at limit most) as d;
  return next billing_private.health_row(
    'dead-effects', billing_private.light(dead.effects > 0),
    dead.effects, 'count', 'none',
    case
      when dead.effects = 0 then 'no effect is dead'
      else format('%s could not be performed and will not be tried again: %s', billing_private.counted(dead.effects, 'effect', null, most), dead.kinds)
    end,
    dead.since,
    'select id, kind, payload, last_error from billing.outbox where status = ''dead''; put the cause right; then select billing.replay_outbox(id)'
  );
end;
$$;

comment on function billing_private.health_of_outbox is 'Health rows: what is due, for how long, and what is dead.';

create function billing_private.health_of_mail(p_now timestamptz)
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  this_hour constant timestamptz := date_trunc('hour', p_now, 'UTC');
  week constant billing.hourly_metrics := billing_private.metrics_between(this_hour - interval '7 days', this_hour + interval '1 hour');
  known constant bigint := week.emails_delivered + week.emails_bounced;
  rate constant numeric := round(100.0 * week.emails_delivered / nullif(known, 0), 1);
  -- Reports come within minutes, nearly all of them.
  is_untold constant boolean := known = 0 and week.emails_sent > 0
    and (billing_private.metrics_between(this_hour - interval '7 days', this_hour - interval '1 day')).emails_sent > 0;
begin
  return next billing_private.health_row(
    'mail-delivery',
    billing_private.light(rate < 95 and week.emails_bounced >= 5, is_untold or (rate < 99 and week.emails_bounced >= 2)),
    rate, 'percent', '99 %',
    case
      when is_untold then format('%s left within a week, and Resend has told of none what became of it', billing_private.counted(week.emails_sent, 'mail'))
      when known = 0 then 'no mail is known to have arrived or bounced within a week'
      else format(
        '%s of %s within a week arrived, %s bounced or failed%s', week.emails_delivered, billing_private.counted(known, 'mail'), week.emails_bounced,
        case when week.emails_sent > known then format('; of %s nothing is known yet', week.emails_sent - known) end
      )
    end,
    case
      when is_untold then this_hour - interval '7 days'
      when week.emails_bounced > 0
        then (select min(h.hour) from billing.hourly_metrics as h where h.hour >= this_hour - interval '7 days' and h.emails_bounced > 0)
    end,
    case
      when is_untold then 'add the webhook of duebase-resend-webhook in Resend, for all email.* events: npx duebase connect'
      else 'select to_address, template, problem from billing.emails where status in (''bounced'', ''failed'') order by status_at desc; many at once: see the domain in Resend'
    end
  );
end;
$$;

comment on function billing_private.health_of_mail is
  'Health row: mails that arrived, of those of the last week of which it is known.';
