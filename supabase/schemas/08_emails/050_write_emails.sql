-- Write: what becomes of an enqueued email before it can be sent. Either there is an obstacle, or it is written:
-- from what was owed, what is known by now, and whose emails these are.
-- Reads: emails, customers, payments, settings. Writes: outbox, audit_events, job_problems. Called by: duebase-deliver.

create function billing_private.prepare_email(p_effect billing.outbox, p_sender text, p_now timestamptz)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  email billing.emails;
  recipient record;
  decided record;
begin
  select * into email from billing.emails as e where e.outbox_id = p_effect.id;
  if found and email.status <> 'pending' then
    perform billing.complete_outbox(p_effect.id, p_effect.claim_id, p_now);
    return null;
  elsif found and email.unknown_since < p_now - interval '23 hours' then
    perform billing.fail_outbox(
      p_effect.id, p_effect.claim_id,
      jsonb_build_object('code', 'outcome_unknown', 'message', format(
        'Resend was given this mail at %s and never answered. Look there for the tag duebase_email = %s; if it is not there, replay.',
        email.unknown_since, email.tag
      )),
      null, true, p_now
    );
    return null;
  elsif (p_effect.payload ->> 'not_after')::timestamptz <= p_now and (email.id is null or email.unknown_since is null) then
    perform billing_private.skip_email(p_effect, 'out_of_date', p_now);
    return null;
  elsif email.id is not null then
    return jsonb_strip_nulls(jsonb_build_object('id', p_effect.id, 'batch', email.batch_id));
  end if;

  recipient := billing_private.email_recipient(p_effect);
  if recipient.obstacle = 'customer_unknown' and p_effect.created_at > p_now - interval '10 minutes' then
    -- Its own event may still be on the way.
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '1 minute', p_now);
    return null;
  elsif recipient.obstacle is not null then
    perform billing_private.skip_email(p_effect, recipient.obstacle, p_now);
    return null;
  elsif (p_effect.payload ->> 'not_after')::timestamptz <= p_now and (select s.livemode from billing.settings as s) then
    perform billing_private.skip_email(p_effect, 'too_late', p_now);
    return null;
  elsif p_sender is null then
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '5 minutes', p_now);
    return null;
  elsif billing_private.is_stale_mail(p_effect, p_now) then
    perform billing_private.withhold_as(p_effect.id, 'stale', p_now);
    return null;
  elsif billing_private.awaits_payment_record(p_effect, p_now) then
    perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '30 seconds', p_now);
    return null;
  elsif p_effect.payload ? 'after_failure_mail_of' then
    case billing_private.failure_mail_state((p_effect.payload ->> 'after_failure_mail_of')::bigint, p_now)
      when 'unknown' then
        perform billing.release_outbox(array[p_effect.id], p_effect.claim_id, interval '1 minute', p_now);
        return null;
      when 'none' then
        if billing_private.turn_into_receipt(p_effect) is null then
          perform billing_private.skip_email(p_effect, 'no_failure_mail', p_now);
          return null;
        end if;
        select * into p_effect from billing.outbox as o where o.id = p_effect.id;
      else null;
    end case;
  end if;
  decided := billing_private.decide_email(p_effect, p_now);
  if decided.obstacle is not null then
    perform billing_private.skip_email(p_effect, decided.obstacle, p_now);
    return null;
  end if;
  return jsonb_build_object(
    'id', p_effect.id,
    'render', jsonb_build_object(
      'template', p_effect.payload ->> 'template',
      'props', billing_private.fill_email_props(p_effect.payload || jsonb_build_object('props', decided.props)),
      'locales', to_jsonb(recipient.locales),
      'brand', billing_private.email_brand()
    )
  ) || case when billing_private.email_attachment(p_effect) is null then '{}' else '{"alone": true}' end::jsonb;
end;
$$;

comment on function billing_private.prepare_email is
  'What a claimed email needs next: {id, render} to be written (with alone: not into a batch), {id, batch} to be sent as it is kept; null when it is dealt with: sent already, not wanted, not possible yet, stale, or of an outcome that cannot be known any more.';

create function billing_private.keep_claimed_mails(p_ids bigint[], p_claim_id uuid, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  here constant text := billing_private.mode_here(true);
begin
  if here = 'live' then
    return true;
  elsif here = 'copy' then
    perform billing.release_outbox(p_ids, p_claim_id, interval '5 minutes', p_now);
    return false;
  end if;
  perform billing_private.withhold_as(o.id, billing_private.mirror_reason(), p_now)
  from billing.outbox as o
  where o.id = any (p_ids) and o.claim_id = p_claim_id
  order by o.id;
  return false;
end;
$$;

comment on function billing_private.keep_claimed_mails is
  'Whether claimed mails, whose rows the caller has locked, are still to be sent. False: the project is in mirror mode now, and they were withheld; of a mail whose attempt has begun before, the outcome stays unknown.';

create function billing.prepare_emails(
  p_ids bigint[], p_claim_id uuid, p_default_sender text default null, p_now timestamptz default now()
)
returns jsonb
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  sender constant text := coalesce((select nullif(btrim(s.email_from), '') from billing.settings as s), nullif(btrim(p_default_sender), ''));
  problem constant text := billing_private.email_problem(sender);
  effect billing.outbox;
  step jsonb;
  steps jsonb := jsonb_build_array();
begin
  perform billing_private.lock_effects(p_ids);
  if not billing_private.keep_claimed_mails(p_ids, p_claim_id, p_now) then
    return steps;
  end if;
  for effect in
    select *
    from billing.outbox as o
    where o.id = any (p_ids) and o.claim_id = p_claim_id and o.kind = 'email'
    order by o.run_after, o.id
  loop
    step := billing_private.prepare_email(effect, case when problem is null then sender end, p_now);
    if step is not null then
      steps := steps || jsonb_build_array(step);
    end if;
  end loop;
  perform billing_private.record_job_problem('email', problem, p_now);
  return steps;
end;
$$;

comment on function billing.prepare_emails is
  'What each of a worker''s claimed emails needs next, in order: [{id, render: {template, props, locales, brand}}, {id}, {id, batch}, …]. Those not listed are dealt with.';

grant execute on function billing.prepare_emails(bigint[], uuid, text, timestamptz) to service_role;
