-- Restored: a backup of the same project was restored. What it has as pending may have been performed after the backup, and
-- what happened after it is not known here. So both are withheld, listed, matched with what Resend and Stripe have, and
-- released only where it was not performed.
-- Reads: outbox, emails. Writes: settings, restores, told_facts, seats, outbox, dunning_actions, audit_events.
-- Called by: operators; `duebase restored`.

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
  'What was pending in a backup that was restored, or came of what happened since, and may have been performed after the backup: one row per effect that is not known to be performed. An email is found at Resend by its tags (billing.match_restored_emails), a call at Stripe by reading the object that payload names.';

create function billing_private.newest_knowledge(p_now timestamptz)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select least(p_now, greatest(
    (select max(e.received_at) from billing.webhook_events as e),
    (select max(o.created_at) from billing.outbox as o),
    (select max(e.status_at) from billing.emails as e)
  ));
$$;

comment on function billing_private.newest_knowledge is
  'The newest time that any event, effect or email here tells of, up to p_now. Of a backup that was just restored: when it was made, or a little before.';

create function billing_private.skip_used_ids()
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform setval(format('%I.%I', q.schemaname, q.sequencename)::regclass, q.last_value + greatest(q.last_value, 1000000))
  from pg_catalog.pg_sequences as q
  where q.schemaname in ('billing', 'billing_private') and q.last_value is not null;
  -- The number of an attempt is part of a key at Stripe, which answers under a key what it answered before.
  update billing.seats as s set attempt = s.attempt + 1000000 where s.attempt < 1000000000;
end;
$$;

comment on function billing_private.skip_used_ids is
  'Leaves out all ids that may have been given since a backup was made: as keys at Stripe and Resend, and as marks in Stripe''s metadata, they stand for something else. As many as were ever given, a million at least.';

create function billing.restored(p_backup_at timestamptz default null, p_now timestamptz default now())
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  restore billing.restores;
  withheld integer;
begin
  update billing.settings as s set mode = 'mirror' where s.id;
  select * into restore from billing.restores as r where r.finished_at is null for update;
  if not found then
    insert into billing.restores (backup_at, restored_at)
    values (least(p_now, coalesce(p_backup_at, 'infinity'), billing_private.newest_knowledge(p_now)), p_now)
    returning * into restore;
    perform billing_private.skip_used_ids();
  end if;
  -- What is enqueued or found from now on has to be matched too.
  update billing.restores as r set matched_at = null where r.id = restore.id;
  -- Whoever held a claim in the backup lost it: its rows are those of another time.
  update billing.outbox as o set locked_until = p_now where o.status = 'claimed' and o.locked_until > p_now;
  withheld := billing_private.withhold_pending_writes('restored', p_now);
  perform billing_private.audit('billing.restored', 'operator', null, null, jsonb_build_object('withheld', withheld), p_now);
  return billing_private.describe_mode(p_now) || jsonb_build_object(
    'restored', (select count(*) from billing.restored_effects()),
    'backup_at', restore.backup_at,
    -- Of a mail that the backup has as begun nobody knows what became of it.
    'emails_since', least(
      restore.backup_at, (select min(e.unknown_since) from billing.emails as e where e.status = 'pending')
    ) - interval '1 hour',
    'newest_event', (select max(e.received_at) from billing.webhook_events as e)
  );
end;
$$;

comment on function billing.restored is
  'After a backup of the same project was restored, one made at p_backup_at: mirror mode, and every write that was pending in the backup, or that comes of what happened since, is withheld as restored, see billing.restored_effects. No id that may have been used since the backup is given again. Returns as go_live does, with restored, how many there are; backup_at, from when on things are not known; emails_since, from when on emails are to be matched; and newest_event, when the last event was received: what Stripe sent since is missing. Without p_backup_at it takes the newest that is known here, which is right only where nothing ran since the restore. Safe any number of times; the first time counts.';

create function billing.match_restored_emails(p_emails jsonb, p_now timestamptz default now())
returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
  performed bigint[];
begin
  insert into billing_private.told_facts as t (code, resend_id, sent_at)
  select distinct on (c.code) c.code, m.mail ->> 'resend_id', (m.mail ->> 'sent_at')::timestamptz
  from jsonb_array_elements(p_emails) as m (mail)
  cross join lateral (
    select left(replace(m.mail ->> 'tag', '-', ''), 16)
    union
    select jsonb_array_elements_text(m.mail -> 'tells')
  ) as c (code)
  where c.code ~ '^[0-9a-f]{16}$'
  order by c.code, (m.mail ->> 'sent_at')::timestamptz
  on conflict (code) do update set sent_at = excluded.sent_at, resend_id = excluded.resend_id where t.sent_at > excluded.sent_at;
  performed := array(
    select e.id
    from billing.restored_effects() as e
    join billing.outbox as o on o.id = e.id
    where e.kind = 'email' and billing_private.effect_told_at(o.dedupe_key, o.payload) is not null
    order by e.id
  );
  perform billing.mark_as_performed(performed, p_now);
  return performed;
end;
$$;

comment on function billing.match_restored_emails is
  'Takes in what Resend shows of emails of ours that left since the backup, [{resend_id, sent_at, tag, tells}, …]: tag is the tag duebase_email, tells the codes in the tags duebase_tells. Emails of billing.restored_effects that are among them are marked as performed; their ids are returned. What else they told is kept, so that it is not told again by whatever decides on it later.';

create function billing.restore_is_matched(p_now timestamptz default now())
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- What happened since the backup has come in by now.
  perform billing_private.take_over_pauses(p_now);
  update billing.restores as r set matched_at = p_now where r.finished_at is null;
  return found;
end;
$$;

comment on function billing.restore_is_matched is
  'Says that all was matched that may have left since the backup, so that the project may go live again. False: no backup was restored.';

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
  set
    status = 'sent', status_at = p_now, unknown_since = null,
    sent_at = coalesce(e.sent_at, billing_private.told_at(array[e.dedupe_key]), p_now)
  where e.outbox_id = any (performed) and e.status = 'pending';
  -- A mail that left was told, so its step is not due again.
  update billing.dunning_actions as d
  set
    status = 'sent', note = null,
    finished_at = greatest(
      d.decided_at, coalesce((select billing_private.told_at(array[o.dedupe_key]) from billing.outbox as o where o.id = d.outbox_id), p_now)
    )
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
