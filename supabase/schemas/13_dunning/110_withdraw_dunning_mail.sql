-- Withdrawing: the mails and the end that a case still owes are canceled when it closes.
-- Reads: dunning_actions, emails. Writes: outbox, dunning_actions. Called by: closing, dunning by hand.

create function billing_private.withdraw_dunning_mail(p_case_id bigint, p_reason text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  withdrawn bigint[];
begin
  -- Locked: a worker that is about to begin one waits, and then finds it canceled.
  with pending as (
    select o.id
    from billing.dunning_actions as d
    join billing.outbox as o on o.id = d.outbox_id
    where d.case_id = p_case_id and d.status = 'planned' and d.kind <> 'end'
    order by o.id
    for update of o
  ),
  canceled as (
    update billing.outbox as o
    set
      status = 'canceled', claim_id = null, locked_until = null, finished_at = p_now,
      last_error = jsonb_build_object('code', 'not_wanted', 'message', p_reason)
    from pending as p
    where o.id = p.id
      and (
        o.status = 'pending'
        -- Once an attempt has begun the mail may have left, and its worker must be able to say so.
        or (o.status = 'claimed' and not exists (select from billing.emails as e where e.outbox_id = o.id and e.unknown_since is not null))
      )
    returning o.id
  )
  select array_agg(c.id) into withdrawn from canceled as c;
  -- An end under way finds this out before it acts.
  update billing.dunning_actions as d
  set status = 'canceled', finished_at = p_now, note = p_reason
  where d.case_id = p_case_id and d.kind = 'end' and d.status = 'planned';

  -- A mail that told of other cases too is written anew for those.
  perform billing_private.enqueue_dunning_evaluation(m.customer, 'withdrawn:' || m.outbox_id, p_now)
  from (
    select distinct c.customer, d.outbox_id
    from billing.dunning_actions as d
    join billing.dunning_cases as c on c.id = d.case_id and c.status = 'open'
    where d.outbox_id = any (withdrawn) and d.case_id <> p_case_id and d.status = 'canceled'
  ) as m;
end;
$$;

comment on function billing_private.withdraw_dunning_mail is
  'Cancels what a case still owes, unless it may have left already. The actions follow by the outbox''s trigger.';
