-- Project: an event stored is an event projected, in the same transaction; or it is stored with the reason why not.
-- Reads: settings. Writes: failed_webhooks, and through the handlers all billing state. Called by: receiving, retries.

create function billing_private.project_event(p_event billing.stripe_events, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
-- Waiting for another projection must end well before the API's statement timeout (8 s) ends the whole transaction.
set lock_timeout = '3s'
as $$
declare
  error_state text;
  error_message text;
  error_detail text;
  error_hint text;
  error_context text;
  begun constant timestamptz := clock_timestamp();
begin
  -- A batch waits less (see receive_events). The end of this function restores what was set before.
  if current_setting('duebase.lock_timeout', true) <> '' then
    perform set_config('lock_timeout', current_setting('duebase.lock_timeout'), true);
  end if;
  for try in 1..2 loop
    begin
      if coalesce(
        p_event.payload #>> '{data,object,customer_account}', p_event.payload #>> '{data,previous_attributes,customer_account}'
      ) is not null then
        p_event := billing_private.fill_in_customer(p_event);
        perform billing_private.dispatch_event(p_event);
        perform billing_private.move_account_to_customer(p_event);
      else
        perform billing_private.dispatch_event(p_event);
      end if;
      return 'processed';
    -- A statement timeout and a failed assertion are not among "others", and must not lose the event either.
    exception when query_canceled or assert_failure or others then
      get stacked diagnostics
        error_state = returned_sqlstate,
        error_message = message_text,
        error_detail = pg_exception_detail,
        error_hint = pg_exception_hint,
        error_context = pg_exception_context;
    end;
    -- Our own writers keep the order of locks; what an application's handler locks may not. By now the other one is done.
    exit when error_state <> '40P01';
  end loop;
  return billing_private.record_failure(
    p_event,
    jsonb_build_object(
      'sqlstate', error_state, 'message', error_message, 'detail', nullif(error_detail, ''),
      'hint', nullif(error_hint, ''), 'context', error_context
    ),
    p_now,
    clock_timestamp() - begun
  );
end;
$$;

comment on function billing_private.project_event is
  'Projects one event in a subtransaction, under its customer''s lock: its handlers'' work is kept whole (processed) or undone whole, with the failure recorded (retrying, dead). One that lost to a deadlock has a second try at once.';

create function billing_private.project_or_quarantine(p_event billing.stripe_events)
returns text
language plpgsql
set search_path = ''
as $$
declare
  reason constant text := billing_private.quarantine_reason(p_event);
begin
  if reason is not null then
    perform billing_private.quarantine(p_event, reason, p_event.received_at);
    return 'quarantined';
  end if;
  return case billing_private.project_event(p_event, p_event.received_at) when 'processed' then 'processed' else 'failed' end;
end;
$$;

comment on function billing_private.project_or_quarantine is
  'Projects an event that was just stored, or quarantines it. Returns processed, quarantined or failed.';
