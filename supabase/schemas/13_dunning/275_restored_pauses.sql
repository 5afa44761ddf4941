-- Restored pauses: a pause that the end of a case made after a backup is told by Stripe's mark alone, once the backup is
-- restored. The case takes it as its end, so that the subscription goes on once it is paid.
-- Reads: restores, subscriptions, policies. Writes: dunning_actions, dunning_cases, audit_events. Called by: restore_is_matched.

create function billing_private.take_over_pause(p_case billing.dunning_cases, p_paused_at timestamptz, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into billing.dunning_actions
    (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, note)
  select
    p_case.id, (select max(s.position) from billing.dunning_steps as s where s.policy_id = p_case.policy_id), 'end',
    (array_agg(k.invoice order by k.overdue_since, k.invoice))[1], array_agg(k.invoice order by k.overdue_since, k.invoice), 'done',
    p_paused_at, p_paused_at, p_paused_at, 'it was carried out before a backup was restored'
  from billing.dunning_case_invoices as k
  where k.case_id = p_case.id
  having count(*) > 0;
  perform billing_private.close_dunning_case(p_case, 'ended', p_now);
end;
$$;

comment on function billing_private.take_over_pause is
  'Records that the end of an open case was carried out at p_paused_at, as Stripe shows, and closes the case. The caller holds the customer''s lock.';

create function billing_private.take_over_pauses(p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  paused record;
  known billing.dunning_cases;
  taken_over integer := 0;
begin
  for paused in
    select c.id as case_id, c.customer, coalesce(billing_private.paused_at(s.status_details), p_now) as since
    from billing.dunning_cases as c
    join billing.dunning_policies as p on p.id = c.policy_id and p.end_action = 'pause'
    join billing.subscriptions as s on s.id = c.subscription
    join billing.restores as r on r.finished_at is null
    where c.status = 'open'
      and billing_private.metadata_of(s.id) ->> 'duebase_dunning_case' = c.id::text
      and (s.pause_collection is not null or (s.status = 'paused' and billing_private.paused_at(s.status_details) >= r.backup_at - interval '1 hour'))
      and not exists (select from billing.dunning_actions as d where d.case_id = c.id and d.kind = 'end' and d.status = 'done')
    order by c.customer
  loop
    perform billing_private.lock_customers(array[paused.customer]);
    select * into known from billing.dunning_cases as c where c.id = paused.case_id and c.status = 'open';
    if found then
      perform billing_private.take_over_pause(known, paused.since, p_now);
      taken_over := taken_over + 1;
    end if;
  end loop;
  return taken_over;
end;
$$;

comment on function billing_private.take_over_pauses is
  'While a restore is under way: closes the cases that paused their subscription after the backup, as Stripe''s mark says. Returns how many.';
