-- What became of what was enqueued: dunning_actions follow the outbox and the emails, in the same transactions.
-- Reads: outbox, emails. Writes: dunning_actions, outbox. Called by: delivering, Resend's reports.

create function billing_private.tg_outbox__after_end()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_actions as d
  set
    status = case
      when new.status = 'dead' then 'failed'
      -- An attempt had begun, and may have been made.
      when new.status = 'withheld' and exists (select from billing.emails as e where e.outbox_id = new.id and e.unknown_since is not null)
        then 'failed'
      -- What was withheld was not told, so it is due again.
      else 'canceled'
    end,
    finished_at = new.finished_at,
    note = coalesce(new.last_error ->> 'message', 'withheld: ' || new.withheld_reason)
  where d.outbox_id = new.id and d.status = 'planned' and d.kind <> 'end';
  -- An end out of tries has to be decided anew.
  update billing.dunning_actions as d
  set
    status = 'canceled', finished_at = new.finished_at, note = coalesce(new.last_error ->> 'message', 'withheld: ' || new.withheld_reason)
  where d.outbox_id = new.id and d.status = 'planned' and d.kind = 'end' and new.kind = 'dunning';
  if new.withheld_reason = 'stale' then
    perform billing_private.enqueue_dunning_evaluation(new.payload ->> 'customer', 'withheld:' || new.id, new.finished_at);
  end if;
  if billing_private.was_refused(new) and new.payload ? 'end' then
    perform billing_private.enqueue(
      'alert', 'alert:end_refused:' || c.id,
      jsonb_strip_nulls(jsonb_build_object(
        'cause', 'end_refused', 'case', c.id, 'customer', c.customer, 'subscription', c.subscription, 'error', new.last_error ->> 'message'
      )),
      new.finished_at
    )
    from billing.dunning_actions as d
    join billing.dunning_cases as c on c.id = d.case_id
    where d.id = (new.payload ->> 'end')::bigint;
  end if;
  return null;
end;
$$;

comment on function billing_private.tg_outbox__after_end is
  'Trigger function: a dunning mail or end that is canceled, dead or withheld is so in dunning_actions too. A stale mail is due again at once. An end that Stripe refused is alerted by itself, once a case.';

create trigger outbox_finishes_dunning_actions
  after update of status on billing.outbox
  for each row
  when (new.status in ('canceled', 'dead', 'withheld') and old.status <> new.status and new.dedupe_key like 'dunning%')
  execute function billing_private.tg_outbox__after_end();

create function billing_private.tg_emails__after_status()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update billing.dunning_actions as d
  set
    status = case when new.status in ('failed', 'bounced', 'complained') then 'undeliverable' else 'sent' end,
    finished_at = case when new.status in ('failed', 'bounced', 'complained') then new.status_at else coalesce(new.sent_at, new.status_at) end,
    note = case when new.status in ('failed', 'bounced', 'complained') then concat_ws(': ', new.status, new.problem) end
  where d.outbox_id = new.outbox_id
    and d.kind <> 'end'
    -- Of a case that was closed meanwhile too: it did leave.
    and d.status in ('planned', 'sent', 'canceled', 'failed');
  return null;
end;
$$;

comment on function billing_private.tg_emails__after_status is
  'Trigger function: what became of a dunning mail is so in dunning_actions too. An undeliverable one counts as not sent.';

create trigger emails_finish_dunning_actions
  after update of status on billing.emails
  for each row
  when (new.status <> 'pending' and old.status <> new.status and new.template like 'payment-failed-%')
  execute function billing_private.tg_emails__after_status();
