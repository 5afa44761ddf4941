-- Send: one request to Resend at a time, a mail by itself or a batch, noted before it is made and again after.
-- A batch is made of mails that were never attempted, and kept before its first attempt: its one key stands for these
-- bytes, so it is sent again whole or not at all, whichever of its mails a worker holds.
-- Reads: outbox, dunning_actions, settings. Writes: emails, outbox. Called by: duebase-deliver.

create function billing_private.named_sender(p_sender text, p_app_name text)
returns text
language sql
immutable parallel safe
set search_path = ''
as $$
  select case
    when p_sender ~ '^[^\s<>@]+@[^\s<>@]+$'
    then coalesce(nullif(btrim(regexp_replace(p_app_name, '[][<>()"\\,;:@[:cntrl:][:space:]]+', ' ', 'g')), '') || ' <' || p_sender || '>', p_sender)
    else p_sender
  end;
$$;

comment on function billing_private.named_sender is
  'A sender as it is written into a mail: a bare address gets the application''s name, without the characters that would need quoting.';

create function billing_private.email_references(p_effect billing.outbox, p_from text)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  sender_domain constant text := coalesce(substring(p_from from '@([A-Za-z0-9.-]+)>?\s*$'), 'duebase.invalid');
begin
  if not p_effect.payload ->> 'template' = any (array[
    'payment-failed-notice', 'payment-failed-urgent', 'payment-failed-final', 'payment-action-required', 'payment-recovered'
  ]) then
    return null;
  end if;
  return (
    select string_agg(format('<%s@%s>', md5(listed.invoice), sender_domain), ' ' order by listed.invoice)
    from (
      select p_effect.payload ->> 'invoice' as invoice
      union
      select unnest(d.invoices) from billing.dunning_actions as d where d.outbox_id = p_effect.id
      order by 1
      -- A line of a header has room for 998 characters.
      limit 8
    ) as listed
    where listed.invoice is not null
  );
end;
$$;

comment on function billing_private.email_references is
  'Header References of a mail about overdue invoices: an id for each of them, the same in every mail about it, at the sender''s domain. Null for other mails.';

create function billing_private.email_tag(p_dedupe_key text)
returns uuid
language sql
immutable parallel safe
set search_path = ''
as $$ select md5(p_dedupe_key)::uuid $$;

comment on function billing_private.email_tag is
  'The tag duebase_email of the mail of an effect. It follows from the effect alone, so that a mail can be found at Resend whose row was lost, as a backup was restored.';

create function billing.begin_emails(
  p_claim_id uuid, p_emails jsonb, p_default_sender text default null, p_now timestamptz default now()
)
returns setof billing.emails
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  fresh_batch constant uuid := gen_random_uuid();
  effects constant bigint[] := array(select (m.mail ->> 'id')::bigint from jsonb_array_elements(p_emails) as m (mail));
  begun billing.emails;
begin
  -- In the order in which finish_emails takes them. The lock keeps out forget_user and a
  -- payment that withdraws a dunning mail: they come after and find these rows, or came before and the claim is lost.
  perform
  from billing.emails as e
  where e.outbox_id = any (effects)
    or e.batch_id in (select k.batch_id from billing.emails as k where k.outbox_id = any (effects))
  order by e.id
  for update;
  perform billing_private.lock_effects(effects);
  if not billing_private.keep_claimed_mails(effects, p_claim_id, p_now) then
    return;
  end if;
  insert into billing.emails as e (
    outbox_id, dedupe_key, tag, tells, template, customer_id, from_address, to_address, reply_to, message_references, locale, subject, html, text,
    attachment, batch_id, batch_position, status_at, created_at
  )
  select
    o.id, o.dedupe_key, billing_private.email_tag(o.dedupe_key),
    array(select billing_private.fact_code(t.fact) from jsonb_array_elements_text(o.payload -> 'tells') as t (fact) order by 1),
    o.payload ->> 'template', o.payload ->> 'customer',
    f.sender, r.address, nullif(btrim(s.email_reply_to), ''), billing_private.email_references(o, f.sender),
    m.mail ->> 'locale', m.mail ->> 'subject', m.mail ->> 'html', m.mail ->> 'text',
    a.attachment,
    case when a.attachment is null and count(*) filter (where a.attachment is null) over () > 1 then fresh_batch end,
    case
      when a.attachment is null and count(*) filter (where a.attachment is null) over () > 1
      then row_number() over (order by o.run_after, o.id)
    end,
    p_now, p_now
  from jsonb_array_elements(p_emails) as m (mail)
  join billing.outbox as o on o.id = (m.mail ->> 'id')::bigint and o.claim_id = p_claim_id
  cross join lateral billing_private.email_recipient(o) as r
  cross join billing.settings as s
  cross join lateral (
    select billing_private.named_sender(coalesce(nullif(btrim(s.email_from), ''), btrim(p_default_sender)), s.app_name) as sender
  ) as f
  cross join lateral (select billing_private.email_attachment(o) as attachment) as a
  where m.mail ? 'html' and r.obstacle is null
  on conflict (outbox_id) do nothing;

  select e.*
  into begun
  from jsonb_array_elements(p_emails) as m (mail)
  join billing.outbox as o on o.id = (m.mail ->> 'id')::bigint and o.claim_id = p_claim_id
  join billing.emails as e on e.outbox_id = o.id and e.status = 'pending'
  order by e.batch_id = fresh_batch desc nulls last, e.id
  limit 1;
  if not found then
    return;
  end if;

  return query
    update billing.emails as e
    set
      attempted_at = case e.status when 'pending' then p_now else e.attempted_at end,
      unknown_since = case e.status when 'pending' then coalesce(e.unknown_since, p_now) end
    where e.id = begun.id or e.batch_id = begun.batch_id
    returning e.*;
end;
$$;

comment on function billing.begin_emails is
  'Keeps what was written, [{id, subject, html, text, locale}, …], several of them as a batch, but none with an attachment; or takes up what is kept already, [{id}]. Notes that an attempt begins. Returns the mails of the one request to make, exactly as they are to be sent: a batch whole, also those of its mails that others hold. None: the claim was lost, or the project is in mirror mode now.';

create function billing.finish_emails(p_claim_id uuid, p_answers jsonb, p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  sent constant bigint[] := array(
    select (a.answer ->> 'id')::bigint from jsonb_array_elements(p_answers) as a (answer) where a.answer ? 'resend_id'
  );
  refused record;
  delivered integer;
  dead integer := 0;
begin
  -- In the order in which a report takes the two rows.
  perform
  from billing.emails as e
  where e.outbox_id in (select (a.answer ->> 'id')::bigint from jsonb_array_elements(p_answers) as a (answer))
  order by e.id
  for update;
  perform billing_private.lock_effects(array(select (a.answer ->> 'id')::bigint from jsonb_array_elements(p_answers) as a (answer)));
  if not exists (
    select
    from jsonb_array_elements(p_answers) as a (answer)
    join billing.outbox as o on o.id = (a.answer ->> 'id')::bigint and o.claim_id = p_claim_id
  ) then
    return jsonb_build_object();
  end if;

  -- The answer speaks for the whole batch: what of it waits to try again, gave up not knowing, or was withheld meanwhile, is done as well.
  update billing.outbox as o
  set status = 'delivered', withheld_reason = null, claim_id = null, locked_until = null, last_error = null, finished_at = p_now
  where o.id = any (sent) and (o.claim_id = p_claim_id or o.status in ('pending', 'dead', 'withheld'));
  get diagnostics delivered = row_count;
  update billing.emails as e
  set
    resend_id = a.answer ->> 'resend_id',
    unknown_since = null,
    sent_at = coalesce(e.sent_at, p_now),
    status = case e.status when 'pending' then 'sent' else e.status end,
    status_at = case e.status when 'pending' then p_now else e.status_at end
  from jsonb_array_elements(p_answers) as a (answer)
  where e.outbox_id = (a.answer ->> 'id')::bigint and a.answer ? 'resend_id';

  for refused in
    select (a.answer ->> 'id')::bigint as id, a.answer -> 'refusal' as error
    from jsonb_array_elements(p_answers) as a (answer)
    where a.answer ? 'refusal'
  loop
    update billing.emails as e
    set batch_id = null, batch_position = null, unknown_since = null
    where e.outbox_id = refused.id and e.status = 'pending';
    dead := dead + (billing.fail_outbox(refused.id, p_claim_id, refused.error, null, true, p_now) = 'dead')::integer;
  end loop;
  return jsonb_build_object('delivered', delivered, 'dead', dead);
end;
$$;

comment on function billing.finish_emails is
  'Records what Resend answered to a request it took: [{id, resend_id}, …], or {id, refusal} for a mail of a batch that it would not have, which dies. Returns how many effects came to which end; {}: every claim was lost, and nothing was changed.';

grant execute on function
  billing.begin_emails(uuid, jsonb, text, timestamptz),
  billing.finish_emails(uuid, jsonb, timestamptz)
to service_role;
