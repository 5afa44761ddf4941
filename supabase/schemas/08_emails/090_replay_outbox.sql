-- Replay: a dead effect is tried again when a person says so.
-- Writes: outbox, emails, audit_events. Called by: operators.

create function billing.replay_outbox(p_id bigint, p_now timestamptz default now())
returns text
language plpgsql
-- Definer: see claim_outbox.
security definer
set search_path = ''
as $$
declare
  effect billing.outbox;
begin
  -- In the order in which a report takes the two rows.
  perform from billing.emails as e where e.outbox_id = p_id for update;
  select * into effect from billing.outbox as o where o.id = p_id for update;
  if not found then
    perform billing_private.raise_error('DU006', format('there is no effect %s', coalesce(p_id::text, 'null')));
  end if;
  if effect.status <> 'dead' then
    return effect.status;
  end if;
  update billing.outbox as o
  -- Counted on, so that no key of an earlier try is used again: Stripe would answer what it answered then.
  set status = 'pending', excused_attempts = o.attempts, run_after = p_now, finished_at = null
  where o.id = p_id;
  -- A person who replays a mail of unknown outcome has looked it up at Resend. Its key has lapsed at Resend: a new one says so. A mail
  -- that certainly never left is replayed by itself, not with the batch it died in.
  update billing.emails as e
  set
    key_generation = e.key_generation + (e.unknown_since is not null)::integer,
    unknown_since = null, batch_id = null, batch_position = null
  where e.outbox_id = p_id and coalesce(e.unknown_since < p_now - interval '23 hours', true);
  perform billing_private.audit(
    'effect.replayed', 'operator', effect.dedupe_key, null, jsonb_build_object('outbox_id', p_id, 'kind', effect.kind), p_now
  );
  return 'pending';
end;
$$;

comment on function billing.replay_outbox is
  'Owes a dead effect again with all its tries, under the same key (a mail of long unknown outcome: a new one), after its cause was fixed. Safe any number of times: an effect that is not dead is left as it is. Returns its status; raises DU006 for an unknown one.';

grant execute on function billing.replay_outbox(bigint, timestamptz) to service_role;
