-- Dunning by hand: what people may do about a case, audited.
-- Reads: dunning facts. Writes: dunning cases and holds, known_debts, audit_events. Called by: operators.

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

comment on function billing_private.lock_open_case is 'An open case, with its customer''s lock taken. Raises DU042, DU043.';

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
  perform billing_private.require_live_mode(p_is_for_functions => false);
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
  'Opens a case about what is overdue of a subscription, or of an invoice without one, also where an earlier case was closed about it or it was overdue before settings.adopted_at; its days count from now on. Returns its id, or that of the open one; raises DU044, and DU080 in mirror mode.';

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

grant execute on function
  billing.open_dunning(text, timestamptz),
  billing.close_dunning(bigint, text, timestamptz),
  billing.hold_dunning(bigint, text, timestamptz, timestamptz),
  billing.exclude_from_dunning(text, text, timestamptz, timestamptz),
  billing.release_dunning(bigint, text, timestamptz)
to service_role;
