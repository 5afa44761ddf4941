-- Going live, and back to mirror mode; and what a project does after a backup was restored.
-- Reads: outbox, old debts, seats. Writes: settings, restores, outbox, seat_counts, job_problems, audit_events. Called by: operators; `duebase go-live`.

create function billing_private.unready_settings(p_project_ref text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('setting', u.name, 'problem', u.problem) order by u.place), '[]')
    from billing.settings as s
    cross join lateral (
      values
        (1, 'app_name', case when s.app_name = 'Example App' then 'is still Example App: name your product' end),
        (2, 'app_url', case when p_project_ref <> 'local' then billing_private.loopback_problem(s.app_url) end),
        (3, 'billing_url', case when p_project_ref <> 'local' then billing_private.loopback_problem(s.billing_url) end),
        (4, 'email_from', case when coalesce(btrim(s.email_from), '') = '' then 'is not set: name the sender of mail, at a domain verified with Resend' end)
    ) as u (place, name, problem)
    where u.problem is not null
  );
end;
$$;

comment on function billing_private.unready_settings is
  'What is not set yet in billing.settings and has to be before a project goes live, [{setting, problem}, …]; empty: nothing. A local stack may have local addresses.';

create function billing_private.describe_mode(p_now timestamptz)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'mode', s.mode, 'project_ref', s.project_ref, 'live_since', s.live_since, 'adopted_at', s.adopted_at,
      'withheld', (select count(*) from billing.outbox as o where o.status = 'withheld'),
      'old_debts', (select count(*) from billing.old_debts(p_now))
    )
    from billing.settings as s
  );
end;
$$;

comment on function billing_private.describe_mode is 'The mode and what hangs on it, as go_live and back_to_mirror answer: {mode, project_ref, live_since, adopted_at, withheld, old_debts}.';

create function billing_private.finish_restore(p_now timestamptz)
returns billing.restores
language plpgsql
set search_path = ''
as $$
declare
  restore billing.restores;
begin
  select * into restore from billing.restores as r where r.finished_at is null for update;
  if restore.id is null then
    return null;
  elsif restore.matched_at is null then
    perform billing_private.raise_error(
      'DU084', format('a backup of %s was restored, and what left since is not matched', to_char(restore.backup_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
    );
  end if;
  update billing.restores as r set finished_at = p_now where r.id = restore.id;
  return restore;
end;
$$;

comment on function billing_private.finish_restore is
  'Ends the restore of a backup, as the project goes live again. Returns it; null where none is under way. Raises DU084 where it is not matched.';

create function billing.go_live(p_project_ref text, p_now timestamptz default now())
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  before billing.settings;
  restore billing.restores;
  problems constant jsonb := billing_private.unready_settings(p_project_ref);
begin
  if coalesce(p_project_ref, '') !~ '^[a-z0-9][a-z0-9.-]{0,99}$' then
    perform billing_private.raise_error('DU082', format('%L is not the reference of a project', p_project_ref));
  elsif problems <> '[]' then
    perform billing_private.raise_error_with(
      'DU081',
      'cannot go live: ' || (
        select string_agg((p.one ->> 'setting') || ' ' || (p.one ->> 'problem'), '; ') from jsonb_array_elements(problems) as p (one)
      ),
      problems
    );
  end if;
  select * into before from billing.settings as s for update;
  if before.mode = 'live' and before.project_ref = p_project_ref then
    return billing_private.describe_mode(p_now);
  end if;
  restore := billing_private.finish_restore(p_now);
  perform billing_private.withhold_pending_writes(
    case when restore.id is not null then 'restored' when before.mode = 'live' then 'copy' else 'before_go_live' end, p_now
  );
  update billing.settings as s
  set
    mode = 'live',
    project_ref = p_project_ref,
    -- A project whose backup was restored was live all the time, and what fell overdue meanwhile is no old debt.
    live_since = case when restore.id is not null then coalesce(s.live_since, p_now) else p_now end,
    adopted_at = case
      when restore.id is not null and s.live_since is not null then s.adopted_at
      -- The date that going live set before is not one that a person chose: what fell overdue in mirror mode is old as well.
      when s.adopted_at is null or s.adopted_at = s.live_since then p_now
      else s.adopted_at
    end,
    -- Of transactions that are under way too: their ids have been given out.
    withheld_up_to = (select case when q.is_called then q.last_value else 0 end from billing.outbox_id_seq as q)
  where s.id;
  -- What Stripe has of the seats is of today, and not of before: it follows the members from now on.
  perform billing_private.note_seats_of(
    array(
      select t.owner_id from billing.seats as t where t.status = 'enqueued'
      union
      -- Of these a look may be under way that still sees mirror mode.
      select n.owner_id from billing_private.seat_counts as n
    ),
    p_now
  );
  perform billing_private.record_job_problem('project', null, p_now);
  perform billing_private.audit(
    'billing.went_live', 'operator', p_project_ref, null,
    jsonb_build_object('before', before.mode, 'project_ref_before', before.project_ref), p_now
  );
  return billing_private.describe_mode(p_now);
end;
$$;

comment on function billing.go_live is
  'From now on emails are sent, writing calls made at Stripe, and what falls overdue is dunned, by the functions of the project p_project_ref alone. What happened before is told to nobody, and what was overdue before is in billing.old_debts, unless a person releases it. Returns {mode, project_ref, live_since, adopted_at, withheld, old_debts}. Again for the same project it changes nothing. After a restore of its backup it goes on where it was. Raises DU081 while the name, an address or the sender in billing.settings is a default; DU082; DU084 while a restore is not matched.';

create function billing.back_to_mirror(p_now timestamptz default now())
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  before text;
begin
  select s.mode into before from billing.settings as s for update;
  update billing.settings as s set mode = 'mirror' where s.id and s.mode <> 'mirror';
  -- What a worker holds is asked about once more before its first call, and withheld then.
  perform billing_private.withhold_pending_writes('mirror', p_now);
  if before <> 'mirror' then
    perform billing_private.audit('billing.went_back_to_mirror', 'operator', null, null, '{}', p_now);
  end if;
  return billing_private.describe_mode(p_now);
end;
$$;

comment on function billing.back_to_mirror is
  'Stops everything: from now on no email and no writing call at Stripe begins. What waits is withheld; a call that is under way in this moment comes to its end. Open dunning cases stay open, and close when they are paid; no step is taken until the project goes live again. Returns as go_live does.';
