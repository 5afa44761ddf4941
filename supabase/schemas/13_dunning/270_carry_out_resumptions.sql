-- Carrying out: a planned resumption is checked once more right before the call at Stripe, and finished after it.
-- Reads: subscriptions, invoices, dunning cases. Writes: dunning_resumptions, dunning_cases, outbox.
-- Called by: duebase-deliver; triggers on the outbox.

create function billing_private.finish_resumption_as(
  p_resumption billing.dunning_resumptions, p_status text, p_note text, p_now timestamptz
)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_resumptions as r
  set status = p_status, finished_at = p_now, note = p_note
  where r.id = p_resumption.id and r.status = 'planned';
  perform billing_private.audit(
    'dunning.resumption_' || p_status, 'system', p_resumption.subscription, p_resumption.customer,
    jsonb_strip_nulls(jsonb_build_object('resumption', p_resumption.id, 'invoice', p_resumption.invoice, 'note', p_note)), p_now
  );
  return jsonb_build_object('go', false, 'reason', p_note);
end;
$$;

comment on function billing_private.finish_resumption_as is 'Gives a planned resumption its status, in the audit trail too.';

create function billing_private.lock_resumption(p_id bigint)
returns billing.dunning_resumptions
language plpgsql
set search_path = ''
as $$
declare
  taken billing.dunning_resumptions;
begin
  select * into taken from billing.dunning_resumptions as r where r.id = p_id;
  if not found then
    perform billing_private.raise_error('DU054', format('there is no resumption %s', coalesce(p_id::text, 'null')));
  end if;
  perform billing_private.lock_customers(array[taken.customer]);
  select * into taken from billing.dunning_resumptions as r where r.id = p_id;
  return taken;
end;
$$;

comment on function billing_private.lock_resumption is 'A resumption, with its customer''s lock taken. Raises DU054.';

create function billing.review_resumption(p_id bigint, p_checked text[] default '{}', p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  known constant billing.dunning_resumptions := billing_private.lock_resumption(p_id);
  shown billing.subscriptions;
  unread jsonb;
begin
  if known.status <> 'planned' then
    return jsonb_build_object('go', false, 'reason', known.status);
  end if;
  select jsonb_agg(distinct jsonb_build_object('object', o.object, 'id', o.id))
  into unread
  from (
    select 'subscription' as object, known.subscription as id
    union all
    select 'invoice', known.invoice
    union all
    select 'invoice', i.id from billing.invoices as i where i.subscription = known.subscription and i.status = 'open'
  ) as o
  where o.id <> all (coalesce(p_checked, '{}'));
  if unread is not null then
    return jsonb_build_object('read', unread);
  end if;

  select * into shown from billing.subscriptions as s where s.id = known.subscription;
  if shown.status in ('canceled', 'incomplete_expired') then
    return billing_private.finish_resumption_as(known, 'not_needed', 'the subscription has ended', p_now);
  elsif shown.status <> 'paused' and shown.pause_collection is null then
    return billing_private.finish_resumption_as(known, 'not_needed', 'it had been resumed already', p_now);
  elsif not billing_private.is_paused_for_nonpayment(shown.id) then
    return billing_private.finish_resumption_as(known, 'called_off', 'it is paused for another reason', p_now);
  elsif billing_private.has_overdue_debt(shown.id, p_now)
    or not exists (select from billing.invoices as i where i.id = known.invoice and i.status = 'paid')
  then
    return billing_private.finish_resumption_as(known, 'called_off', 'something is owed still', p_now);
  end if;
  update billing.dunning_resumptions as r
  set latest_invoice = shown.latest_invoice
  where r.id = known.id and r.latest_invoice is null;
  return jsonb_build_object(
    'go', true, 'subscription', shown.id,
    'calls', array_remove(
      array[
        -- Only what dunning put there: the mark is the case's.
        case
          when shown.pause_collection is not null
            and exists (
              select
              from billing.dunning_cases as c
              where c.id::text = billing_private.metadata_of(shown.id) ->> 'duebase_dunning_case' and c.subscription = shown.id and c.resumed_at is null
            )
          then 'clear_pause_collection'
        end,
        case when shown.status = 'paused' then 'resume_subscription' end
      ],
      null
    )
  );
end;
$$;

comment on function billing.review_resumption is
  'Whether a subscription is still to be resumed, asked right before it is. Returns {read: [{object, id}, …]} while something it depends on is not among p_checked; {go: true, subscription, calls}; or {go: false, reason}. Raises DU054.';

create function billing.finish_resumption(p_id bigint, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see review_resumption.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  known constant billing.dunning_resumptions := billing_private.lock_resumption(p_id);
  shown billing.subscriptions;
  made text;
  marked billing.dunning_cases;
begin
  if known.status <> 'planned' then
    return known.status;
  end if;
  select * into shown from billing.subscriptions as s where s.id = known.subscription;
  made := case when shown.latest_invoice is distinct from known.latest_invoice then shown.latest_invoice end;
  if made is null and billing_private.is_paused_for_nonpayment(shown.id) then
    return 'not_resumed';
  end if;
  perform billing_private.finish_resumption_as(
    known, 'done', case when shown.status = 'paused' then 'it goes on once its new invoice is paid: ' || made end, p_now
  );
  if made is not null then
    perform billing_private.enqueue(
      'alert', 'alert:resumed_with_invoice:' || known.id,
      jsonb_build_object(
        'cause', 'resumed_with_invoice', 'customer', known.customer, 'subscription', known.subscription, 'invoice', made
      ),
      p_now, least(p_now, clock_timestamp())
    );
  end if;
  select c.*
  into marked
  from billing.dunning_cases as c
  where c.subscription = shown.id and c.id::text = billing_private.metadata_of(shown.id) ->> 'duebase_dunning_case' and c.status = 'closed';
  if marked.id is not null and shown.status <> 'paused' and shown.pause_collection is null then
    perform billing_private.record_end_of_pause(marked, p_now);
  end if;
  return 'done';
end;
$$;

comment on function billing.finish_resumption is
  'Records that a subscription was resumed and Stripe''s answer applied: the case knows, a mail is due where Stripe''s own event brings none, and an invoice that resuming made is alerted. Returns done; not_resumed, Stripe does not show it yet; or the status it had come to. Raises DU054.';

create function billing_private.tg_outbox__after_resumption()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  failed billing.dunning_resumptions;
begin
  update billing.dunning_resumptions as r
  set
    status = case when billing_private.was_refused(new) then 'refused' when new.status = 'dead' then 'failed' else 'called_off' end,
    finished_at = new.finished_at, note = coalesce(new.last_error ->> 'message', 'withheld: ' || new.withheld_reason)
  where r.id = (new.payload ->> 'resume')::bigint and r.status = 'planned'
  returning * into failed;
  if failed.status = 'refused' then
    perform billing_private.enqueue(
      'alert', 'alert:resumption_refused:' || failed.id,
      jsonb_build_object(
        'cause', 'resumption_refused', 'customer', failed.customer, 'subscription', failed.subscription, 'invoice', failed.invoice,
        'outbox_id', new.id, 'error', failed.note
      ),
      new.finished_at
    );
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_resumption is
  'Trigger function: a resumption whose effect is dead, canceled or withheld is so in dunning_resumptions too. One that Stripe refused is alerted by itself, as nothing tries it again.';

create trigger outbox_ends_resumptions
  after update of status on billing.outbox
  for each row
  when (new.status in ('canceled', 'dead', 'withheld') and old.status <> new.status and new.kind = 'dunning' and new.payload ? 'resume')
  execute function billing_private.tg_outbox__after_resumption();

create function billing_private.tg_outbox__after_resumption_replayed()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_resumptions as r
  set status = 'planned', finished_at = null, note = null
  where r.id = (new.payload ->> 'resume')::bigint
    and r.status in ('failed', 'refused')
    -- Planned anew meanwhile, it needs no second one.
    and not exists (select from billing.dunning_resumptions as o where o.subscription = r.subscription and o.status = 'planned');
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_resumption_replayed is
  'Trigger function: a resumption whose dead effect a person replays is planned again.';

create trigger outbox_replays_resumptions
  after update of status on billing.outbox
  for each row
  when (new.status = 'pending' and old.status = 'dead' and new.kind = 'dunning' and new.payload ? 'resume')
  execute function billing_private.tg_outbox__after_resumption_replayed();

grant execute on function
  billing.review_resumption(bigint, text[], timestamptz),
  billing.finish_resumption(bigint, timestamptz)
to service_role;
