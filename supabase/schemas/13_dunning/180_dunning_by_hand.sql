-- Dunning by hand: what people may do about a case, audited; and what would happen if nobody did anything.
-- Reads: dunning facts. Writes: dunning cases and holds, audit_events. Called by: operators.

create function billing_private.lock_open_case(p_case_id bigint)
returns billing.dunning_cases
language plpgsql
set search_path = ''
as $$
declare
  known billing.dunning_cases;
begin
  select * into known from billing.dunning_cases as c where c.id = p_case_id;
  if not found then
    perform billing_private.raise_error('DU042', format('there is no dunning case %s', coalesce(p_case_id::text, 'null')));
  end if;
  perform billing_private.lock_customers(array[known.customer]);
  select * into known from billing.dunning_cases as c where c.id = p_case_id;
  if known.status = 'closed' then
    perform billing_private.raise_error('DU043', format('dunning case %s was closed on %s: %s', known.id, known.closed_at, known.outcome));
  end if;
  return known;
end;
$$;

comment on function billing_private.lock_open_case is 'An open case, with its customer''s turn taken. Raises DU042, DU043.';

create function billing_private.audit_operator_action(p_action text, p_subject text, p_customer text, p_detail jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.audit(p_action, 'operator', p_subject, p_customer, jsonb_strip_nulls(p_detail), p_now);
end;
$$;

comment on function billing_private.audit_operator_action is 'Leaves an audit event of what a person did.';

create function billing.open_dunning(p_subject_id text, p_now timestamptz default now())
returns bigint
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
as $$
declare
  customer text;
  opened bigint;
begin
  select v.customer
  into customer
  from billing_private.overdue_invoices as v
  where v.subject_id = p_subject_id and v.overdue_since <= p_now
  limit 1;
  if not found then
    perform billing_private.raise_error('DU044', format('nothing of %s is overdue', coalesce(p_subject_id, 'null')));
  end if;
  perform billing_private.lock_customers(array[customer]);
  -- What an earlier case was closed about may be dunned again, since a person says so.
  delete from billing.dunning_case_invoices as k
  using billing_private.overdue_invoices as v, billing.dunning_cases as c
  where k.invoice = v.invoice and v.subject_id = p_subject_id and c.id = k.case_id and c.status = 'closed';
  insert into billing_private.known_debts as d (invoice, known_at, released_at)
  select v.invoice, p_now, p_now
  from billing_private.overdue_invoices as v
  where v.subject_id = p_subject_id
    and v.overdue_since <= p_now
    and not exists (select from billing.dunning_case_invoices as k where k.invoice = v.invoice)
  on conflict (invoice) do update set released_at = excluded.released_at;
  perform billing_private.open_dunning_cases(customer, p_now);
  select c.id into opened from billing.dunning_cases as c where c.subject_id = p_subject_id and c.status = 'open';
  if opened is null then
    perform billing_private.raise_error('DU044', format('what is overdue of %s is below the minimum of its policy', p_subject_id));
  end if;
  perform billing_private.audit_operator_action('dunning.opened_by_hand', p_subject_id, customer, jsonb_build_object('case', opened), p_now);
  perform billing_private.enqueue_dunning_evaluation(customer, 'opened:' || opened, p_now);
  return opened;
end;
$$;

comment on function billing.open_dunning is
  'Opens a case about what is overdue of a subscription, or of an invoice without one, also where an earlier case was closed about it or it was overdue before settings.adopted_at; its days count from now on. Returns its id, or that of the open one; raises DU044.';

create function billing.close_dunning(p_case_id bigint, p_reason text, p_now timestamptz default now())
returns void
language plpgsql
-- Definer: see open_dunning.
security definer
set search_path = ''
as $$
declare
  known constant billing.dunning_cases := billing_private.lock_open_case(p_case_id);
begin
  -- What somebody wrote is kept where it can be taken out again (see forget_user), not in the audit trail.
  perform billing_private.audit_operator_action(
    'dunning.closed_by_hand', known.subject_id, known.customer, jsonb_build_object('case', known.id), p_now
  );
  perform billing_private.close_dunning_case(known, 'closed_by_hand', p_now);
  -- It may have been the last thing owed of what was paused, and paid in part.
  perform billing_private.plan_resumption(known.subscription, p_now);
  update billing.dunning_cases as c set note = p_reason where c.id = known.id;
end;
$$;

comment on function billing.close_dunning is
  'Closes a case and cancels its pending mail; its invoices are not dunned again unless billing.open_dunning says so. Raises DU042, DU043.';

create function billing_private.add_dunning_hold(p_customer text, p_case_id bigint, p_subject text, p_reason text, p_until timestamptz, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if coalesce(btrim(p_reason), '') = '' or p_until <= p_now then
    perform billing_private.raise_error(
      'DU045', format('cannot hold %s until %s for reason %L', p_subject, coalesce(p_until::text, 'released'), p_reason)
    );
  end if;
  insert into billing.dunning_holds (customer, case_id, reason, held_at, held_until)
  values (p_customer, p_case_id, p_reason, p_now, p_until);
  perform billing_private.audit_operator_action(
    'dunning.held_by_hand', p_subject, p_customer, jsonb_build_object('case', p_case_id, 'until', p_until), p_now
  );
end;
$$;

comment on function billing_private.add_dunning_hold is 'Keeps dunning away from a case, or from a customer where p_case_id is null. Raises DU045.';

create function billing.hold_dunning(p_case_id bigint, p_reason text, p_until timestamptz default null, p_now timestamptz default now())
returns void
language plpgsql
-- Definer: see open_dunning.
security definer
set search_path = ''
as $$
declare
  known constant billing.dunning_cases := billing_private.lock_open_case(p_case_id);
begin
  perform billing_private.add_dunning_hold(known.customer, known.id, known.subject_id, p_reason, p_until, p_now);
  perform billing_private.withdraw_dunning_mail(known.id, 'held: ' || p_reason, p_now);
  update billing.dunning_cases as c set holds = array(select distinct h from unnest(c.holds || array['manual']) as h order by h) where c.id = known.id;
end;
$$;

comment on function billing.hold_dunning is
  'Holds a case: no step is taken until it is released, or until p_until (UTC); mail that waits is canceled. Days go on counting. Raises DU042, DU043, DU045.';

create function billing.exclude_from_dunning(p_customer text, p_reason text, p_until timestamptz default null, p_now timestamptz default now())
returns void
language plpgsql
-- Definer: see open_dunning.
security definer
set search_path = ''
as $$
begin
  perform billing_private.lock_customers(array[p_customer]);
  perform billing_private.add_dunning_hold(p_customer, null, p_customer, p_reason, p_until, p_now);
  perform billing_private.withdraw_dunning_mail(c.id, 'the customer is excluded: ' || p_reason, p_now)
  from billing.dunning_cases as c
  where c.customer = p_customer and c.status = 'open';
  update billing.dunning_cases as c
  set holds = array(select distinct h from unnest(c.holds || array['excluded_customer']) as h order by h)
  where c.customer = p_customer and c.status = 'open';
end;
$$;

comment on function billing.exclude_from_dunning is
  'Keeps dunning away from a customer, with all cases there are and will be, until it is released, or until p_until (UTC). Raises DU045.';

create function billing.release_dunning(p_case_id bigint default null, p_customer text default null, p_now timestamptz default now())
returns integer
language plpgsql
-- Definer: see open_dunning.
security definer
set search_path = ''
as $$
declare
  known billing.dunning_cases;
  held_customer text := p_customer;
  released integer;
begin
  if p_case_id is not null then
    known := billing_private.lock_open_case(p_case_id);
    held_customer := known.customer;
  end if;
  perform billing_private.lock_customers(array[held_customer]);
  update billing.dunning_holds as h
  set released_at = p_now
  where h.customer = held_customer and h.released_at is null and h.case_id is not distinct from p_case_id;
  get diagnostics released = row_count;
  if released > 0 then
    perform billing_private.audit_operator_action(
      'dunning.released_by_hand', coalesce(known.subject_id, held_customer), held_customer, jsonb_build_object('case', p_case_id), p_now
    );
    update billing.dunning_cases as c
    set holds = array_remove(c.holds, case when p_case_id is null then 'excluded_customer' else 'manual' end)
    where c.customer = held_customer and c.status = 'open' and (p_case_id is null or c.id = p_case_id);
    perform billing_private.enqueue_dunning_evaluation(held_customer, 'released:' || extract(epoch from p_now)::text, p_now);
  end if;
  return released;
end;
$$;

comment on function billing.release_dunning is
  'Releases a case that was held, or (p_customer) a customer that was excluded; what is due is done at once. Returns how many holds ended. Raises DU042, DU043.';

create function billing.dunning_preview(p_now timestamptz default now())
returns table (
  customer text, email text, subject_id text, case_id bigint, step text, due_at timestamptz, anchor_at timestamptz, amount bigint,
  currency text, held_by text[], would text
)
language sql
stable
-- Definer: it reads private functions; service_role may read all it shows.
security definer
set search_path = ''
as $$
  with found as (
    -- Overdue without a case yet: the run would open one.
    select
      v.customer, v.subject_id, v.subscription, billing_private.dunning_policy_of(v.customer, min(v.billed_subscription)) as policy_id,
      min(v.overdue_since) as anchor_at, array_agg(v.invoice order by v.overdue_since, v.invoice) as invoices,
      (array_agg(greatest(v.overdue_since, coalesce(d.known_at, p_now)) order by v.overdue_since, v.invoice))[1] as ladder_from,
      min(v.currency) as currency, sum(v.amount_remaining)::bigint as amount
    from billing_private.overdue_invoices as v
    left join billing_private.known_debts as d on d.invoice = v.invoice
    where v.overdue_since <= p_now and not billing_private.is_old_debt(v.invoice, v.overdue_since)
      and not exists (select from billing.dunning_case_invoices as k where k.invoice = v.invoice)
      and not exists (select from billing.dunning_cases as c where c.subject_id = v.subject_id and c.status = 'open')
    group by v.customer, v.subject_id, v.subscription
  ),
  facts as (
    select f as fact
    from billing_private.dunning_facts(array(select distinct c.customer from billing.dunning_cases as c where c.status = 'open'), p_now) as f
    -- The run has an end made at noon of its day.
    where f.due is not null or (f.is_warned and f.ends_at <= p_now + interval '24 hours')
    union all
    select row(
      null, n.subject_id, n.customer, n.subscription, n.policy_id, l.days, l.kinds, l.end_action, n.invoices[1], n.anchor_at,
      n.ladder_from, n.currency, n.amount, n.invoices, 0, null, null, null, null, false, false, null, false, false, false, null, 1
    )::billing_private.dunning_fact
    from found as n
    join billing_private.dunning_ladders as l on l.policy_id = n.policy_id
    join billing.dunning_policies as p on p.id = n.policy_id and n.amount >= coalesce((p.minimum_amounts ->> n.currency)::bigint, 0)
    where billing_private.due_dunning_step(l.days, l.kinds, n.ladder_from, 0, null, null, p_now) = 1
  ),
  steps as (
    select
      f.*, f.kinds[coalesce(f.due, cardinality(f.kinds))] as step, f.ladder_from + f.days[f.due] * interval '24 hours' as day_of_step,
      billing_private.dunning_obstacles(t.fact, p_now) as held_by,
      'payment-failed-' || case f.kinds[coalesce(f.due, cardinality(f.kinds))] when 'notice' then 'notice' when 'urgent_reminder' then 'urgent' else 'final' end as template
    from facts as t
    cross join lateral (select (t.fact).*) as f
  )
  select
    s.customer, (select u.email from billing.customers as u where u.id = s.customer), s.subject_id, s.case_id, s.step,
    case when s.step = 'end' then s.ends_at else s.day_of_step end,
    s.anchor_at, s.amount, s.currency, s.held_by,
    case
      when s.held_by <> '{}' then 'wait: ' || array_to_string(s.held_by, ', ')
      when s.step in ('final_warning', 'end') and billing_private.is_final_bill(s.subject_id, s.subscription) then
        'pass over the step: the subscription has ended already'
      when s.step = 'end' and s.subscription is null and s.end_action in ('cancel', 'pause') then 'close the case and leave the invoice open'
      when s.step = 'end' then case s.end_action
        when 'cancel' then 'cancel ' || s.subject_id
        when 'pause' then 'pause ' || s.subject_id
        when 'mark_uncollectible' then 'mark the invoices uncollectible'
        else 'close the case and leave all as it is'
      end
      when s.template = any ((select x.emails_off from billing.settings as x)::text[]) then 'pass over ' || s.template || ', which is switched off'
      when s.step = 'notice' and billing_private.is_confirmation_requested(s.anchor_invoice) then 'pass over the notice: the bank asks the customer'
      when s.case_id is null then 'open a case and send ' || s.template
      when s.step = 'urgent_reminder'
        and bool_or(s.step = 'final_warning' and s.held_by = '{}' and s.subscription is not null) over (partition by s.customer, s.currency)
      then 'wait a day: a final warning leaves'
      else 'send ' || s.template
    end
  from steps as s
  order by 6, s.customer, s.subject_id;
$$;

comment on function billing.dunning_preview is
  'Who would get what if the daily run came at p_now (UTC): one row per subject with a step due, or an end within the next 24 hours, what holds it, and in plain words what would be done. By what is known here; the run reads Stripe first. Amounts in minor units. Changes nothing.';

grant execute on function
  billing.open_dunning(text, timestamptz),
  billing.close_dunning(bigint, text, timestamptz),
  billing.hold_dunning(bigint, text, timestamptz, timestamptz),
  billing.exclude_from_dunning(text, text, timestamptz, timestamptz),
  billing.release_dunning(bigint, text, timestamptz),
  billing.dunning_preview(timestamptz)
to service_role;
