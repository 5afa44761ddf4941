-- Due steps: which step of a ladder is due at a given time. Nothing reads the clock: it follows from what was done and p_now.
-- Reads: dunning_policies, dunning_steps. Writes: nothing. Called by: plan_dunning, preview.

create view billing_private.dunning_ladders with (security_invoker = true) as
select
  s.policy_id,
  array_agg(s.day order by s.position) as days,
  array_agg(s.kind order by s.position) as kinds,
  min(p.end_action) as end_action
from billing.dunning_steps as s
join billing.dunning_policies as p on p.id = s.policy_id
group by s.policy_id;

comment on view billing_private.dunning_ladders is 'The steps of each policy as two arrays, indexed by position, and how it ends.';
comment on column billing_private.dunning_ladders.policy_id is 'The version of a policy (billing.dunning_policies.id).';
comment on column billing_private.dunning_ladders.days is 'The day of each step, ascending.';
comment on column billing_private.dunning_ladders.kinds is 'The kind of each step; end, if there is one, comes last.';
comment on column billing_private.dunning_ladders.end_action is 'What its end does (billing.dunning_policies.end_action).';

create function billing_private.due_dunning_step(
  p_days integer[],
  p_kinds text[],
  p_from timestamptz,
  p_taken integer,
  p_last_mail_at timestamptz,
  p_ends_at timestamptz,
  p_now timestamptz
)
returns integer
language plpgsql
immutable
set search_path = ''
as $$
declare
  last constant integer := cardinality(p_days);
  has_end constant boolean := p_kinds[last] = 'end';
begin
  if has_end and p_taken >= last then
    return null;
  elsif has_end and p_taken = last - 1 then
    return case when p_now >= p_ends_at then last end;
  elsif p_last_mail_at > p_now - interval '20 hours' then
    -- A run that was late and one that is on time are no reason to write twice in a day.
    return null;
  elsif p_taken = 0 then
    -- However long it has been overdue, the first mail is the notice, never a warning.
    return case when p_now >= p_from + p_days[1] * interval '24 hours' then 1 end;
  end if;
  for step in reverse last - has_end::integer .. p_taken + 1 loop
    if p_now >= p_from + p_days[step] * interval '24 hours' then
      return step;
    end if;
  end loop;
  return null;
end;
$$;

comment on function billing_private.due_dunning_step is
  'Position of the step that is due at p_now, or null: the highest whose day has come, counted from p_from (ladder_from); the first while p_taken (the highest position taken) is 0; at most one mail in 20 hours (p_last_mail_at); the end, once the warning is taken, at p_ends_at, and never where that is null. A day is 24 hours, whatever the session''s time zone.';

create function billing_private.due_step_after_end(
  p_days integer[], p_kinds text[], p_from timestamptz, p_taken integer, p_last_mail_at timestamptz, p_now timestamptz
)
returns integer
language plpgsql
immutable
set search_path = ''
as $$
declare
  -- The mild steps come first, see ladder_fault.
  mild constant integer := cardinality(array_remove(array_remove(p_kinds, 'final_warning'), 'end'));
begin
  if p_taken < mild then
    return billing_private.due_dunning_step(p_days[1:mild], p_kinds[1:mild], p_from, p_taken, p_last_mail_at, null, p_now);
  end if;
  return (
    select max(s.step)
    from generate_series(p_taken + 1, cardinality(p_days)) as s (step)
    where p_now >= p_from + p_days[s.step] * interval '24 hours'
  );
end;
$$;

comment on function billing_private.due_step_after_end is
  'As due_dunning_step, of a final invoice: notice and reminder fall due as they do elsewhere; the final warning and the end on their days, to be skipped.';
