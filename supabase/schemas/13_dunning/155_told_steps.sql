-- Told steps: after a backup was restored, the mails that left since the backup are known by what they told. A step that one
-- of them told is recorded as sent when it is due, and not taken again.
-- Reads: told_facts, dunning facts. Writes: dunning_case_invoices, dunning_actions, audit_events. Called by: take_dunning_steps.

create function billing_private.step_fact(p_fact billing_private.dunning_fact, p_position integer, p_nth bigint)
returns text
language sql
immutable
set search_path = ''
as $$
  select format('step:%s:%s:%s:%s', p_fact.kinds[p_position], p_fact.subject_id, p_fact.anchor_invoice, p_nth);
$$;

comment on function billing_private.step_fact is
  'Names what a dunning mail tells of one case, by Stripe''s ids alone: the nth mail of a step about its anchor invoice. It is the same in a database that has another number for the case.';

create function billing_private.told_of_step(p_fact billing_private.dunning_fact, p_position integer)
returns bigint
language sql
stable
set search_path = ''
as $$
  select count(*)
  from billing.dunning_cases as c
  join billing.dunning_actions as d on d.case_id = c.id
  where c.customer = p_fact.customer
    and d.anchor_invoice = p_fact.anchor_invoice
    and d.kind = p_fact.kinds[p_position]
    and d.status in ('sent', 'undeliverable', 'failed');
$$;

comment on function billing_private.told_of_step is 'How many mails of a step about the anchor invoice of a case left, or may have left.';

create function billing_private.next_step_fact(p_fact billing_private.dunning_fact, p_position integer)
returns text
language sql
stable
set search_path = ''
as $$
  select billing_private.step_fact(p_fact, p_position, billing_private.told_of_step(p_fact, p_position) + 1);
$$;

comment on function billing_private.next_step_fact is 'What the next mail of a step of a case tells.';

create function billing_private.step_told_at(p_fact billing_private.dunning_fact, p_position integer)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  known constant bigint := billing_private.told_of_step(p_fact, p_position);
begin
  return billing_private.told_at(array(
    -- An attempt that came to nothing before may have been counted then, and be unknown now.
    select billing_private.step_fact(p_fact, p_position, n.nth) from generate_series(known + 1, known + 5) as n (nth)
  ));
end;
$$;

comment on function billing_private.step_told_at is
  'When a mail left that told a step of a case, and that is not known here by itself, as a backup was restored since (UTC). Null: none did.';

create function billing_private.record_told_step(p_fact billing_private.dunning_fact)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  f billing_private.dunning_fact := p_fact;
  sent_at timestamptz;
  step integer;
begin
  select s.step, billing_private.step_told_at(f, s.step)
  into step, sent_at
  from generate_series(f.taken + 1, f.due) as s (step)
  where f.kinds[s.step] <> 'end' and billing_private.step_told_at(f, s.step) is not null
  order by s.step
  limit 1;
  if step is null then
    return false;
  end if;
  -- Who was told on that day was overdue for as long by then, and the days go on from there.
  update billing.dunning_case_invoices as k
  set known_at = sent_at - f.days[step] * interval '24 hours'
  where k.invoice = f.anchor_invoice
    and k.known_at > sent_at - f.days[step] * interval '24 hours'
    and f.ladder_from > sent_at - f.days[step] * interval '24 hours'
    and f.ladder_from > k.overdue_since;
  if found then
    return true;
  end if;
  f.due := step;
  perform billing_private.record_dunning_step(
    f, 'sent', 'the mail left before a backup was restored', greatest(sent_at, f.ladder_from + f.days[step] * interval '24 hours')
  );
  return true;
end;
$$;

comment on function billing_private.record_told_step is
  'Records that a step which is due was told before a backup was restored, the lowest first; or first, from when the days of the case are counted then. Returns whether there was one.';

create function billing_private.record_told_steps(p_customer text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  fact billing_private.dunning_fact;
  has_news boolean := exists (select from billing_private.told_facts);
begin
  while has_news loop
    has_news := false;
    for fact in
      select f.* from billing_private.dunning_facts(array[p_customer], p_now) as f where f.due is not null order by f.case_id
    loop
      has_news := billing_private.record_told_step(fact) or has_news;
    end loop;
  end loop;
end;
$$;

comment on function billing_private.record_told_steps is
  'Records each step that is due of a customer''s cases and was told before a backup was restored. The caller holds the customer''s lock.';
