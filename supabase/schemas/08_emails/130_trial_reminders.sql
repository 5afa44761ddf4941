-- Trial reminders: one before each trial ends, as many days ahead as settings say.
-- Reads: subscriptions, settings. Writes: outbox, audit_events. Called by: projection, the tick.

create function billing_private.enqueue_trial_reminder(p_subscription jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  known billing.subscriptions;
  days constant integer := (select s.trial_reminder_days from billing.settings as s);
begin
  select * into known from billing.subscriptions as s where s.id = p_subscription ->> 'id';
  -- The event is stale: the trial may have ended, or been extended, since. One that ends at once is announced by
  -- Stripe too, when there is nothing left to be reminded of.
  if not found or known.status <> 'trialing' or known.trial_end is null or known.trial_end <= p_now then
    return;
  elsif known.trial_end > p_now + days * interval '24 hours' + interval '1 hour' then
    return; -- too early; the hourly job will find it
  end if;
  perform billing_private.enqueue_email_to(
    known.customer, p_now, 'trial-ending', format('trial-ending:%s:%s', known.id, extract(epoch from known.trial_end)::bigint),
    jsonb_build_object('subscription', known.id, 'not_after', known.trial_end),
    jsonb_build_object(
      'customerName', null, 'productName', null, 'paymentMethod', null,
      'trialEnd', known.trial_end,
      'daysLeft', greatest(ceil(extract(epoch from known.trial_end - p_now) / 86400), 0),
      'price', billing_private.email_price(p_subscription, known.trial_end),
      'leaving', coalesce(billing_private.scheduled_end(known) <= known.trial_end, false)
    ),
    p_now
  );
end;
$$;

comment on function billing_private.enqueue_trial_reminder is
  'Enqueues the mail that a trial ends, once for each end, from settings.trial_reminder_days before it on, and never after it. p_subscription: as Stripe last told it.';

create function billing_private.enqueue_trial_ending_email(p_event billing.stripe_events)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if billing_private.unix_time(p_event.payload #> '{data,object,trial_end}')
    = (select s.trial_end from billing.subscriptions as s where s.id = p_event.object_id)
  then
    perform billing_private.enqueue_trial_reminder(p_event.payload #> '{data,object}', greatest(p_event.created, p_event.received_at));
  end if;
end;
$$;

comment on function billing_private.enqueue_trial_ending_email is
  'Handler: customer.subscription.trial_will_end, which Stripe sends three days before, or at once where a trial is shorter.';

create function billing_private.enqueue_due_trial_reminders(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  due record;
  reminded integer := 0;
begin
  for due in
    select s.id, v.event_id
    from billing.subscriptions as s
    join billing_private.object_versions as v on v.object_id = s.id
    where s.status = 'trialing'
      and s.trial_end > p_now
      and s.trial_end <= p_now + (select x.trial_reminder_days from billing.settings as x) * interval '24 hours'
      and not exists (
        select
        from billing.outbox as o
        where o.dedupe_key = format('trial-ending:%s:%s', s.id, extract(epoch from s.trial_end)::bigint)
      )
    order by s.trial_end, s.id
    limit 500
  loop
    perform billing_private.enqueue_trial_reminder(
      coalesce(
        (select e.payload #> '{data,object}' from billing.stripe_events as e where e.id = due.event_id), jsonb_build_object('id', due.id)
      ),
      p_now
    );
    reminded := reminded + 1;
  end loop;
  return reminded;
end;
$$;

comment on function billing_private.enqueue_due_trial_reminders is
  'Enqueues the reminders of trials that end within settings.trial_reminder_days, which may be more days ahead than Stripe announces. Returns how many were checked, 500 at most; the next run takes the rest.';

insert into billing.event_handlers (event_type, handler, position, description) values
  ('customer.subscription.trial_will_end', 'billing_private.enqueue_trial_ending_email', 40, 'email: trial ending');
