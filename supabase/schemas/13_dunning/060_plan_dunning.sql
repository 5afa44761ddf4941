-- Planning: what follows from the facts of a case at a given time. Its end, whether a warning stands, and the step that is due.
-- Reads: the facts it is given, invoices. Writes: nothing. Called by: dunning_facts.

create function billing_private.next_noon(p_at timestamptz)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select to_timestamp(ceil((extract(epoch from p_at) - 43200) / 86400) * 86400 + 43200)
  );
end;
$$;

comment on function billing_private.next_noon is
  'The first 12:00 UTC that is not before p_at: when the day before is over everywhere on earth.';

create type billing_private.dunning_fact as (
  case_id bigint,
  subject_id text,
  customer text,
  subscription text,
  policy_id bigint,
  days integer[],
  kinds text[],
  end_action text,
  anchor_invoice text,
  anchor_at timestamptz,
  ladder_from timestamptz,
  currency text,
  amount bigint,
  invoices text[],
  taken integer,
  last_mail_at timestamptz,
  warned_at timestamptz,
  warned_end timestamptz,
  announced_end timestamptz,
  is_warned_again boolean,
  is_warning_planned boolean,
  scheduled_end timestamptz,
  is_canceled boolean,
  is_warned boolean,
  is_leaving boolean,
  ends_at timestamptz,
  due integer
);

comment on type billing_private.dunning_fact is
  'An open case with something overdue: its ladder, its anchor, from when its days are counted, what is owed (minor units), the highest position taken about the anchor''s invoice; the final warning that left and the end it named; the latest end that any mail named; when the subscription is set to end by itself, and whether somebody canceled it. Of what follows (plan_dunning): whether the warning stands, whether the customer is leaving, when the case ends, the position due.';

create function billing_private.dunning_end_at(p_fact billing_private.dunning_fact, p_now timestamptz)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
declare
  last constant integer := cardinality(p_fact.days);
  day_of_end constant timestamptz := p_fact.ladder_from + p_fact.days[last] * interval '24 hours';
  -- Who is warned again has the time the policy gives, and nobody has less than three days.
  distance constant interval := interval '24 hours' * case
    when p_fact.is_warned_again or (p_fact.warned_at is not null and not p_fact.is_warned)
      then greatest(p_fact.days[last] - p_fact.days[last - 1], 3)
    else 3
  end;
begin
  return case
    when p_fact.kinds[last] <> 'end' then null
    else greatest(
      p_fact.announced_end,
      case
        when p_fact.is_warned
          then greatest(billing_private.next_noon(greatest(day_of_end, p_fact.warned_at + distance)), p_fact.warned_end)
        when p_fact.is_warning_planned then billing_private.next_noon(greatest(day_of_end, p_now + distance))
        else billing_private.next_noon(greatest(
          day_of_end,
          distance + greatest(
            p_fact.ladder_from + p_fact.days[last - 1] * interval '24 hours',
            case
              -- A mail that says less comes first.
              when p_fact.taken = 0 or p_fact.due < last - 1 then p_now + interval '20 hours'
              else greatest(p_now, p_fact.last_mail_at + interval '20 hours')
            end
          )
        ))
      end
    )
  end;
end;
$$;

comment on function billing_private.dunning_end_at is
  'When a case comes to its end if nobody pays and nothing holds it: 12:00 UTC of a day, not before the day of its policy, nor less than three days after the final warning left, nor before the end that any mail has named. Before the warning: the earliest possible. Null where its policy has no end.';

create function billing_private.plan_dunning(p_fact billing_private.dunning_fact, p_now timestamptz, p_every_end boolean default true)
returns billing_private.dunning_fact
language plpgsql
immutable
set search_path = ''
as $$
declare
  f billing_private.dunning_fact := p_fact;
  last constant integer := cardinality(p_fact.days);
  own_end timestamptz;
begin
  -- Stale: the end it named is long past, for example because the case was held. A new warning comes before the end.
  f.is_warned := coalesce(p_now <= f.warned_end + interval '168 hours', false);
  f.due := billing_private.due_dunning_step(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, null, p_now);
  if not p_every_end and f.due is null and f.taken < last - 1 then
    return f;
  end if;
  own_end := billing_private.dunning_end_at(f, p_now);
  f.ends_at := case when f.scheduled_end <= own_end then null else own_end end;
  f.is_leaving := coalesce(f.is_canceled, false) and f.ends_at is null;
  if f.ends_at is not null and f.taken = last - 1 and not f.is_warned and not f.is_warning_planned then
    -- The warning did not arrive, has grown stale, or named no end as the subscription was to end by itself before.
    f.taken := last - 2;
    f.due := billing_private.due_dunning_step(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, null, p_now);
  elsif f.taken = last - 1 and f.is_warned then
    f.due := billing_private.due_dunning_step(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, f.ends_at, p_now);
  end if;
  return f;
end;
$$;

comment on function billing_private.plan_dunning is
  'What follows from what is known of a case at p_now: whether its warning stands (seven days after the end it named it does not), whether its customer is leaving (canceled for a day before the case would end), when it ends, and which step is due. A subscription that ends by itself before is not ended by dunning. p_every_end false spares the end of a case that has nothing due and is not warned.';

create function billing_private.is_final_bill(p_subject_id text, p_subscription text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select p_subscription is null
      and exists (select from billing.invoices as i where i.id = p_subject_id and i.subscription is not null)
  );
end;
$$;

comment on function billing_private.is_final_bill is
  'Whether a case is about an invoice that was made when its subscription ended: it is asked for, and there is nothing to warn of and nothing to end.';

create function billing_private.plan_case(
  p_fact billing_private.dunning_fact, p_is_final_bill boolean, p_now timestamptz, p_every_end boolean default true
)
returns billing_private.dunning_fact
language plpgsql
immutable
set search_path = ''
as $$
declare
  f billing_private.dunning_fact := p_fact;
begin
  if not p_is_final_bill then
    return billing_private.plan_dunning(p_fact, p_now, p_every_end);
  end if;
  f.is_warned := false;
  f.is_leaving := false;
  f.due := billing_private.due_step_after_end(f.days, f.kinds, f.ladder_from, f.taken, f.last_mail_at, p_now);
  return f;
end;
$$;

comment on function billing_private.plan_case is
  'plan_dunning, and for a final invoice what follows from there being no end: no warning, nobody who leaves, no day of an end.';
