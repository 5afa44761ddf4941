-- Deliver: how effects leave the outbox. A worker claims what is due under a lease, performs it, and says how it went;
-- each thing it says names its claim, so that a worker that lost its lease changes nothing.
-- Reads and writes: outbox. Called by: duebase-deliver, through the Data API; sending emails.

create function billing_private.lock_effects(p_ids bigint[])
returns void
language sql
set search_path = ''
set enable_seqscan = off
as $$
  select from billing.outbox as o where o.id = any (p_ids) order by o.id for update;
$$;

comment on function billing_private.lock_effects is
  'Takes rows of the outbox in the one order in which everybody takes several of them; after their emails, where those are taken too.';

create function billing.claim_outbox(
  p_worker text,
  p_limit integer default 50,
  p_lease interval default '2 minutes',
  p_kinds text[] default null,
  p_now timestamptz default now()
)
returns setof billing.outbox
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
-- Statistics of a queue are out of date: it was empty when analyzed, and is full when claimed.
set enable_seqscan = off
as $$
declare
  fresh_claim constant uuid := gen_random_uuid();
  exhausted constant integer := billing_private.max_attempts();
  worker_lost constant jsonb := jsonb_build_object('code', 'worker_lost', 'message', 'the worker of the last try never reported back');
  here constant text := billing_private.mode_here(true);
  before_live constant bigint := (select s.withheld_up_to from billing.settings as s);
  effect billing.outbox;
begin
  if coalesce(btrim(p_worker), '') = ''
    or p_limit is null or p_limit not between 1 and 500
    or p_lease is null or p_lease not between interval '5 seconds' and interval '1 hour'
  then
    perform billing_private.raise_error(
      'DU007', format('worker %L cannot claim %s rows for %s', p_worker, coalesce(p_limit::text, 'null'), coalesce(p_lease::text, 'null'))
    );
  end if;

  if here = 'copy' then
    perform billing_private.report_copy(p_now);
  elsif exists (select from billing.job_problems as j where j.job = 'project') then
    perform billing_private.record_job_problem('project', null, p_now);
  end if;
  for effect in
    with locked as (
      select
        o.id, o.kind, o.claim_id, o.run_after, o.attempts - o.excused_attempts as tries,
        billing_private.is_write(o.kind) and (here = 'mirror' or (o.id <= before_live and o.released_at is null)) as is_withheld
      from billing.outbox as o
      where o.status in ('pending', 'claimed')
        and coalesce(o.locked_until, o.run_after) <= p_now
        and (p_kinds is null or o.kind = any (p_kinds))
        -- On a copy they stay as they are: the original has the same rows, and performs them.
        and not (here = 'copy' and billing_private.is_write(o.kind))
      order by coalesce(o.locked_until, o.run_after), o.id
      limit p_limit
      for update skip locked
    ),
    due as (
      select l.id, l.tries - l.is_spared::integer < exhausted as has_tries, l.is_spared
      from (
        select
          k.id, k.tries,
          -- One after another, each reported before the next, but for mails: a worker that was lost had begun the first
          -- that is left of what it held, and none behind it.
          k.claim_id is not null and k.kind <> 'email'
            and row_number() over (partition by k.claim_id, k.kind = 'email' order by k.run_after, k.id) > 1 as is_spared
        from locked as k
        where not k.is_withheld
      ) as l
    ),
    taken as (
      update billing.outbox as o
      set
        status = case when due.has_tries then 'claimed' else 'dead' end,
        attempts = o.attempts + due.has_tries::integer,
        excused_attempts = o.excused_attempts + due.is_spared::integer,
        claim_id = case when due.has_tries then fresh_claim end,
        locked_until = case when due.has_tries then p_now + p_lease end,
        locked_by = p_worker,
        last_error = case when due.has_tries then o.last_error else worker_lost end,
        finished_at = case when not due.has_tries then p_now end
      from due
      where o.id = due.id
      returning o.*
    )
    select t.* from taken as t
    union all
    select o.* from locked as k join billing.outbox as o on o.id = k.id where k.is_withheld
    order by run_after, id
  loop
    if effect.claim_id is distinct from fresh_claim and effect.status <> 'dead' then
      perform billing_private.withhold_effect(effect.id, case here when 'mirror' then billing_private.mirror_reason() else 'before_go_live' end, p_now);
    -- A row whose worker was lost in its last try is not reported by anybody: it becomes dead here.
    elsif effect.status = 'dead' then
      perform billing_private.alert_dead_letter(effect, p_now);
    else
      return next effect;
    end if;
  end loop;
end;
$$;

comment on function billing.claim_outbox is
  'Claims up to p_limit effects that are due at p_now, earliest first, for p_lease; those of an expired lease too, of which only what its worker may have begun has lost a try. p_kinds: only these, null for all. Rows another worker is claiming are skipped. In mirror mode only reads and alerts are claimed: of the others those that are due are withheld, and so is what was enqueued before the project went live. Functions of another project get reads and alerts, and change nothing of the rest. Raises DU007.';

create function billing.confirm_effect(p_id bigint, p_claim_id uuid, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  here constant text := billing_private.mode_here(true);
  effect billing.outbox;
begin
  -- Its row is this worker's alone, and so is the order of its locks: the customer's may be waited for.
  select * into effect from billing.outbox as o where o.id = p_id and o.claim_id = p_claim_id;
  if effect.id is null or here = 'live' then
    return effect.id is not null;
  elsif here = 'copy' then
    perform billing.release_outbox(array[p_id], p_claim_id, interval '5 minutes', p_now);
    return false;
  end if;
  perform billing_private.lock_customers(array_remove(array[billing_private.customer_to_lock(effect)], null));
  perform from billing.outbox as o where o.id = p_id and o.claim_id = p_claim_id for update;
  if found then
    perform billing_private.withhold_as(p_id, billing_private.mirror_reason(), p_now);
  end if;
  return false;
end;
$$;

comment on function billing.confirm_effect is
  'Whether a claimed effect is still to be performed, asked right before its first call. False: the claim was lost, or the project is in mirror mode now, and the effect was withheld.';

create function billing.complete_outbox(p_id bigint, p_claim_id uuid, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
-- See claim_outbox.
set enable_seqscan = off
as $$
begin
  update billing.outbox as o
  set status = 'delivered', claim_id = null, locked_until = null, last_error = null, finished_at = p_now
  where o.id = p_id and o.claim_id = p_claim_id;
  return found;
end;
$$;

comment on function billing.complete_outbox is
  'Records that a claimed effect was performed. False: the claim was lost, and nothing was changed.';

create function billing.fail_outbox(
  p_id bigint,
  p_claim_id uuid,
  p_error jsonb,
  p_retry_after interval default null,
  p_is_final boolean default false,
  p_now timestamptz default now(),
  p_is_outage boolean default false
)
returns text
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
-- See claim_outbox.
set enable_seqscan = off
as $$
declare
  is_excused constant boolean := coalesce(p_is_outage and not p_is_final, false);
  failed billing.outbox;
begin
  update billing.outbox as o
  set
    status = case
      when p_is_final or o.attempts - o.excused_attempts - is_excused::integer >= billing_private.max_attempts() then 'dead'
      else 'pending'
    end,
    excused_attempts = o.excused_attempts + is_excused::integer,
    claim_id = null,
    locked_until = null,
    last_error = p_error,
    run_after = p_now + case
      when p_retry_after is null then billing_private.delivery_delay(o.attempts)
      -- No longer than a day, whatever the other side asks for.
      else least(greatest(p_retry_after, interval '0'), interval '1 day') * (1 + random() / 20)
    end,
    finished_at = case
      when p_is_final or o.attempts - o.excused_attempts - is_excused::integer >= billing_private.max_attempts() then p_now
    end
  where o.id = p_id and o.claim_id = p_claim_id
  returning * into failed;
  if not found then
    return 'lost';
  end if;
  if failed.status = 'dead' then
    perform billing_private.alert_dead_letter(failed, p_now);
  elsif is_excused then
    perform billing_private.alert_outage(failed, p_now);
  end if;
  return failed.status;
end;
$$;

comment on function billing.fail_outbox is
  'Records that a try failed. pending: tried again after p_retry_after where the other side named a time, else after delivery_delay. dead: out of tries, or p_is_final, and an alert is enqueued. lost: the claim was lost, and nothing was changed. p_is_outage: whom the effect needs is away or refuses the key; such a try does not count, and the effect waits until they are back, however long that takes.';

create function billing.release_outbox(
  p_ids bigint[],
  p_claim_id uuid,
  p_retry_after interval default null,
  p_now timestamptz default now()
)
returns integer
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
-- See claim_outbox.
set enable_seqscan = off
as $$
declare
  released integer;
begin
  perform billing_private.lock_effects(p_ids);
  update billing.outbox as o
  set
    status = 'pending',
    attempts = o.attempts - 1,
    claim_id = null,
    locked_until = null,
    run_after = greatest(o.run_after, p_now + p_retry_after)
  where o.id = any (p_ids) and o.claim_id = p_claim_id;
  get diagnostics released = row_count;
  return released;
end;
$$;

comment on function billing.release_outbox is
  'Hands back claimed effects that were not tried: due again at once in their old order, or after p_retry_after. Costs them no attempt. Returns how many; those of a lost claim are not among them.';

grant execute on function
  billing.claim_outbox(text, integer, interval, text[], timestamptz),
  billing.confirm_effect(bigint, uuid, timestamptz),
  billing.complete_outbox(bigint, uuid, timestamptz),
  billing.fail_outbox(bigint, uuid, jsonb, interval, boolean, timestamptz, boolean),
  billing.release_outbox(bigint[], uuid, interval, timestamptz)
to service_role;
