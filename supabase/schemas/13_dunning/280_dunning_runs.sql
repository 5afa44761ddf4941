-- The daily run: every customer with something due is evaluated. Nothing was scheduled ahead, so a run that comes late,
-- twice or at the same time as another finds what is due then, and nothing else.
-- Reads: dunning facts. Writes: outbox, dunning_runs. Called by: duebase-dunning.

create table billing.dunning_runs (
  id bigint generated always as identity primary key,
  as_of timestamptz not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  counts jsonb,
  problem text,
  constraint finished_after_started check (finished_at >= started_at),
  constraint only_the_finished_have_counts check ((finished_at is null) = (counts is null))
);

comment on table billing.dunning_runs is 'One row per run of dunning: when, and what came of it.';
comment on column billing.dunning_runs.as_of is 'The time due-ness went by (UTC).';
comment on column billing.dunning_runs.started_at is 'When it began (UTC).';
comment on column billing.dunning_runs.counts is
  'customers: evaluated. opened, closed: cases. mails, ends: enqueued. held: kept from their step. failed: could not be evaluated, for example because Stripe was away; the next run does.';
comment on column billing.dunning_runs.problem is 'Why not all that was due was done; null when it was.';

create index dunning_runs_by_start on billing.dunning_runs (started_at);
alter table billing.dunning_runs enable row level security;
create policy service_role_reads on billing.dunning_runs for select to service_role using (true);
grant select on billing.dunning_runs to service_role;

create function billing_private.customers_in_dunning(p_after text, p_limit integer, p_now timestamptz)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  known text[];
  newly text[];
  paid text[];
begin
  select array_agg(b.customer order by b.customer)
  into known
  from (
    select distinct c.customer from billing.dunning_cases as c where c.status = 'open' and c.customer > p_after order by c.customer limit p_limit
  ) as b;
  -- What fell due without an event, such as an invoice that was sent. Only up to where the known go, so that no page is
  -- read twice.
  select array_agg(b.customer order by b.customer)
  into newly
  from (
    select distinct i.customer
    from billing.invoices as i
    where i.status = 'open'
      and i.customer > p_after
      and (coalesce(cardinality(known), 0) < p_limit or i.customer <= known[cardinality(known)])
      -- By its key for each of them, however few the planner takes them for.
      and (select k.case_id from billing.dunning_case_invoices as k where k.invoice = i.id) is null
      and exists (
        select
        from billing_private.overdue_invoices as v
        where v.invoice = i.id and v.overdue_since <= p_now and not billing_private.is_old_debt(v.invoice, v.overdue_since)
      )
    order by i.customer
    limit p_limit
  ) as b;
  -- What was paused and is paid, where no event came to plan that it goes on, or what was planned came to nothing.
  select array_agg(b.customer order by b.customer)
  into paid
  from (
    select distinct s.customer
    from billing.subscriptions as s
    where (s.status = 'paused' or s.pause_collection is not null)
      and s.customer > p_after
      and (coalesce(cardinality(known), 0) < p_limit or s.customer <= known[cardinality(known)])
      and billing_private.invoice_to_resume_for(s.id, p_now) is not null
    order by s.customer
    limit p_limit
  ) as b;
  return array(
    select distinct c.customer from unnest(known || newly || paid) as c (customer) where c.customer is not null order by 1 limit p_limit
  );
end;
$$;

comment on function billing_private.customers_in_dunning is
  'Customers after p_after with an open case, with something overdue at p_now that no case is about yet, or with a subscription that is to be resumed; at most p_limit, in order.';

create function billing_private.enqueue_refreshes_of_silent_invoices(p_after text, p_until text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  select
    'refresh', format('silent:%s:%s', i.id, to_char(p_now at time zone 'UTC', 'YYYY-MM-DD')),
    jsonb_build_object('object', 'invoice', 'id', i.id), least(p_now, clock_timestamp()), least(p_now, clock_timestamp())
  from billing.invoices as i
  where i.status = 'open'
    and i.customer > p_after
    and (p_until is null or i.customer <= p_until)
    and i.collection_method = 'charge_automatically'
    -- Asked for by hand, and nobody has tried to charge it.
    and (i.attempt_count > 0 or i.auto_advance is not false)
    and coalesce(i.finalized_at, i.created) between p_now - interval '1440 hours' and p_now - interval '24 hours'
    and exists (select from billing_private.overdue_invoices as v where v.invoice = i.id and v.overdue_since is null)
  order by 2
  on conflict (dedupe_key) do nothing;
end;
$$;

comment on function billing_private.enqueue_refreshes_of_silent_invoices is
  'Enqueues a read of every invoice of the customers after p_after, up to p_until, that is charged automatically and has been open for a day without a word of failure, once a day for 60 days. Most are debits on their way. The others were paid or declined in events that never came, and nothing else would find that out once they are too old for Stripe''s event list.';

create function billing.advance_dunning(p_now timestamptz default now(), p_after text default '', p_limit integer default 1000)
returns jsonb
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
as $$
declare
  page text[] := billing_private.customers_in_dunning(p_after, p_limit, p_now);
  next_page jsonb := to_jsonb(case when cardinality(page) = p_limit then page[p_limit] end);
  found constant billing_private.dunning_fact[] := array(
    select f from billing_private.dunning_facts(page, p_now, false) as f
  );
  evaluations integer;
begin
  perform billing_private.enqueue_refreshes_of_silent_invoices(p_after, next_page #>> '{}', p_now);
  if billing_private.mode_here(true) <> 'live' then
    return jsonb_build_object('customers', cardinality(page), 'due', 0, 'next', next_page);
  end if;
  -- An end is made at noon of its day, when no run takes place: an evaluation at that time decides on it.
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  select distinct
    'dunning', format('dunning:%s:%s', f.customer, to_char(f.ends_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24')),
    jsonb_build_object('customer', f.customer, 'not_before', f.ends_at), least(p_now, clock_timestamp()) + (f.ends_at - p_now),
    least(p_now, clock_timestamp())
  from unnest(found) as f
  where f.is_warned and f.ends_at > p_now and f.ends_at <= p_now + interval '24 hours'
  order by 2
  on conflict (dedupe_key) do nothing;

  with facts as (
    select f.case_id, f.customer, f.due from unnest(found) as f
  ),
  to_evaluate as (
    select f.customer from facts as f where f.due is not null
    union
    -- Nothing of it is overdue any more, or its subscription has gone: it may be over.
    select c.customer
    from billing.dunning_cases as c
    where c.status = 'open' and c.customer = any (page) and not exists (select from facts as f where f.case_id = c.id)
    union
    select v.customer
    from billing_private.overdue_invoices as v
    where v.customer = any (page)
      and v.overdue_since <= p_now
      and not billing_private.is_old_debt(v.invoice, v.overdue_since)
      and (select k.case_id from billing.dunning_case_invoices as k where k.invoice = v.invoice) is null
    union
    -- What was paused and is paid goes on.
    select s.customer
    from billing.subscriptions as s
    where (s.status = 'paused' or s.pause_collection is not null)
      and s.customer = any (page)
      and billing_private.invoice_to_resume_for(s.id, p_now) is not null
  )
  insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
  select
    'dunning', format('dunning:%s:%s', t.customer, to_char(p_now at time zone 'UTC', 'YYYY-MM-DD"T"HH24')),
    jsonb_build_object('customer', t.customer, 'not_before', p_now), least(p_now, clock_timestamp()), least(p_now, clock_timestamp())
  from to_evaluate as t
  order by t.customer
  on conflict (dedupe_key) do nothing;
  get diagnostics evaluations = row_count;
  return jsonb_build_object(
    'customers', cardinality(page), 'due', evaluations, 'next', next_page
  );
end;
$$;

comment on function billing.advance_dunning is
  'One page of the daily run: of at most p_limit customers after p_after, enqueues an evaluation (an effect of kind dunning) for each with something due at p_now. For an end within the next 24 hours it enqueues one at that time. Invoices of which no failure was heard are read, see enqueue_refreshes_of_silent_invoices. Returns {customers, due, next}: call again with p_after => next until that is null. In mirror mode there are only the reads. Safe twice and at the same time: each evaluation decides anew, under the customer''s lock.';

create function billing.begin_dunning_run(p_now timestamptz default now())
returns bigint
language sql
-- Definer: see advance_dunning.
security definer
set search_path = ''
as $$
  insert into billing.dunning_runs (as_of, started_at) values (p_now, p_now) returning id;
$$;

comment on function billing.begin_dunning_run is 'Notes that a run begins. Returns its id.';

create function billing.finish_dunning_run(p_id bigint, p_counts jsonb, p_problem text default null, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see advance_dunning.
security definer
set search_path = ''
as $$
begin
  update billing.dunning_runs as r
  set finished_at = greatest(p_now, r.started_at), counts = coalesce(p_counts, '{}'), problem = p_problem
  where r.id = p_id and r.finished_at is null;
  return found;
end;
$$;

comment on function billing.finish_dunning_run is 'Notes what came of a run. False: there is no such run under way.';

grant execute on function
  billing.advance_dunning(timestamptz, text, integer),
  billing.begin_dunning_run(timestamptz),
  billing.finish_dunning_run(bigint, jsonb, text, timestamptz)
to service_role;
