-- Withheld: effects that are decided and not performed. They stay in the outbox, so that people see what would have been
-- done and nothing is decided twice. Nothing performs them by itself, also not once the project goes live.
-- Reads: settings, restores. Writes: outbox. Called by: a trigger on the outbox; claiming, writing emails, changes of the mode.

create function billing_private.tg_outbox__before_insert()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  here constant text := billing_private.mode_here();
  told_at constant timestamptz := case
    when new.kind = 'email' then billing_private.effect_told_at(new.dedupe_key, new.payload)
  end;
begin
  if told_at is not null then
    new.status := 'delivered';
    new.finished_at := told_at;
    return new;
  end if;
  new.withheld_reason := case
    when here = 'mirror' then billing_private.mirror_reason()
    when here <> 'live' then here
    when new.kind = 'email'
      and (new.payload ->> 'happened_at')::timestamptz < (select s.live_since from billing.settings as s)
    then 'before_go_live'
  end;
  if new.withheld_reason is not null then
    new.status := 'withheld';
    new.finished_at := new.created_at;
  end if;
  return new;
end;
$$;

comment on function billing_private.tg_outbox__before_insert is
  'Trigger function: a write that is enqueued in mirror mode, or by functions of another project, is withheld from the start, and so is the email about what happened before the project went live. An email that left before a backup was restored is delivered from the start.';

create trigger outbox_withholds_writes
  before insert on billing.outbox
  for each row
  when (new.status = 'pending' and new.kind not in ('refresh', 'alert'))
  execute function billing_private.tg_outbox__before_insert();

create function billing_private.withhold_as(p_id bigint, p_reason text, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  update billing.outbox as o
  set
    status = 'withheld', withheld_reason = p_reason, claim_id = null, locked_until = null, finished_at = p_now, last_error = null
  where o.id = p_id;
$$;

comment on function billing_private.withhold_as is
  'Withholds an effect, whose row the caller has locked. What waits for it follows by the outbox''s triggers.';

create function billing_private.customer_to_lock(p_effect billing.outbox)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when p_effect.payload ? 'charge' then (
      select c.customer
      from billing.dunning_charges as g
      join billing.dunning_cases as c on c.id = g.case_id
      where g.id = (p_effect.payload ->> 'charge')::bigint
    )
    else p_effect.payload ->> 'customer'
  end;
end;
$$;

comment on function billing_private.customer_to_lock is
  'The customer whose lock guards what the outbox''s triggers change with an effect: a step, a charge, a resumption. Null: there is none.';

create function billing_private.withhold_effect(p_id bigint, p_reason text, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  effect billing.outbox;
  customer text;
begin
  select * into effect from billing.outbox as o where o.id = p_id for update skip locked;
  customer := billing_private.customer_to_lock(effect);
  -- A customer's lock goes before the row. Only tried, it makes nobody wait for another: who holds it is done soon.
  if effect.status is null
    or effect.status not in ('pending', 'claimed')
    or effect.locked_until > p_now
    or (customer is not null and not pg_try_advisory_xact_lock(hashtextextended(customer, 7305)))
  then
    return false;
  end if;
  perform billing_private.withhold_as(p_id, p_reason, p_now);
  return true;
end;
$$;

comment on function billing_private.withhold_effect is
  'Withholds an effect that nobody performs at p_now. Returns whether it was; false also where somebody else is at it, or at its customer, right now. Waits for nobody.';

create function billing_private.withhold_pending_writes(p_reason text, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  waiting bigint;
  withheld integer := 0;
begin
  for waiting in
    select o.id
    from billing.outbox as o
    where o.status in ('pending', 'claimed')
      and coalesce(o.locked_until, '-infinity') <= p_now
      and billing_private.is_write(o.kind)
    order by o.id
  loop
    withheld := withheld + billing_private.withhold_effect(waiting, p_reason, p_now)::integer;
  end loop;
  return withheld;
end;
$$;

comment on function billing_private.withhold_pending_writes is
  'Withholds every write that waits. What it cannot have at once, as somebody is at it, is withheld when it is claimed. Returns how many.';

create view billing.withheld_effects with (security_invoker = true) as
select
  o.withheld_reason as reason,
  o.kind,
  coalesce(
    o.payload ->> 'template',
    o.payload ->> 'call',
    case when o.kind = 'dunning' then case when o.payload ? 'end' then 'end' when o.payload ? 'resume' then 'resumption' else 'evaluation' end end
  ) as what,
  count(*) as effects,
  count(distinct o.payload ->> 'customer') as customers,
  min(o.created_at) as oldest,
  max(o.created_at) as newest
from billing.outbox as o
where o.status = 'withheld'
group by 1, 2, 3;

comment on view billing.withheld_effects is
  'What is not done and would have been: one row per reason and kind of withheld effect. Each is a row of billing.outbox with status withheld; a person releases it with billing.release_withheld.';
comment on column billing.withheld_effects.reason is 'mirror, copy, before_go_live, stale, restored: see billing.outbox.withheld_reason.';
comment on column billing.withheld_effects.kind is 'As in billing.outbox: email, stripe or dunning.';
comment on column billing.withheld_effects.what is 'Which email, or which call.';
comment on column billing.withheld_effects.effects is 'How many.';
comment on column billing.withheld_effects.customers is 'To how many customers, where the effect names them.';
comment on column billing.withheld_effects.oldest is 'When the oldest was enqueued (UTC).';
comment on column billing.withheld_effects.newest is 'When the newest was enqueued (UTC).';

grant select on billing.withheld_effects to service_role;
