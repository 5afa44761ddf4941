-- Taking a step: it is recorded that it was taken, and its mail or its end is enqueued.
-- Reads: dunning facts, policies, outbox. Writes: dunning_actions, outbox. Called by: take_dunning_steps.

create function billing_private.record_dunning_step(
  p_fact billing_private.dunning_fact, p_status text, p_note text, p_now timestamptz
)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  action bigint;
  step_kind constant text := p_fact.kinds[p_fact.due];
begin
  -- An earlier attempt failed or is stale: the new step replaces it, even where a late report says that it was sent.
  update billing.dunning_actions as d
  set superseded_at = p_now
  where d.case_id = p_fact.case_id
    and d.position = p_fact.due
    and d.superseded_at is null
    and p_fact.anchor_invoice = any (d.invoices);
  -- Earlier steps that were due too are skipped.
  insert into billing.dunning_actions
    (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, note)
  select
    p_fact.case_id, s.position, p_fact.kinds[s.position], p_fact.anchor_invoice, p_fact.invoices, 'skipped',
    p_fact.ladder_from + p_fact.days[s.position] * interval '24 hours', p_now, p_now, step_kind || ' was due too'
  from generate_series(p_fact.taken + 1, p_fact.due - 1) as s (position);

  insert into billing.dunning_actions
    (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, ends_at, note)
  values (
    p_fact.case_id, p_fact.due, step_kind, p_fact.anchor_invoice, p_fact.invoices, p_status,
    -- The end of a final invoice is no end: it has the day of its step.
    coalesce(case when step_kind = 'end' then p_fact.ends_at end, p_fact.ladder_from + p_fact.days[p_fact.due] * interval '24 hours'),
    p_now, case when p_status <> 'planned' then p_now end, p_fact.ends_at, p_note
  )
  returning id into action;

  perform billing_private.audit(
    'dunning.' || step_kind, 'system', p_fact.subject_id, p_fact.customer,
    jsonb_strip_nulls(jsonb_build_object(
      'case', p_fact.case_id, 'status', p_status, 'note', p_note, 'invoices', p_fact.invoices, 'amount', p_fact.amount,
      'currency', p_fact.currency, 'skipped', nullif(p_fact.kinds[p_fact.taken + 1 : p_fact.due - 1], '{}')
    )),
    p_now
  );
  return action;
end;
$$;

comment on function billing_private.record_dunning_step is
  'Records that the due step of a case was taken, that lower steps which were due too were skipped, and that earlier attempts at this step no longer count. Returns the action''s id.';

create function billing_private.link_dunning_actions(p_actions bigint[], p_dedupe_key text)
returns void
language sql
set search_path = ''
as $$
  update billing.dunning_actions as d
  set
    outbox_id = o.id,
    -- The mode was changed at the same time.
    status = case o.status when 'withheld' then 'canceled' else d.status end,
    finished_at = case o.status when 'withheld' then greatest(o.finished_at, d.decided_at) else d.finished_at end,
    note = case o.status when 'withheld' then 'withheld: ' || o.withheld_reason else d.note end
  from billing.outbox as o
  where o.dedupe_key = p_dedupe_key and d.id = any (p_actions);
$$;

comment on function billing_private.link_dunning_actions is 'Says of planned actions by which effect they are performed; one that was withheld at once is not.';

create function billing_private.take_dunning_mail(p_facts billing_private.dunning_fact[], p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  fact billing_private.dunning_fact;
  kind text;
  template text;
  actions bigint[] := array[]::bigint[];
  -- A mail that names a last day which is over is of no use.
  last_day_is_over constant timestamptz := (select min(f.ends_at) - interval '12 hours' from unnest(p_facts) as f);
  -- Before the steps are recorded: an attempt that is recorded counts.
  tells constant jsonb := (select jsonb_agg(billing_private.next_step_fact(f, f.due)) from unnest(p_facts) as f);
  instead constant boolean := (select bool_and(billing_private.is_confirmation_requested(f.anchor_invoice)) from unnest(p_facts) as f);
begin
  kind := p_facts[1].kinds[p_facts[1].due];
  template := case kind
    when 'notice' then 'payment-failed-notice'
    when 'urgent_reminder' then 'payment-failed-urgent'
    else 'payment-failed-final'
  end;
  if kind = 'notice' and instead then
    perform billing_private.record_dunning_step(f, 'skipped', 'the customer is asked to confirm the payment instead', p_now)
    from unnest(p_facts) as f;
    return false;
  elsif template = any ((select s.emails_off from billing.settings as s)::text[]) then
    perform billing_private.record_dunning_step(f, 'switched_off', template || ' is switched off in settings', p_now)
    from unnest(p_facts) as f;
    return false;
  end if;

  foreach fact in array p_facts loop
    actions := actions || billing_private.record_dunning_step(fact, 'planned', null, p_now);
  end loop;
  fact := p_facts[1];
  perform billing_private.enqueue_email_to(
    fact.customer, p_now, template, 'dunning:' || actions[1],
    jsonb_build_object('invoice', fact.anchor_invoice, 'subscription', fact.subscription, 'not_after', last_day_is_over, 'tells', tells),
    billing_private.dunning_mail_props(p_facts, p_now), p_now
  );
  perform billing_private.link_dunning_actions(actions, 'dunning:' || actions[1]);
  return true;
end;
$$;

comment on function billing_private.take_dunning_mail is
  'Takes the due steps, all of one kind, of some cases of one customer and currency with one mail. Returns whether there is one: not where it is switched off, or a confirmation is asked for instead.';

create function billing_private.take_dunning_mails(p_facts billing_private.dunning_fact[], p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  owed_currency text;
  kind text;
  together billing_private.dunning_fact[];
  mails integer := 0;
  is_reminded boolean;
begin
  for owed_currency in select distinct f.currency from unnest(p_facts) as f order by 1 loop
    is_reminded := false;
    foreach kind in array array['final_warning', 'urgent_reminder', 'notice'] loop
      together := array(select f from unnest(p_facts) as f where f.currency = owed_currency and f.kinds[f.due] = kind order by f.case_id);
      -- After a more severe reminder a milder one waits 20 hours. A notice does not wait.
      continue when together = '{}' or (is_reminded and kind <> 'notice');
      if billing_private.take_dunning_mail(together, p_now) then
        mails := mails + 1;
        is_reminded := true;
      end if;
    end loop;
  end loop;
  return mails;
end;
$$;

comment on function billing_private.take_dunning_mails is
  'Takes the due steps of some cases of a customer that are mails: one for each currency and severity, as only debts of equal severity are told of together. Of reminders the severest; the others are due again in 20 hours. Returns how many.';

create function billing_private.take_dunning_end(p_fact billing_private.dunning_fact, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  known billing.dunning_cases;
  action bigint;
  ends_with text;
begin
  select p.end_action into ends_with from billing.dunning_policies as p where p.id = p_fact.policy_id;
  if ends_with in ('cancel', 'pause') and not billing_private.end_removes_access(ends_with, p_fact.subscription) then
    ends_with := 'leave'; -- there is nothing to take away
  end if;
  if ends_with = 'leave' then
    action := billing_private.record_dunning_step(p_fact, 'done', 'left as it is', p_now);
    select * into known from billing.dunning_cases as c where c.id = p_fact.case_id;
    perform billing_private.close_dunning_case(known, 'ended', p_now);
    return;
  end if;
  action := billing_private.record_dunning_step(p_fact, 'planned', null, p_now);
  perform billing_private.enqueue(
    'dunning', 'dunning-end:' || action,
    jsonb_build_object('customer', p_fact.customer, 'end', action, 'not_before', p_now),
    least(p_now, clock_timestamp())
  );
  perform billing_private.link_dunning_actions(array[action], 'dunning-end:' || action);
end;
$$;

comment on function billing_private.take_dunning_end is
  'Decides that a case ends. The call to Stripe is enqueued, and checked again right before it is made.';
