-- Retry: failed projections run again by themselves three times, and after that when a person says so.
-- Reads: stripe_events. Writes: failed_webhooks, and through the handlers billing state.
-- Called by: the tick; operators.

create function billing_private.retry_projection(p_event_id text, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  event billing.stripe_events;
  reason text;
  outcome text;
begin
  -- The caller holds the event's lock, so that nobody else projects it, and its person's: as it is read here, forget_user
  -- leaves it. It does not hold the failure's row, which forget_user takes after the locks that are waited for here.
  select * into event from billing.stripe_events as e where e.id = p_event_id;
  -- Its handlers go by the time of their run: a debt that a late replay makes known has its whole ladder from then
  -- on, and no mail is sent about events of weeks ago.
  event.received_at := greatest(event.received_at, p_now);
  if event.payload is null then
    return billing_private.record_failure(
      event, jsonb_build_object('sqlstate', 'DU033', 'message', format('payload of event %s is gone', event.id)), p_now
    );
  end if;
  reason := billing_private.quarantine_reason(event);
  if reason is not null then
    -- It failed before settings excluded it. What receive_event would quarantine is quarantined here too.
    perform billing_private.quarantine(event, reason, p_now);
    return 'quarantined';
  end if;
  outcome := billing_private.project_event(event, p_now);
  if outcome = 'processed' then
    update billing.failed_webhooks as f
    set status = 'resolved', next_attempt_at = null, resolved_at = p_now
    where f.event_id = p_event_id;
  end if;
  return outcome;
end;
$$;

comment on function billing_private.retry_projection is
  'Projects a failed event again. Returns processed (and the failure is resolved), retrying, dead, or quarantined where settings now say that it does not belong here.';

create function billing.retry_failed_webhook(p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  one text;
  due record;
begin
  -- Only one: a transaction that projected a second event would take its locks while it still holds the first one's payments and
  -- users, and could deadlock.
  for one in
    select f.event_id
    from billing.failed_webhooks as f
    where f.status = 'retrying' and f.next_attempt_at <= p_now
    order by f.next_attempt_at, f.event_id
  loop
    -- Another run at the same time takes another one.
    continue when not pg_try_advisory_xact_lock(hashtextextended(one, 7312));
    -- Still due, that is: another run may have done it since it was read.
    select f.event_id, e.customer_id, e.payload #> '{data,object}' as object
    into due
    from billing.failed_webhooks as f
    join billing.stripe_events as e on e.id = f.event_id
    where f.event_id = one and f.status = 'retrying' and f.next_attempt_at <= p_now;
    continue when not found;
    -- Left for the next run, rather than waited for under the event's lock.
    if billing_private.is_being_forgotten(due.customer_id, due.object) then
      return false;
    end if;
    perform billing_private.retry_projection(one, p_now);
    return true;
  end loop;
  return false;
end;
$$;

comment on function billing.retry_failed_webhook is
  'Projects again the failed event whose next attempt has been due longest at p_now. Returns whether there was one: call again until there is none, each time in a transaction of its own, as its customer''s lock is taken until the caller commits.';

create function billing.replay_failed_webhook(event_id text, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  event billing.stripe_events;
  failure_status text;
  reason text;
begin
  select * into event from billing.stripe_events as e where e.id = replay_failed_webhook.event_id;
  if not found then
    perform billing_private.raise_error('DU002', format('no event %s was received', coalesce(replay_failed_webhook.event_id, 'null')));
  end if;

  perform billing_private.is_forgotten(event.customer_id, event.payload #> '{data,object}');
  -- One projects it at a time; whoever did so meanwhile is done, and has told what came of it.
  perform pg_advisory_xact_lock(hashtextextended(event.id, 7312));
  select f.status into failure_status from billing.failed_webhooks as f where f.event_id = event.id;
  if not found or failure_status = 'resolved' then
    return 'processed';
  elsif event.payload is null then
    perform billing_private.raise_error('DU033', format('payload of event %s is gone', event.id));
  end if;

  reason := billing_private.quarantine_reason(event);
  if reason is not null then
    perform billing_private.raise_error('DU003', format('event %s stays quarantined: %s', event.id, reason));
  end if;
  perform billing_private.audit(
    'webhook.replayed', 'operator', event.object_id, event.customer_id, jsonb_build_object('event_id', event.id), p_now
  );
  -- A quarantined event decides nothing, so it leaves quarantine before it is projected: from here on it counts as if it
  -- had been received just now, also among the other events of its second.
  if failure_status = 'quarantined' then
    -- What its projection waits for, before the row, as forget_user takes them.
    perform billing_private.lock_customer(event),
      billing_private.lock_payments(array_remove(billing_private.payments_named_by(event.payload #> '{data,object}'), null));
    update billing.failed_webhooks as f set status = 'retrying', next_attempt_at = p_now where f.event_id = event.id;
  end if;
  return billing_private.retry_projection(event.id, p_now);
end;
$$;

comment on function billing.replay_failed_webhook is
  'Projects a dead, retrying or quarantined event again, after its cause was fixed. Safe any number of times: an event that is projected is left as it is. Returns processed, retrying or dead; raises DU002 for an unknown event, DU003 for one that is still of the wrong livemode or account, DU033 where its payload is gone.';

grant execute on function
  billing.retry_failed_webhook(timestamptz),
  billing.replay_failed_webhook(text, timestamptz)
to service_role;
