-- Applying a page: the objects of one page of a list at Stripe, and how far the list has come, in one transaction.
-- It takes its locks as receive_events does: in front, in one order, and without waiting. What it cannot have leaves the page
-- and is sent alone; the cursor moves once all of the page is applied, so that no object is skipped.
-- Reads: the page. Writes: billing state, history_runs, history_steps, history_problems. Called by: duebase backfill, duebase-reconcile.

create function billing_private.history_locks_wanted(p_objects jsonb, p_read_at timestamptz, p_now timestamptz)
returns billing.stripe_events[]
language plpgsql
set search_path = ''
as $$
declare
  wanted billing.stripe_events[] := array[]::billing.stripe_events[];
  event billing.stripe_events;
  object jsonb;
begin
  for object in select o.value from jsonb_array_elements(p_objects) with ordinality as o (value, n) order by o.n loop
    event := billing_private.read_as_event(object, p_read_at, p_now);
    -- As locks_of_events and needs_own_transaction know events: by an id, and by the kind in their type.
    event.id := event.object_id;
    event.type := concat(object ->> 'object', '.read');
    wanted := wanted || event;
  end loop;
  return wanted;
end;
$$;

comment on function billing_private.history_locks_wanted is
  'The objects of a page as events, only to tell which locks they need.';

create function billing_private.apply_history_member(
  p_run_id bigint, p_step text, p_object jsonb, p_read_at timestamptz, p_now timestamptz, p_is_alone boolean
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  error_state text;
  error_message text;
  error_context text;
begin
  if exists (select from billing.history_runs as r where r.id = p_run_id and r.kind = 'comparison') then
    return billing_private.compare_object(p_run_id, p_object, p_read_at, p_now);
  end if;
  return billing_private.apply_history_object(p_object, p_read_at, p_now);
-- Not query_canceled, which is not among "others".
exception when others then
  get stacked diagnostics error_state = returned_sqlstate, error_message = message_text, error_context = pg_exception_context;
  -- A lost race is nothing to keep: the object is sent alone, and then again.
  if error_state in ('40001', '40P01', '55P03') then
    if p_is_alone then
      raise;
    end if;
    return 'left';
  end if;
  insert into billing.history_problems as p (run_id, object_id, step, error, found_at)
  values (
    p_run_id, coalesce(p_object ->> 'id', ''), p_step,
    jsonb_build_object('sqlstate', error_state, 'message', error_message, 'context', error_context), p_now
  )
  on conflict (run_id, object_id) do update set error = excluded.error, found_at = excluded.found_at;
  return 'failed';
end;
$$;

comment on function billing_private.apply_history_member is
  'Applies one object of a page in a subtransaction: one that cannot be applied is recorded in history_problems and holds up no other. Returns applied, stale, undecided, failed; left where its locks were not free.';

create function billing_private.apply_history_objects(
  p_run_id bigint, p_step text, p_objects jsonb, p_read_at timestamptz, p_now timestamptz
)
returns text[]
language plpgsql
set search_path = ''
as $$
declare
  -- Others wait for the locks of a page no longer than for those of one event: see project_event.
  no_more_after constant timestamptz := clock_timestamp() + interval '2 seconds';
  sent constant integer := jsonb_array_length(p_objects);
  admitted integer[] := array[1];
  outcomes text[] := array[]::text[];
begin
  if sent > 1 then
    select a.admitted
    into admitted
    from billing_private.admit_to_batch(billing_private.history_locks_wanted(p_objects, p_read_at, p_now)) as a;
  else
    perform set_config('lock_timeout', '3s', true);
  end if;
  for n in 1..sent loop
    outcomes := outcomes || case
      when n = any (admitted) and (sent = 1 or clock_timestamp() < no_more_after)
        then billing_private.apply_history_member(p_run_id, p_step, p_objects -> (n - 1), p_read_at, p_now, sent = 1)
      else 'left'
    end;
  end loop;
  return outcomes;
end;
$$;

comment on function billing_private.apply_history_objects is
  'Applies the objects of a page and returns an outcome for each, in their order.';

create function billing_private.begin_history_step(p_run_id bigint, p_step text, p_objects jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing.history_steps as s
  set status = 'running', started_at = coalesce(s.started_at, p_now)
  from billing.history_runs as r
  where s.run_id = p_run_id and s.step = p_step and s.status <> 'done' and r.id = s.run_id and r.status = 'running';
  if not found or jsonb_typeof(p_objects) is distinct from 'array' or jsonb_array_length(p_objects) > 100 then
    perform billing_private.raise_error('DU091', format('cannot apply a page of step %s of history run %s', p_step, p_run_id));
  end if;
end;
$$;

comment on function billing_private.begin_history_step is 'Marks a step as under way. Raises DU091 where it is not one to go on with, or the page is none.';

create function billing.apply_history(p_claim uuid, p_run_id bigint, p_step text, p_page jsonb, p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
-- See receive_events.
set lock_timeout = '20ms'
as $$
declare
  objects constant jsonb := coalesce(p_page -> 'objects', '[]');
  outcomes text[] := array[]::text[];
  is_whole boolean;
begin
  perform billing_private.renew_history_lease(p_claim, p_now);
  perform billing_private.begin_history_step(p_run_id, p_step, objects, p_now);
  if jsonb_array_length(objects) > 0 then
    outcomes := billing_private.apply_history_objects(p_run_id, p_step, objects, (p_page ->> 'read_at')::timestamptz, p_now);
  end if;
  is_whole := 'left' <> all (outcomes);

  update billing.history_steps as s
  set
    cursor = case when is_whole and p_page ? 'cursor' then p_page ->> 'cursor' else s.cursor end,
    status = case when is_whole and p_page -> 'is_last' = 'true' then 'done' else s.status end,
    finished_at = case when is_whole and p_page -> 'is_last' = 'true' then p_now end,
    pages = s.pages + case when is_whole then coalesce((p_page ->> 'pages')::integer, 0) else 0 end,
    objects = s.objects + c.objects,
    applied = s.applied + c.applied,
    stale = s.stale + c.stale,
    failed = s.failed + c.failed
  from (
    select
      count(*) filter (where o.outcome <> 'left') + coalesce((p_page ->> 'seen')::integer, 0) as objects,
      count(*) filter (where o.outcome = 'applied') + coalesce((p_page ->> 'found')::integer, 0) as applied,
      count(*) filter (where o.outcome in ('stale', 'undecided')) as stale,
      count(*) filter (where o.outcome = 'failed') as failed
    from unnest(outcomes) as o (outcome)
  ) as c
  where s.run_id = p_run_id and s.step = p_step;
  update billing.history_runs as r
  set progressed_at = p_now, problem = null, calls = r.calls + case when is_whole then coalesce((p_page ->> 'calls')::integer, 0) else 0 end
  where r.id = p_run_id;
  return to_jsonb(outcomes);
end;
$$;

comment on function billing.apply_history is
  'Applies a page of a history run: p_page is {objects, read_at, cursor, is_last, calls, pages}, objects up to 100 as Stripe answered them, read_at the time of that answer, cursor where the list goes on; seen and found count what was read and found otherwise. Returns an outcome for each object: applied; stale; undecided, it is read again; failed, see history_problems; left, its locks were not free or it needs a transaction of its own: send it alone, and then the cursor, which has not moved. Raises DU090, DU091.';

create function billing.customers_to_entitle(p_after text, p_limit integer default 100)
returns jsonb
language sql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(c.customer order by c.customer), '[]')
  from (
    select distinct s.customer collate "C" as customer
    from billing.subscriptions as s
    join billing.customers as u on u.id = s.customer and u.deleted_at is null
    where s.customer collate "C" > p_after and s.status in ('active', 'trialing', 'past_due', 'unpaid', 'paused')
    order by 1
    limit p_limit
  ) as c;
$$;

comment on function billing.customers_to_entitle is
  'For history runs: the next customers, after p_after, who have a running subscription, and so may have active entitlements at Stripe.';

create function billing.unread_customers(p_after text, p_limit integer default 100)
returns jsonb
language sql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(c.customer order by c.customer), '[]')
  from (
    select n.customer collate "C" as customer
    from (
      select s.customer from billing.subscriptions as s where s.status not in ('canceled', 'incomplete_expired')
      union
      select i.customer from billing.invoices as i where i.status = 'open'
    ) as n
    where n.customer collate "C" > p_after
      and n.customer like 'cus\_%'
      and not exists (select from billing.customers as u where u.id = n.customer and (u.created is not null or u.deleted_at is not null))
    order by 1
    limit p_limit
  ) as c;
$$;

comment on function billing.unread_customers is
  'For history runs: the next customers, after p_after, that a running subscription or an open invoice names and Stripe''s list left out, such as those under a test clock.';

create function billing.finish_history(p_claim uuid, p_run_id bigint, p_problem text default null, p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  failed bigint;
  begun billing.history_runs;
begin
  perform billing_private.renew_history_lease(p_claim, p_now);
  select count(*) into failed from billing.history_problems as p where p.run_id = p_run_id;
  update billing.history_runs as r
  set
    status = case when failed = 0 and p_problem is null then 'complete' else 'incomplete' end,
    finished_at = p_now,
    progressed_at = p_now,
    problem = concat_ws('; ', p_problem, case when failed > 0 then format('%s objects could not be applied: see billing.history_problems', failed) end)
  where r.id = p_run_id and r.status = 'running'
    and not exists (select from billing.history_steps as s where s.run_id = r.id and s.status <> 'done')
  returning * into begun;
  if begun.id is null then
    perform billing_private.raise_error('DU091', format('history run %s is not one that can end', p_run_id));
  end if;
  update billing.history_runs as r set problem = nullif(r.problem, '') where r.id = p_run_id;
  if begun.kind = 'events' then
    perform billing_private.forget_drift_of_late_events(p_now);
    perform billing_private.report_missed_webhooks(p_run_id, p_now);
  elsif begun.kind = 'comparison' then
    -- What neither runs nor is owed any more was in no list, and is compared no more.
    delete from billing_private.compared_objects as c where c.run_id <> p_run_id;
  elsif begun.kind = 'backfill' then
    perform billing_private.audit('history.read', 'system', null, null, jsonb_build_object('run', p_run_id, 'status', begun.status), p_now);
  end if;
  return billing.history_state(begun.kind);
end;
$$;

comment on function billing.finish_history is
  'Ends a history run all of whose steps are done: complete, or incomplete where an object could not be applied or p_problem says so. Returns it as history_state does. Raises DU090, DU091.';

grant execute on function
  billing.apply_history(uuid, bigint, text, jsonb, timestamptz),
  billing.customers_to_entitle(text, integer),
  billing.unread_customers(text, integer),
  billing.finish_history(uuid, bigint, text, timestamptz)
to service_role;
