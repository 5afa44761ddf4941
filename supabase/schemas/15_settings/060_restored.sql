-- Restored: a backup of the same project was restored. What it has as pending may have been performed after the backup; so it
-- is listed and withheld, matched with what Resend and Stripe have, and released only where it was not.
-- Reads: outbox, emails. Writes: settings, outbox, dunning_actions, audit_events. Called by: operators; `duebase restored`.

create function billing.restored_effects()
returns table (
  id bigint, kind text, what text, customer text, dedupe_key text, email_tag uuid, payload jsonb, enqueued_at timestamptz
)
language sql
stable
-- Definer: it asks private functions; service_role may read all it shows.
security definer
set search_path = ''
as $$
  select
    o.id, o.kind, coalesce(o.payload ->> 'template', o.payload ->> 'call', o.kind), o.payload ->> 'customer', o.dedupe_key,
    case when o.kind = 'email' then coalesce(e.tag, billing_private.email_tag(o.dedupe_key)) end,
    case when o.kind <> 'email' then o.payload end,
    o.created_at
  from billing.outbox as o
  left join billing.emails as e on e.outbox_id = o.id
  where o.status = 'withheld' and o.withheld_reason = 'restored'
  order by o.id;
$$;

comment on function billing.restored_effects is
  'What was pending in a backup that was restored, and may have been performed after it: one row per effect that is still to be matched. An email is found at Resend by its tag duebase_email (email_tag), a call at Stripe by reading the object that payload names.';

create function billing.restored(p_now timestamptz default now())
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  withheld integer;
begin
  update billing.settings as s set mode = 'mirror' where s.id;
  -- Whoever held a claim in the backup lost it: its rows are those of another time.
  update billing.outbox as o set locked_until = p_now where o.status = 'claimed' and o.locked_until > p_now;
  withheld := billing_private.withhold_pending_writes('restored', p_now);
  perform billing_private.audit('billing.restored', 'operator', null, null, jsonb_build_object('withheld', withheld), p_now);
  return billing_private.describe_mode(p_now) || jsonb_build_object(
    'restored', (select count(*) from billing.restored_effects()),
    'newest_event', (select max(e.received_at) from billing.webhook_events as e)
  );
end;
$$;

comment on function billing.restored is
  'After a backup of the same project was restored: mirror mode, and every write that was pending in the backup is withheld as restored, see billing.restored_effects. Returns as go_live does, with restored, how many there are, and newest_event, when the last event was received before the backup: what Stripe sent since is missing. Safe any number of times.';

create function billing.mark_as_performed(p_ids bigint[], p_now timestamptz default now())
returns integer
language plpgsql
set search_path = ''
as $$
declare
  performed bigint[];
begin
  perform from billing.emails as e where e.outbox_id = any (p_ids) order by e.id for update;
  perform billing_private.lock_effects(p_ids);
  with marked as (
    update billing.outbox as o
    set status = 'delivered', withheld_reason = null, finished_at = p_now
    where o.id = any (p_ids) and o.status = 'withheld' and o.withheld_reason = 'restored'
    returning o.id
  )
  select array_agg(m.id) into performed from marked as m;
  update billing.emails as e
  set status = 'sent', status_at = p_now, sent_at = coalesce(e.sent_at, p_now), unknown_since = null
  where e.outbox_id = any (performed) and e.status = 'pending';
  -- A mail that left was told, so its step is not due again.
  update billing.dunning_actions as d
  set status = 'sent', finished_at = p_now, note = null
  where d.outbox_id = any (performed) and d.kind <> 'end' and d.status in ('canceled', 'failed');
  perform billing_private.audit(
    'effect.marked_as_performed', 'operator', o.dedupe_key, o.payload ->> 'customer',
    jsonb_build_object('outbox_id', o.id, 'kind', o.kind), p_now
  )
  from billing.outbox as o
  where o.id = any (performed)
  order by o.id;
  return coalesce(cardinality(performed), 0);
end;
$$;

comment on function billing.mark_as_performed is
  'Records that effects of billing.restored_effects (their ids) were performed after the backup, as Resend or Stripe shows: they are not performed again, and a dunning email counts as sent. Returns how many; others are left as they are.';

grant execute on function billing.restored_effects() to service_role;
