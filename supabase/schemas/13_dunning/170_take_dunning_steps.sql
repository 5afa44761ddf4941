-- Dunning steps: under the customer's lock, after what it is about was read from Stripe, the step that is due is taken.
-- Reads: dunning facts, invoices. Writes: dunning_cases, and through take_dunning_mails dunning_actions and outbox.
-- Called by: duebase-deliver and duebase-dunning.

create function billing_private.record_dunning_obstacles(p_fact billing_private.dunning_fact, p_obstacles text[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  known billing.dunning_cases;
begin
  select * into known from billing.dunning_cases as c where c.id = p_fact.case_id;
  if known.holds = p_obstacles then
    return;
  end if;
  update billing.dunning_cases as c set holds = p_obstacles where c.id = p_fact.case_id;
  perform billing_private.audit_dunning_case(
    known, case when p_obstacles = '{}' then 'dunning.released' else 'dunning.held' end,
    jsonb_build_object('holds', p_obstacles, 'before', known.holds), p_now
  );
  if 'undeliverable_address' = any (p_obstacles) and not 'undeliverable_address' = any (known.holds) then
    perform billing_private.alert(
      'dunning_undeliverable', jsonb_build_object('case', known.id, 'customer', known.customer, 'step', p_fact.kinds[p_fact.due]), p_now
    );
  end if;
end;
$$;

comment on function billing_private.record_dunning_obstacles is 'Keeps, and audits when it changes, what holds a case. A person is alerted of one whose customer no mail reaches.';

create function billing_private.unread_of_dunning(p_facts billing_private.dunning_fact[], p_checked text[])
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(distinct jsonb_build_object('object', o.object, 'id', o.id))
    from unnest(p_facts) as f
    cross join lateral (
      select 'customer' as object, f.customer as id
      union all
      select 'subscription', f.subscription
      union all
      select 'invoice', i.invoice from unnest(f.invoices) as i (invoice)
    ) as o
    where o.id is not null and o.id <> all (coalesce(p_checked, '{}'))
  );
end;
$$;

comment on function billing_private.unread_of_dunning is
  'What some cases are about and has not been read from Stripe yet: [{object, id}, …]; null when all has been.';

create function billing.take_dunning_steps(p_customer text, p_checked text[] default '{}', p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
-- See project_event.
set lock_timeout = '3s'
as $$
declare
  facts billing_private.dunning_fact[];
  fact billing_private.dunning_fact;
  ready billing_private.dunning_fact[] := array[]::billing_private.dunning_fact[];
  obstacles text[];
  counts jsonb := jsonb_build_object('opened', 0, 'closed', 0, 'mails', 0, 'ends', 0, 'held', 0);
begin
  if billing_private.mode_here(true) <> 'live' then
    return counts;
  end if;
  perform billing_private.lock_customers(array[p_customer]);
  counts := counts || jsonb_build_object(
    'opened', billing_private.open_dunning_cases(p_customer, p_now)::integer,
    'closed', billing_private.close_dunning_cases_if_over(p_customer, p_now)
  );
  perform billing_private.record_told_steps(p_customer, p_now);
  perform billing_private.charge_new_cards(p_customer, p_now);
  perform billing_private.plan_resumptions(p_customer, p_now);
  select array_agg(f order by f.case_id)
  into facts
  from billing_private.dunning_facts(array[p_customer], p_now) as f
  where f.due is not null;
  if facts is null then
    return counts;
  elsif billing_private.unread_of_dunning(facts, p_checked) is not null then
    return jsonb_build_object('read', billing_private.unread_of_dunning(facts, p_checked));
  end if;

  foreach fact in array facts loop
    obstacles := billing_private.dunning_obstacles(fact, p_now);
    perform billing_private.record_dunning_obstacles(fact, obstacles, p_now);
    if obstacles <> '{}' then
      counts := jsonb_set(counts, '{held}', to_jsonb((counts ->> 'held')::integer + 1));
    elsif fact.kinds[fact.due] in ('final_warning', 'end') and billing_private.is_final_bill(fact.subject_id, fact.subscription) then
      perform billing_private.record_dunning_step(
        fact, 'skipped', 'the subscription has ended already: there is nothing to warn of, and nothing to end', p_now
      );
    elsif fact.kinds[fact.due] = 'end' then
      perform billing_private.take_dunning_end(fact, p_now);
      counts := jsonb_set(counts, '{ends}', to_jsonb((counts ->> 'ends')::integer + 1));
    else
      ready := ready || fact;
    end if;
  end loop;
  return jsonb_set(counts, '{mails}', to_jsonb(billing_private.take_dunning_mails(ready, p_now)));
end;
$$;

comment on function billing.take_dunning_steps is
  'Takes whatever step is due of a customer''s cases at p_now, and plans the resumptions that are due. Returns {read: [{object, id}, …]} while something they are about is not among p_checked, the ids the caller has just read from Stripe and applied; else counts {opened, closed, mails, ends, held}. Safe any number of times and any number at once. In mirror mode it does nothing.';

grant execute on function billing.take_dunning_steps(text, text[], timestamptz) to service_role;
