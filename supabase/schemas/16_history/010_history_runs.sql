-- History runs: reading at Stripe what no event has told, page by page. What has been read, and how far a run has come, are
-- written in one transaction, so that a run that is killed goes on where it was.
-- Written by: the runs (apply_history and its kin), which duebase backfill and duebase-reconcile make. Read by: people.

create table billing.history_runs (
  id bigint generated always as identity primary key,
  kind text not null,
  status text not null default 'running',
  reads_since timestamptz,
  livemode boolean not null,
  account text,
  events_from timestamptz not null,
  calls bigint not null default 0,
  started_at timestamptz not null,
  progressed_at timestamptz not null,
  finished_at timestamptz,
  problem text,
  constraint kind_is_known check (kind in ('backfill', 'events', 'comparison')),
  constraint status_is_known check (status in ('running', 'complete', 'incomplete', 'stopped')),
  constraint only_the_running_have_no_end check ((status = 'running') = (finished_at is null)),
  constraint calls_are_not_negative check (calls >= 0)
);

comment on table billing.history_runs is
  'Each time objects or events are read at Stripe that no webhook brought: by duebase backfill, or by duebase-reconcile.';
comment on column billing.history_runs.kind is
  'backfill: everything from before the installation. events: the events of Stripe''s list that did not arrive. comparison: running subscriptions and open invoices, compared with what is stored.';
comment on column billing.history_runs.status is
  'running: begun, and gone on with by whoever claims it. complete: all was read and applied. incomplete: all was read, and not everything could be applied (history_problems), or Stripe refused something. stopped: a person ended it.';
comment on column billing.history_runs.reads_since is
  'What was made before this (UTC) is left out, except customers, products, prices, subscriptions and open invoices. Null: nothing is left out.';
comment on column billing.history_runs.account is 'The account (acct_…) the key is of, where it may tell.';
comment on column billing.history_runs.events_from is 'The events since then (UTC) belong to the run: what happens while it reads.';
comment on column billing.history_runs.calls is 'Calls to Stripe that were answered and whose answer is stored.';
comment on column billing.history_runs.started_at is 'When it began (UTC).';
comment on column billing.history_runs.progressed_at is 'When it last came further, or met a problem (UTC).';
comment on column billing.history_runs.finished_at is 'When it ended (UTC); null: it is running, or waits for somebody to go on with it.';
comment on column billing.history_runs.problem is 'What keeps it from going on, or why it is incomplete; null: nothing.';

-- One of a kind at a time: whoever begins another one goes on with it.
create unique index history_runs_running on billing.history_runs (kind) where status = 'running';

create table billing.history_steps (
  run_id bigint not null references billing.history_runs (id) on delete cascade,
  step text not null,
  position integer not null,
  status text not null default 'waiting',
  cursor text,
  pages bigint not null default 0,
  objects bigint not null default 0,
  applied bigint not null default 0,
  stale bigint not null default 0,
  failed bigint not null default 0,
  started_at timestamptz,
  finished_at timestamptz,
  primary key (run_id, step),
  constraint status_is_known check (status in ('waiting', 'running', 'done')),
  constraint only_the_done_have_an_end check ((status = 'done') = (finished_at is not null))
);

comment on table billing.history_steps is 'The steps of each history run: one kind of list at Stripe each.';
comment on column billing.history_steps.run_id is 'The run (billing.history_runs.id).';
comment on column billing.history_steps.step is 'What is listed: products, prices, customers, subscriptions, …';
comment on column billing.history_steps.position is 'The order in which they are made.';
comment on column billing.history_steps.cursor is
  'Where the list goes on: the last object of the last page that was applied, with the time it was made where that is known. Written with that page.';
comment on column billing.history_steps.pages is 'Pages that were read and applied.';
comment on column billing.history_steps.started_at is 'When its first page was asked for (UTC); null: it waits for the steps before it.';
comment on column billing.history_steps.objects is 'Objects that were read.';
comment on column billing.history_steps.applied is 'Those that are shown now as they were read.';
comment on column billing.history_steps.stale is 'Those of which something newer was known, or may be: a webhook, or a deletion.';
comment on column billing.history_steps.failed is 'Those that could not be applied: see history_problems.';

create table billing.history_problems (
  run_id bigint not null references billing.history_runs (id) on delete cascade,
  object_id text not null,
  step text not null,
  error jsonb not null,
  found_at timestamptz not null,
  primary key (run_id, object_id)
);

comment on table billing.history_problems is
  'Objects read at Stripe that could not be applied, by run. The run is incomplete; once the cause is put right, another backfill reads them again.';
comment on column billing.history_problems.run_id is 'The run (billing.history_runs.id).';
comment on column billing.history_problems.object_id is 'Id of the object at Stripe.';
comment on column billing.history_problems.step is 'The step that read it (history_steps).';
comment on column billing.history_problems.error is 'sqlstate, message and context of what the database said.';
comment on column billing.history_problems.found_at is 'When (UTC).';

alter table billing.history_runs enable row level security;
alter table billing.history_steps enable row level security;
alter table billing.history_problems enable row level security;
create policy service_role_reads on billing.history_runs for select to service_role using (true);
create policy service_role_reads on billing.history_steps for select to service_role using (true);
create policy service_role_reads on billing.history_problems for select to service_role using (true);
grant select on billing.history_runs, billing.history_steps, billing.history_problems to service_role;

create table billing_private.history_lease (
  id boolean primary key default true,
  claim_id uuid,
  holder text,
  locked_until timestamptz,
  constraint history_lease_is_one_row check (id)
);

comment on table billing_private.history_lease is
  'One row: who reads at Stripe for a history run, and until when. One at a time, so that one token bucket bounds all calls.';
comment on column billing_private.history_lease.claim_id is 'Identity of the claim: whoever lost it changes nothing any more.';
comment on column billing_private.history_lease.holder is 'The terminal or function that holds it, for operators.';
comment on column billing_private.history_lease.locked_until is 'End of the lease (UTC); every page renews it.';

alter table billing_private.history_lease enable row level security;
create policy nobody_reads on billing_private.history_lease using (false);
insert into billing_private.history_lease default values;

create function billing.claim_history(p_holder text, p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  lease billing_private.history_lease;
begin
  select * into lease from billing_private.history_lease as l where l.id for update;
  if lease.locked_until > p_now then
    return jsonb_build_object('claim', null, 'holder', lease.holder, 'locked_until', lease.locked_until);
  end if;
  update billing_private.history_lease as l
  set claim_id = gen_random_uuid(), holder = p_holder, locked_until = p_now + interval '60 seconds'
  where l.id
  returning * into lease;
  return jsonb_build_object('claim', lease.claim_id, 'holder', lease.holder, 'locked_until', lease.locked_until);
end;
$$;

comment on function billing.claim_history is
  'For duebase backfill and duebase-reconcile: the lease of history runs, {claim, holder, locked_until}, for 60 seconds after the last page. claim is null where somebody else (holder) has it.';

create function billing_private.renew_history_lease(p_claim uuid, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update billing_private.history_lease as l
  set locked_until = greatest(l.locked_until, p_now + interval '60 seconds')
  where l.id and l.claim_id = p_claim;
  if not found then
    perform billing_private.raise_error('DU090', 'another runner has the lease of history runs');
  end if;
end;
$$;

comment on function billing_private.renew_history_lease is
  'Renews a runner''s lease, and holds its row until commit, so that no two runners apply at once. Raises DU090 where the lease was lost.';

create function billing.release_history(p_claim uuid)
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  update billing_private.history_lease as l set claim_id = null, holder = null, locked_until = null where l.id and l.claim_id = p_claim;
  return found;
end;
$$;

comment on function billing.release_history is 'Gives the lease of history runs back. Returns false where it was lost.';

create function billing.begin_history(p_kind text, p_steps text[], p_options jsonb default '{}', p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  begun bigint;
begin
  if coalesce(cardinality(p_steps), 0) = 0 or p_kind not in ('backfill', 'events', 'comparison') then
    perform billing_private.raise_error('DU091', format('cannot begin a history run of kind %s with %s steps', p_kind, coalesce(cardinality(p_steps), 0)));
  end if;
  insert into billing.history_runs (kind, reads_since, livemode, account, events_from, started_at, progressed_at)
  select
    p_kind, (p_options ->> 'reads_since')::timestamptz, s.livemode, p_options ->> 'account',
    coalesce((p_options ->> 'events_from')::timestamptz, p_now), p_now, p_now
  from billing.settings as s
  on conflict (kind) where status = 'running' do nothing
  returning id into begun;
  insert into billing.history_steps (run_id, step, position)
  select begun, s.step, s.position
  from unnest(p_steps) with ordinality as s (step, position)
  where begun is not null;
  return billing.history_state(p_kind);
end;
$$;

create function billing.history_state(p_kind text)
returns jsonb
language sql
stable
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
  select coalesce(
    (
      select to_jsonb(r) || jsonb_build_object(
        'steps', (select jsonb_agg(to_jsonb(s) order by s.position) from billing.history_steps as s where s.run_id = r.id),
        'problems', (select count(*) from billing.history_problems as p where p.run_id = r.id)
      )
      from billing.history_runs as r
      where r.kind = p_kind
      order by r.id desc
      limit 1
    ),
    '{}'
  );
$$;

comment on function billing.begin_history is
  'Begins a history run of a kind, with these steps, unless one is running, and returns it as history_state does. p_options: reads_since, account, events_from (by Stripe''s clock; default: p_now). Raises DU091.';
comment on function billing.history_state is
  'The newest history run of a kind, with its steps in order and the number of its problems; {} where there is none.';

create function billing.note_history_problem(p_claim uuid, p_run_id bigint, p_problem text, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  perform billing_private.renew_history_lease(p_claim, p_now);
  update billing.history_runs as r set problem = p_problem, progressed_at = p_now where r.id = p_run_id and r.status = 'running';
  return found;
end;
$$;

comment on function billing.note_history_problem is
  'Notes what keeps a history run from going on, or null: nothing does any more. The run stays as it is, and whoever claims it next goes on. Raises DU090.';

create function billing.stop_history(p_kind text, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  update billing.history_runs as r
  set status = 'stopped', finished_at = p_now, problem = coalesce(r.problem, 'ended by a person')
  where r.kind = p_kind and r.status = 'running';
  return found;
end;
$$;

comment on function billing.stop_history is
  'Ends the running history run of a kind, so that the next one begins anew. What it has read stays. Returns false where none is running.';

grant execute on function
  billing.claim_history(text, timestamptz),
  billing.release_history(uuid),
  billing.begin_history(text, text[], jsonb, timestamptz),
  billing.history_state(text),
  billing.note_history_problem(uuid, bigint, text, timestamptz),
  billing.stop_history(text, timestamptz)
to service_role;
