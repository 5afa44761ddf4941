-- Release: a withheld effect is performed after all when a person says so.
-- Writes: outbox, emails, audit_events. Called by: operators.

create function billing_private.is_decided_anew(p_effect billing.outbox)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return p_effect.kind = 'dunning' or p_effect.dedupe_key like 'dunning:%' or p_effect.dedupe_key like 'pay:%';
end;
$$;

comment on function billing_private.is_decided_anew is
  'Whether the next run of dunning decides by itself what became of an effect: an evaluation, a step, a resumption, a charge to a new card. A second mail or call beside that would be one too many.';

create function billing_private.release_withheld_effect(p_id bigint, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  effect billing.outbox;
  email billing.emails;
begin
  -- In the order in which a report takes the two rows.
  select * into email from billing.emails as e where e.outbox_id = p_id for update;
  select * into effect from billing.outbox as o where o.id = p_id for update;
  if effect.id is null then
    return 'unknown';
  elsif effect.status <> 'withheld' then
    return effect.status;
  elsif billing_private.is_decided_anew(effect) then
    return 'decided_anew';
  elsif email.unknown_since >= p_now - interval '23 hours' then
    return 'may_have_left';
  end if;
  -- Resend has forgotten the key of an attempt that long ago: as with replay_outbox, a person has looked it up there.
  update billing.emails as e
  set
    key_generation = e.key_generation + (e.unknown_since is not null)::integer,
    unknown_since = null, batch_id = null, batch_position = null
  where e.id = email.id;
  update billing.outbox as o
  set
    status = 'pending', withheld_reason = null, released_at = p_now, finished_at = null, excused_attempts = o.attempts,
    run_after = greatest(o.run_after, p_now)
  where o.id = p_id;
  perform billing_private.audit(
    'effect.released', 'operator', effect.dedupe_key, effect.payload ->> 'customer',
    jsonb_build_object('outbox_id', p_id, 'kind', effect.kind, 'reason', effect.withheld_reason), p_now
  );
  return 'released';
end;
$$;

comment on function billing_private.release_withheld_effect is 'Releases one withheld effect, see billing.release_withheld.';

create function billing.release_withheld(p_ids bigint[], p_now timestamptz default now())
returns table (id bigint, outcome text)
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  wanted bigint;
begin
  perform billing_private.require_live_mode(p_is_for_functions => false);
  for wanted in select distinct w.id from unnest(p_ids) as w (id) where w.id is not null order by 1 loop
    id := wanted;
    outcome := billing_private.release_withheld_effect(wanted, p_now);
    return next;
  end loop;
end;
$$;

comment on function billing.release_withheld is
  'Has withheld effects (billing.outbox.id) performed after all, however old they are. Says for each what came of it. released; decided_anew, the next run of dunning decides on it by itself; may_have_left, an attempt to send the mail began less than 23 hours ago: look it up at Resend, and release it later if it is not there; unknown; or the status of one that is not withheld. Raises DU080 in mirror mode.';

grant execute on function billing.release_withheld(bigint[], timestamptz) to service_role;
