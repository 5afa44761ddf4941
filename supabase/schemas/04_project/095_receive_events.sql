-- Receive many: what receive_event does for each event, and one commit for all of them.
-- A transaction that projects several events holds the locks of the first while it takes those of the next. So that no
-- two can deadlock, a batch takes what its events are known to need in front and in one order, and waits for nobody:
-- an event whose locks are not free leaves the batch, and its caller sends it alone.
-- Reads: the events, and the rows that tell which locks they take. Writes: what receive_event writes.
-- Called by: whoever has many events at once, through the Data API.

create function billing_private.needs_own_transaction(p_event billing.stripe_events)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  object constant jsonb := p_event.payload #> '{data,object}';
  previous constant jsonb := p_event.payload #> '{data,previous_attributes}';
  account constant text := coalesce(
    billing_private.stripe_id(object -> 'customer_account'), billing_private.stripe_id(previous -> 'customer_account')
  );
begin
  -- An edited plan is taken alone, against every customer who has it, and may change all of their rows.
  return p_event.type like 'product.%'
    or p_event.type like 'price.%'
    -- One of doctor's: receive_event undoes it.
    or p_event.type = 'duebase.probe'
    -- The first event to tell which customer an account is moves whatever was kept for the account.
    or account is not null
    and not exists (select from billing_private.customer_accounts as a where a.customer_account = account and a.is_moved);
end;
$$;

comment on function billing_private.needs_own_transaction is
  'Whether an event cannot be received in a batch: its projection takes locks that concern others than its customer.';

create function billing_private.payments_named_by(p_object jsonb)
returns text[]
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array[
    case when p_object ->> 'object' in ('payment_intent', 'charge', 'payment_record', 'invoice') then p_object ->> 'id' end,
    billing_private.stripe_id(p_object -> 'payment_intent'),
    billing_private.stripe_id(p_object -> 'charge'),
    billing_private.stripe_id(p_object -> 'latest_charge'),
    billing_private.stripe_id(p_object -> 'payment_record'),
    billing_private.stripe_id(p_object -> 'invoice'),
    billing_private.paying_object(p_object -> 'payment')
  ] || array(
    select billing_private.paying_object(p -> 'payment') from jsonb_path_query(p_object, 'lax $.payments.data[*]') as p
  );
end;
$$;

comment on function billing_private.payments_named_by is
  'Payments, and invoices they pay, that an object is or names, with nulls between them: their locks (7306) are taken when it is projected.';

create function billing_private.locks_of_events(p_events billing.stripe_events[])
returns table (n integer, class integer, key text, is_shared boolean)
language plpgsql
set search_path = ''
as $$
begin
  return query
  with event as materialized (
    select
      e.ordinality::integer as n, e.id, e.object_id, e.customer_id,
      e.payload #> '{data,object}' as object, e.payload #> '{data,previous_attributes}' as previous
    from unnest(p_events) with ordinality as e
    where e.id is not null
  ),
  payment as materialized (
    select distinct e.n, p.id
    from event as e
    cross join lateral unnest(billing_private.payments_named_by(e.object)) as p (id)
    where p.id is not null
  ),
  plan as (
    -- Of what customers have, and of what events say that they have: see lock_plans_shared.
    select e.n, i.price, i.product
    from event as e
    join billing.subscriptions as s on s.customer = e.customer_id
    join billing.subscription_items as i on i.subscription = s.id
    union all
    select e.n, billing_private.item_price(item), billing_private.item_product(item)
    from event as e
    cross join lateral jsonb_path_query(e.object, 'lax $.items.data[*]') as item
    where e.object ->> 'object' = 'subscription'
  )
  select e.n, 7309, coalesce(e.customer_id, billing_private.forgettable_subject(e.customer_id, e.object)), true from event as e
  union all
  select e.n, 7312, e.id, false from event as e
  union all
  select e.n, 7305, t.id, false
  from event as e
  cross join lateral unnest(array[
    coalesce(e.customer_id, e.object_id, e.id),
    billing_private.stripe_id(e.object -> 'customer_account'),
    billing_private.stripe_id(e.previous -> 'customer_account')
  ]) as t (id)
  union all
  select p.n, 7305, k.id, true from plan as p cross join lateral unnest(array[p.price, p.product]) as k (id)
  union all
  select p.n, 7306, p.id, false from payment as p
  union all
  -- Money that is known by a charge and belongs to a PaymentIntent: see payment_of_source.
  select p.n, 7306, s.payment_id, false
  from payment as p
  join billing_private.payment_sources as s on s.object_id = p.id and s.kind in ('charge', 'payment_record');
end;
$$;

comment on function billing_private.locks_of_events is
  'The advisory locks that receiving these events is known to take: n of the event, class and key as supabase/README.md lists them, the key as text (null: none). Of what only the rows of other events tell, it knows what is committed.';

create function billing_private.ordered_locks(p_events billing.stripe_events[], p_positions integer[])
returns table (class integer, key text, is_shared boolean, positions integer[])
language plpgsql
set search_path = ''
as $$
begin
  return query
    select l.class, l.key, l.is_shared, array_agg(distinct l.n order by l.n)
    from billing_private.locks_of_events(p_events) as l
    where l.key is not null and l.n = any (p_positions)
    group by l.class, l.key, l.is_shared
    order by array_position(array[7309, 7312, 7305, 7306], l.class), l.is_shared, l.key collate "C";
end;
$$;

comment on function billing_private.ordered_locks is
  'The locks that the events at these positions are known to need, in the one order in which all batches take them, each with the positions of those who need it.';

create function billing_private.admit_to_batch(
  p_events billing.stripe_events[], out admitted integer[], out follows integer[]
)
language plpgsql
set search_path = ''
as $$
declare
  needed record;
  are_free boolean;
begin
  admitted := array(
    select n
    from generate_subscripts(p_events, 1) as n
    where (p_events[n]).id is not null and not billing_private.needs_own_transaction(p_events[n])
  );
  begin
    -- Mostly all are free, and then one statement takes them.
    with tried as materialized (
      select
        l.positions,
        l.is_shared,
        case
          when l.is_shared then pg_try_advisory_xact_lock_shared(hashtextextended(l.key, l.class))
          else pg_try_advisory_xact_lock(hashtextextended(l.key, l.class))
        end as is_free
      from billing_private.ordered_locks(p_events, admitted) as l
    )
    select
      coalesce(bool_and(t.is_free), true),
      coalesce(
        array_agg(t.positions[p.i] * 1000 + t.positions[p.i - 1]) filter (where p.i is not null and not t.is_shared),
        array[]::integer[]
      )
    into are_free, follows
    from tried as t
    left join lateral generate_series(2, cardinality(t.positions)) as p (i) on true;
    if not are_free then
      raise exception 'not all locks of a batch are free' using errcode = 'triggered_action_exception';
    end if;
    return;
  exception when triggered_action_exception then
    null; -- given back, all of them
  end;
  for needed in select * from billing_private.ordered_locks(p_events, admitted) loop
    -- Whose events have left the batch by now is nobody's to hold up.
    continue when not needed.positions && admitted;
    if needed.is_shared then
      are_free := pg_try_advisory_xact_lock_shared(hashtextextended(needed.key, needed.class));
    else
      are_free := pg_try_advisory_xact_lock(hashtextextended(needed.key, needed.class));
    end if;
    if not are_free then
      admitted := array(select n from unnest(admitted) as n where n <> all (needed.positions));
    end if;
  end loop;
end;
$$;

comment on function billing_private.admit_to_batch is
  'Tries, in one order, every lock that the events of a batch are known to need, and holds what it got until commit. admitted: the positions of the events that have all of theirs; a null in the array is left out. follows: for each two events, one after the other, that need one lock alone: the later one''s position times 1000 plus the earlier one''s.';

create function billing_private.read_event_or_null(p_event jsonb, p_now timestamptz)
returns billing.stripe_events
language plpgsql
set search_path = ''
as $$
begin
  return billing_private.read_event(p_event, p_now);
exception when others then
  return null;
end;
$$;

comment on function billing_private.read_event_or_null is 'read_event, and null for what it refuses: whoever sends that alone is told why.';

create function billing_private.store_event_of_batch(p_event billing.stripe_events)
returns text
language plpgsql
set search_path = ''
as $$
declare
  outcome text;
  error jsonb;
begin
  outcome := billing_private.store_event(p_event);
  if outcome = 'failed' then
    select f.error into error from billing.failed_webhooks as f where f.event_id = p_event.id;
    -- Raised again: a lost race is nothing to keep, and the end of the statement's time is the end of the batch.
    if error ->> 'sqlstate' in ('40001', '40P01', '55P03', '57014') then
      raise exception using errcode = error ->> 'sqlstate', message = error ->> 'message';
    end if;
  end if;
  return outcome;
-- Not query_canceled, which is not among "others": nobody's timer would run for the rest of the batch.
exception when others then
  return 'retry_single';
end;
$$;

comment on function billing_private.store_event_of_batch is
  'store_event, and retry_single, with all of it undone, where it lost a race or could not be stored. Raises query_canceled where the statement has run out of time.';

create function billing_private.receive_wave(
  p_events billing.stripe_events[], p_positions integer[], p_answers text[], p_no_more_after timestamptz
)
returns text[]
language plpgsql
set search_path = ''
as $$
declare
  n integer;
begin
  if cardinality(p_positions) > 1 then
    begin
      perform billing_private.project_wave(array(select p_events[p.n] from unnest(p_positions) as p (n) order by p.n));
      foreach n in array p_positions loop
        p_answers[n] := 'processed';
      end loop;
      return p_answers;
    -- Which of them it is shows one by one.
    exception when others then
      null;
    end;
  end if;
  foreach n in array p_positions loop
    exit when clock_timestamp() >= p_no_more_after;
    p_answers[n] := coalesce(
      billing_private.store_event_of_batch(p_events[n]),
      billing_private.count_duplicate(p_events[n].id, p_events[n].received_at)
    );
  end loop;
  return p_answers;
end;
$$;

comment on function billing_private.receive_wave is
  'Receives the events of one wave: all together, and where that raises, with all of it undone, one by one. Returns the answers with theirs; those it had no time for have none.';

create function billing.receive_events(events jsonb, p_now timestamptz default now())
returns text[]
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
set plan_cache_mode = force_generic_plan
-- For what cannot be known in front, such as a row. Below PostgreSQL's deadlock_timeout (1 s), and so no circle of batches
-- lasts until it is found.
set lock_timeout = '20ms'
as $$
declare
  max_events constant integer := 100; -- a page of Stripe's event list; the server's table of locks has room for several
  -- Others wait for the locks of a batch no longer than for those of one event: see project_event.
  no_more_after constant timestamptz := clock_timestamp() + interval '2 seconds';
  sent constant integer := case jsonb_typeof(events) when 'array' then jsonb_array_length(events) end;
  incoming billing.stripe_events[];
  admission record;
  wave record;
  answers text[];
begin
  if sent is null or sent not between 1 and max_events then
    perform billing_private.raise_error(
      'DU032', format('expected an array of 1 to %s events, got %s', max_events, coalesce(sent::text || ' events', jsonb_typeof(events), 'null'))
    );
  end if;
  incoming := array(
    select billing_private.read_event_or_null(e.event, p_now)
    from jsonb_array_elements(events) with ordinality as e (event, position)
    order by e.position
  );
  admission := billing_private.admit_to_batch(incoming);
  -- As receive_event: by its id, before anything else of it is read.
  answers := array(
    select case
      when exists (select from billing.webhook_events as w where w.id = e.event ->> 'id')
        then billing_private.count_duplicate(e.event ->> 'id', p_now)
    end
    from jsonb_array_elements(events) with ordinality as e (event, position)
    order by e.position
  );
  -- For project_event, which has a lock_timeout of its own.
  perform set_config('duebase.lock_timeout', current_setting('lock_timeout'), true);
  for wave in
    select * from billing_private.waves_of_events(incoming, array(
      select n from unnest(admission.admitted) as n where answers[n] is null order by n
    ), admission.follows)
  loop
    exit when clock_timestamp() >= no_more_after;
    answers := billing_private.receive_wave(incoming, wave.positions, answers, no_more_after);
  end loop;
  perform set_config('duebase.lock_timeout', '', true);
  if clock_timestamp() > now() + interval '10 milliseconds' and answers && array['processed', 'failed', 'quarantined'] then
    perform billing_private.note_slow_events(p_now, (select count(*)::integer from unnest(answers) as a (answer) where a.answer in ('processed', 'failed', 'quarantined')));
  end if;
  return array(select coalesce(a.answer, 'retry_single') from unnest(answers) with ordinality as a (answer, n) order by a.n);
end;
$$;

comment on function billing.receive_events is
  'receive_event for 1 to 100 Stripe events (a JSON array) in one transaction. Returns one answer per event, in their order: processed, duplicate, quarantined, failed (stored; projection will be retried), or retry_single: nothing of it is stored, and receive_event takes it or says what is wrong with it (it is malformed, its customer''s lock was not free at once, or it needs a transaction of its own). Raises DU032 for what is not such an array. Whoever gets an error, or no answer, sends the same events again: what was stored is a duplicate then. The caller may acknowledge once this has committed.';

grant execute on function billing.receive_events(jsonb, timestamptz) to service_role;
