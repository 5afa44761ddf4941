-- Alarms: what is red in the health view, told to the operator once an hour while it is, and once when it is over. The tick tells
-- it straight from the database; what it could not tell for five minutes, an Edge Function tells (claim_alarms).
-- Reads: the health rows, outbound_calls. Writes: alarms. Called by: the tick; duebase-health, duebase-stripe-webhook.

create table billing.alarms (
  id bigint generated always as identity primary key,
  name text not null,
  meaning text not null,
  cure text,
  began_at timestamptz not null,
  told_at timestamptz,
  last_told_at timestamptz,
  times_told integer not null default 0,
  told_by text,
  ended_at timestamptz,
  end_told_at timestamptz,
  due_at timestamptz,
  not_before timestamptz,
  request_id bigint,
  constraint told_by_is_known check (told_by in ('database', 'duebase-health', 'duebase-stripe-webhook')),
  constraint only_the_told_have_a_way check ((times_told > 0) = (told_at is not null and last_told_at is not null and told_by is not null)),
  constraint only_the_end_of_the_ended_is_told check (end_told_at is null or ended_at is not null)
);

comment on table billing.alarms is
  'One row per time that a check of billing.health was red, from its beginning to its end, and when the operator was told of it: once an hour while it is red, and once that it is over.';
comment on column billing.alarms.name is 'The check (billing.health.name).';
comment on column billing.alarms.meaning is 'What the check says, or said last while it was red.';
comment on column billing.alarms.cure is 'What to do, as the check says.';
comment on column billing.alarms.began_at is 'When it was found red (UTC).';
comment on column billing.alarms.told_at is 'When the operator was first told (UTC); null: not yet. A message that was not taken does not count.';
comment on column billing.alarms.last_told_at is 'When the operator was last told that it is red (UTC).';
comment on column billing.alarms.times_told is 'How often that was told.';
comment on column billing.alarms.told_by is 'The way of the last message: database, duebase-health or duebase-stripe-webhook.';
comment on column billing.alarms.ended_at is 'When it was found to be no longer red (UTC); null: it is red.';
comment on column billing.alarms.end_told_at is 'When the operator was told that it is over (UTC). Null: not yet, or nobody had been told of its beginning.';
comment on column billing.alarms.due_at is 'Since when the next message about it is due (UTC); null: there will be none.';
comment on column billing.alarms.not_before is 'When the next try is made (UTC), after a message that was not taken.';
comment on column billing.alarms.request_id is 'pg_net''s id of the last message while its answer is not known.';

create unique index one_open_alarm_for_each_check on billing.alarms (name) where ended_at is null;
create index alarms_unanswered on billing.alarms (request_id) where request_id is not null;
create index alarms_by_name on billing.alarms (name, last_told_at);
create index alarms_due on billing.alarms (due_at) where due_at is not null;

alter table billing.alarms enable row level security;
create policy service_role_reads on billing.alarms for select to service_role using (true);
grant select on billing.alarms to service_role;

create function billing_private.note_alarms(p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  checks constant billing_private.health_row[] := array(select h from billing_private.health(p_now, true) as h);
begin
  -- Nearly always.
  if not exists (select from unnest(checks) as c where c.status = 'red') and not exists (select from billing.alarms as a where a.ended_at is null) then
    return;
  end if;
  update billing.alarms as a
  set ended_at = p_now, due_at = case when a.times_told > 0 then p_now end, not_before = null
  where a.ended_at is null
    and not exists (select from unnest(checks) as c where c.name = a.name and c.status = 'red')
    -- What could not be looked at is not over.
    and exists (select from unnest(checks) as c where c.name = a.name or (c.name = 'health' and c.status <> 'red'));

  insert into billing.alarms as a (name, meaning, cure, began_at, due_at)
  select
    c.name, c.meaning, c.cure, p_now,
    -- Once an hour, also where it comes and goes.
    greatest(p_now, (select max(t.last_told_at) from billing.alarms as t where t.name = c.name) + interval '1 hour')
  from unnest(checks) as c
  where c.status = 'red'
  on conflict (name) where ended_at is null do update
    set meaning = excluded.meaning, cure = excluded.cure
    where (a.meaning, a.cure) is distinct from (excluded.meaning, excluded.cure);
end;
$$;

comment on function billing_private.note_alarms is
  'Begins an alarm for each check that is red at p_now and has none, and ends those whose check is red no longer.';

create function billing_private.due_alarms(p_due_before timestamptz, p_tried_before timestamptz)
returns bigint[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select array_agg(a.id order by a.ended_at is not null, a.id)
    from billing.alarms as a
    where a.due_at <= p_due_before and coalesce(a.not_before - interval '5 minutes', '-infinity') <= p_tried_before
  );
end;
$$;

comment on function billing_private.due_alarms is
  'Alarms of which something has been to be told since p_due_before, and of which no message was refused after p_tried_before; null: none.';

create function billing_private.alarm_message(p_alarms bigint[])
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'title', format(
      '%s: %s',
      (select s.app_name from billing.settings as s),
      concat_ws(
        ', ',
        case when count(*) filter (where a.ended_at is null) > 0
          then billing_private.counted(count(*) filter (where a.ended_at is null), 'thing is wrong', 'things are wrong') end,
        case when count(*) filter (where a.ended_at is not null) > 0
          then billing_private.counted(count(*) filter (where a.ended_at is not null), 'alarm is over', 'alarms are over') end
      )
    ),
    'lines', jsonb_agg(
      case
        when a.ended_at is not null then format(
          'OVER %s: it was red for %s, from %s UTC on', a.name, billing_private.in_words(a.ended_at - a.began_at),
          to_char(a.began_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
        )
        else format('RED %s: %s. To do: %s', a.name, a.meaning, a.cure)
      end
      order by a.ended_at is not null, a.id
    )
  )
  from billing.alarms as a
  where a.id = any (p_alarms);
$$;

comment on function billing_private.alarm_message is
  'What the operator is told of these alarms, {title, lines}, one line each: the same by every way.';

create function billing_private.record_told(p_alarms bigint[], p_way text, p_request_id bigint, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  update billing.alarms as a
  set
    told_at = coalesce(a.told_at, p_now),
    last_told_at = case when a.ended_at is null then p_now else a.last_told_at end,
    times_told = a.times_told + (a.ended_at is null)::integer,
    told_by = p_way,
    end_told_at = case when a.ended_at is not null then p_now end,
    due_at = case when a.ended_at is null then p_now + interval '1 hour' end,
    not_before = null,
    request_id = p_request_id
  where a.id = any (p_alarms);
$$;

comment on function billing_private.record_told is
  'Notes that a message about these alarms has left. p_request_id: pg_net''s, whose answer is to come; null where it was handed to an Edge Function.';

create function billing_private.record_not_told(p_alarms bigint[], p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  -- Of the end.
  update billing.alarms as a
  set end_told_at = null, due_at = a.ended_at, not_before = p_now + interval '5 minutes', request_id = null
  where a.id = any (p_alarms) and a.end_told_at is not null;

  -- Of what is red, for the second time or later: it was due an hour after the time before, and is due still.
  update billing.alarms as a
  set
    times_told = a.times_told - 1, last_told_at = a.last_told_at - interval '1 hour',
    due_at = coalesce(a.ended_at, a.last_told_at), not_before = p_now + interval '5 minutes', request_id = null
  where a.id = any (p_alarms) and a.end_told_at is null and a.times_told > 1 and a.not_before is null;

  -- For the first time. Who was not told that it began is not told that it ended.
  update billing.alarms as a
  set
    times_told = 0, told_at = null, last_told_at = null, told_by = null,
    due_at = case when a.ended_at is null then a.began_at end, not_before = p_now + interval '5 minutes', request_id = null
  where a.id = any (p_alarms) and a.end_told_at is null and a.times_told = 1 and a.not_before is null;
$$;

comment on function billing_private.record_not_told is
  'Takes back that the last message about these alarms was told: it was not taken. It stays due, and is tried again after five minutes, or by another way before that.';

create function billing_private.read_alarm_answer(p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  asked record;
  answer record;
begin
  select max(a.request_id) as request_id, array_agg(a.id) as alarms into asked
  from billing.alarms as a
  where a.request_id is not null;
  if asked.request_id is null then
    return true;
  elsif exists (select from billing_private.outbound_requests as q where q.job = 'alarms' and q.request_id = asked.request_id) then
    return false;
  end if;
  select c.request_id, c.bad_in_a_row into answer from billing.outbound_calls as c where c.job = 'alarms';
  if answer.request_id = asked.request_id and answer.bad_in_a_row = 0 then
    update billing.alarms as a set request_id = null where a.id = any (asked.alarms);
  else
    -- Not taken; or a crash lost what came of it, and it is told twice rather than not at all.
    perform billing_private.record_not_told(asked.alarms, p_now);
  end if;
  return true;
end;
$$;

comment on function billing_private.read_alarm_answer is
  'Notes whether the last message that left the database was taken. False: its answer is not known yet, and no other one leaves before that.';

create function billing_private.alert_address()
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select nullif(btrim(max(s.decrypted_secret)), '') from vault.decrypted_secrets as s where s.name = 'duebase_alert_webhook_url'
  );
exception when invalid_schema_name or undefined_table or insufficient_privilege then
  return null;
end;
$$;

comment on function billing_private.alert_address is 'Where alarms are posted, from Vault; null: Vault has none.';

create function billing_private.chat_text(p_text text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  -- As _duebase/alert-webhook.ts does it: what a customer wrote, in an error that quotes it, calls nobody and links nowhere.
  return replace(
    regexp_replace(replace(replace(replace(p_text, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '@(?=\w)', '@' || chr(8203), 'g'),
    '](', ']' || chr(8203) || '('
  );
end;
$$;

comment on function billing_private.chat_text is 'Text as a chat shows it and nothing else: without mentions, links and markup.';

create function billing_private.tell_alarms(p_now timestamptz default now())
returns integer
language plpgsql
set search_path = ''
as $$
declare
  is_free boolean;
  due bigint[];
  address text;
  message jsonb;
  problem text;
begin
  -- An Edge Function may be at it.
  if not pg_try_advisory_xact_lock(hashtextextended('alarms', 7310)) then
    return 0;
  end if;
  is_free := billing_private.read_alarm_answer(p_now);
  perform billing_private.note_alarms(p_now);
  if not is_free then
    return 0;
  end if;
  due := billing_private.due_alarms(p_now, p_now - interval '5 minutes');
  address := case when due is not null then billing_private.alert_address() end;
  -- Without an address they stay due, and the health view says so.
  if address is null then
    return 0;
  end if;
  message := billing_private.alarm_message(due);
  problem := billing_private.call_out(
    'alarms', null, address, '{}',
    jsonb_build_object('text', billing_private.chat_text(
      concat_ws(E'\n', message ->> 'title', (select string_agg(l.line, E'\n') from jsonb_array_elements_text(message -> 'lines') as l (line)))
    )),
    5000
  );
  if problem is not null then
    return 0;
  end if;
  perform billing_private.record_told(
    due, 'database', (select max(q.request_id) from billing_private.outbound_requests as q where q.job = 'alarms'), p_now
  );
  return cardinality(due);
end;
$$;

comment on function billing_private.tell_alarms is
  'Begins and ends alarms by the health rows, and posts those that are due in one message, to duebase_alert_webhook_url in Vault. In mirror mode too. Run by the tick every minute. Returns how many it told.';

create function billing.claim_alarms(p_way text, p_now timestamptz default now())
returns jsonb
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  late constant boolean := billing_private.is_tick_late(p_now);
  due bigint[];
begin
  -- Asked with many requests, and nearly always in vain.
  if not late and not exists (select from billing.alarms as a where a.due_at <= p_now - interval '5 minutes') then
    return jsonb_build_object('alarms', '[]'::jsonb);
  elsif not pg_try_advisory_xact_lock(hashtextextended('alarms', 7310)) then
    return jsonb_build_object('alarms', '[]'::jsonb);
  end if;
  if late then
    perform billing_private.note_alarms(p_now);
  end if;
  due := billing_private.due_alarms(case when late then p_now else p_now - interval '5 minutes' end, p_now - interval '1 minute');
  if due is null then
    return jsonb_build_object('alarms', '[]'::jsonb);
  end if;
  perform billing_private.record_told(due, p_way, null, p_now);
  return billing_private.alarm_message(due) || jsonb_build_object('alarms', to_jsonb(due));
end;
$$;

comment on function billing.claim_alarms is
  'For duebase-health and duebase-stripe-webhook (p_way): what the database should have told five minutes ago and did not, {title, lines, alarms}; alarms is empty where there is nothing to tell. Where no tick ran for five minutes, it looks at the health rows first. What is returned counts as told: call release_alarms with its alarms where the message was not taken.';

create function billing.release_alarms(p_alarms bigint[], p_now timestamptz default now())
returns integer
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  perform billing_private.record_not_told(p_alarms, p_now);
  return cardinality(p_alarms);
end;
$$;

comment on function billing.release_alarms is
  'For whoever claimed alarms and could not tell them: they are due again in five minutes. Returns how many.';

grant execute on function billing.claim_alarms(text, timestamptz), billing.release_alarms(bigint[], timestamptz) to service_role;
