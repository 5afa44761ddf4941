-- Outbound calls: what the database asks others to do through pg_net, and what they answered. pg_net keeps an answer for six
-- hours in a table that nobody reads, so a wrong secret or a function that is not deployed would show nowhere.
-- Reads: pg_net's answers. Writes: outbound_requests, outbound_calls, job_problems. Called by: call_out; the tick.

-- Unlogged, as pg_net's own tables are: a crash loses what waits in both.
create unlogged table billing_private.outbound_requests (
  id bigint generated always as identity primary key,
  job text not null,
  function_name text,
  url text,
  asked_at timestamptz not null,
  request_id bigint,
  error text,
  constraint sent_or_refused check ((request_id is null) = (error is not null))
);

comment on table billing_private.outbound_requests is
  'Calls whose answer was not read yet, at most one a minute and job. A row goes when the answer is read, or has not come for two minutes.';
comment on column billing_private.outbound_requests.job is 'What asked, as in billing.outbound_calls.';
comment on column billing_private.outbound_requests.function_name is 'The Edge Function that was asked; null where another address was.';
comment on column billing_private.outbound_requests.url is 'Its address, without what could be secret; of another address only scheme and host.';
comment on column billing_private.outbound_requests.error is 'Why it could not be asked; null where it was.';
comment on column billing_private.outbound_requests.request_id is 'pg_net''s id of the request; null where it could not be asked.';
comment on column billing_private.outbound_requests.asked_at is 'By the clock of the server, as pg_net''s answers are (UTC).';

alter table billing_private.outbound_requests enable row level security;
create policy nobody_reads on billing_private.outbound_requests using (false);

create table billing.outbound_calls (
  job text primary key,
  function_name text,
  url text,
  asked_at timestamptz not null,
  request_id bigint,
  answered_at timestamptz,
  status integer,
  error text,
  is_ours boolean not null,
  release text,
  bad_in_a_row integer not null default 0,
  bad_since timestamptz,
  last_ok_at timestamptz,
  last_bad_at timestamptz,
  last_bad text,
  problem text,
  constraint answered_or_not check (status is null or answered_at is not null),
  constraint bad_ones_have_a_beginning check ((bad_in_a_row > 0) = (bad_since is not null)),
  constraint only_a_bad_answer_is_a_problem check (problem is null or bad_in_a_row > 0)
);

comment on table billing.outbound_calls is
  'The calls that the database makes through pg_net, one row per job: the last one that is over, what came back, and what is wrong. Read from pg_net every minute, as pg_net forgets answers after six hours. Of several calls in a minute one is shown.';
comment on column billing.outbound_calls.job is 'What is called for: deliver, dunning, …, as in job_problems.';
comment on column billing.outbound_calls.function_name is 'The Edge Function; null for another address.';
comment on column billing.outbound_calls.url is
  'Where to, without user, password and query; for what is no function of ours, without the path too. Null where no address is known.';
comment on column billing.outbound_calls.asked_at is 'When the database last asked (UTC).';
comment on column billing.outbound_calls.request_id is 'pg_net''s id of that request; null: it could not be asked, and error says why.';
comment on column billing.outbound_calls.answered_at is 'When its answer came (UTC); null: none came.';
comment on column billing.outbound_calls.status is 'HTTP status of the answer; null: none came.';
comment on column billing.outbound_calls.error is 'What pg_net says where there was no answer; signature_too_old or signature_too_new where the function says so; or what stood in the way of asking.';
comment on column billing.outbound_calls.is_ours is 'Whether a function of Duebase answered: it names its release in a header. False for another address.';
comment on column billing.outbound_calls.release is 'The release of the function, as it last named it; null: none of ours has answered yet.';
comment on column billing.outbound_calls.bad_in_a_row is 'Calls in a row that did not come to the right answer; 0: the last one did.';
comment on column billing.outbound_calls.bad_since is 'When the first of these was made (UTC).';
comment on column billing.outbound_calls.last_ok_at is 'When a call was last made that came to the right answer (UTC).';
comment on column billing.outbound_calls.last_bad_at is 'When a call was last made that did not (UTC).';
comment on column billing.outbound_calls.last_bad is 'What that one means and what to do, also after calls have succeeded again.';
comment on column billing.outbound_calls.problem is
  'What is wrong now and what to do, also in job_problems; null: nothing. What passes by itself (no answer, 5xx, a late call) is one from the second in a row.';

alter table billing.outbound_calls enable row level security;
create policy service_role_reads on billing.outbound_calls for select to service_role using (true);
grant select on billing.outbound_calls to service_role;

create function billing_private.note_outbound_call(
  p_job text, p_function_name text, p_url text, p_request_id bigint, p_error text
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  called_at constant timestamptz := clock_timestamp();
  -- Who calls may have a secret in any part of the address but the host, a function's path apart.
  safe_url constant text := regexp_replace(regexp_replace(p_url, '^([a-z]+://)[^/?#]*@', '\1', 'i'), '[?#].*$', '');
begin
  -- No row is shared with another transaction: nobody waits here.
  if exists (
    select from billing_private.outbound_requests as q where q.job = p_job and q.asked_at > called_at - interval '1 minute'
  ) then
    return;
  end if;
  -- Where no tick reads the answers, the rows stay few all the same.
  delete from billing_private.outbound_requests as q
  where q.id in (
    select o.id
    from billing_private.outbound_requests as o
    where o.asked_at < called_at - interval '1 hour'
    limit 100
    for update skip locked
  );
  insert into billing_private.outbound_requests (job, function_name, url, asked_at, request_id, error)
  values (
    p_job, p_function_name,
    left(case when p_function_name is null then substring(safe_url from '^[a-zA-Z]+://[^/]*') else safe_url end, 500),
    called_at, p_request_id, left(p_error, 500)
  );
end;
$$;

comment on function billing_private.note_outbound_call is
  'Notes a call for the ledger, or what stood in the way of it; of several in a minute the first.';

create function billing_private.outbound_problem(
  p_function_name text, p_status integer, p_error text, p_is_ours boolean
)
returns text
language sql
immutable
set search_path = ''
as $$
  select case
    when p_function_name is null then
      case
        when p_status between 200 and 299 then null
        when p_status is not null then format('it answered %s: correct the address', p_status)
        else format('it did not answer (%s): correct the address, or put right what it leads to', coalesce(p_error, 'nothing came within two minutes'))
      end
    when p_status between 200 and 299 and p_is_ours then null
    when p_status = 401 and p_is_ours and p_error like 'signature_too_%' then
      format('%s refuses the time of the call: it came more than 60 seconds after it was signed, or the clocks of database and functions differ by as much; npx duebase doctor compares them', p_function_name)
    when p_status = 401 and p_is_ours then
      format('%s refuses the signature: duebase_cron_secret in Vault and DUEBASE_CRON_SECRET of the Edge Functions differ; store the same under both', p_function_name)
    when p_status in (401, 403) then
      format('the platform refuses the call to %1$s before the function sees it: deploy it with verify_jwt = false under [functions.%1$s] in supabase/config.toml', p_function_name)
    when p_status = 404 then
      format('%1$s is not deployed (404): supabase functions deploy %1$s; or duebase_functions_url in Vault is the address of another project', p_function_name)
    when p_status >= 500 and not p_is_ours then
      format('%s does not start (%s): a secret is missing or blank; the log of the function names it', p_function_name, p_status)
    when p_status >= 500 then format('%s fails (%s): its log says why', p_function_name, p_status)
    when p_is_ours then
      format('%s does not take the call (%s): duebase_functions_url in Vault redirects; store the address that it leads to', p_function_name, p_status)
    when p_status is not null then
      format('what answered (%s) is not %s: duebase_functions_url in Vault is to be https://<project ref>.supabase.co/functions/v1', p_status, p_function_name)
    when p_error is null then
      'pg_net sent nothing, or nothing came back within two minutes: select net.worker_restart() restarts its worker'
    else format('%s did not answer (%s): check duebase_functions_url in Vault', p_function_name, p_error)
  end;
$$;

comment on function billing_private.outbound_problem is
  'What an answer means and what to do about it, for the operator; null: it is the right one. Without status there was no answer; without error too, not even from pg_net.';

create function billing_private.net_answers(p_request_ids bigint[], p_since timestamptz)
returns table (request_id bigint, answered_at timestamptz, status integer, error text, is_ours boolean, release text)
language plpgsql
set search_path = ''
as $$
begin
  return query
    select
      r.id, r.created, r.status_code,
      case
        when r.timed_out then left(coalesce(r.error_msg, 'timeout'), 300)
        -- The code alone: whose answer that is, is not known.
        when r.status_code = 401 then substring(r.content from '"code":"(signature_too_(?:old|new))"')
        else left(r.error_msg, 300)
      end,
      h.release is not null,
      left(h.release, 50)
    from net._http_response as r
    cross join lateral (
      select max(e.value) as release from jsonb_each_text(r.headers) as e where lower(e.key) = 'duebase-release'
    ) as h
    -- pg_net's table has an index by time only.
    where r.created >= p_since and r.id = any (p_request_ids);
-- Without pg_net nothing was answered; call_out says that it is gone.
exception when invalid_schema_name or undefined_table or undefined_column or insufficient_privilege then
  return;
end;
$$;

comment on function billing_private.net_answers is 'pg_net''s answers to requests made since then, as far as they have come.';

create function billing_private.record_outbound_answer(
  p_call billing_private.outbound_requests, p_answered_at timestamptz, p_status integer, p_error text, p_is_ours boolean,
  p_release text
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  bad constant text := case
    when p_call.request_id is null then p_call.error
    else billing_private.outbound_problem(p_call.function_name, p_status, p_error, p_is_ours)
  end;
  -- A lost wake-up, a late one or a restart is none of the operator's business; two in a row are.
  may_pass constant boolean := p_call.request_id is not null
    and (p_status is null or p_status >= 500 or (p_status = 401 and p_is_ours and coalesce(p_error, '') like 'signature_too_%'));
  problem_now text;
begin
  insert into billing.outbound_calls as c (
    job, function_name, url, asked_at, request_id, answered_at, status, error, is_ours, release,
    bad_in_a_row, bad_since, last_ok_at, last_bad_at, last_bad, problem
  )
  values (
    p_call.job, p_call.function_name, p_call.url, p_call.asked_at, p_call.request_id, p_answered_at, p_status, p_error, p_is_ours, p_release,
    (bad is not null)::integer, case when bad is not null then p_call.asked_at end, case when bad is null then p_call.asked_at end,
    case when bad is not null then p_call.asked_at end, bad, case when not may_pass then bad end
  )
  on conflict (job) do update set
    function_name = excluded.function_name,
    url = excluded.url,
    asked_at = excluded.asked_at,
    request_id = excluded.request_id,
    answered_at = excluded.answered_at,
    status = excluded.status,
    error = excluded.error,
    is_ours = excluded.is_ours,
    release = coalesce(excluded.release, c.release),
    bad_in_a_row = case when bad is null then 0 else c.bad_in_a_row + 1 end,
    bad_since = case when bad is not null then coalesce(c.bad_since, excluded.bad_since) end,
    last_ok_at = coalesce(excluded.last_ok_at, c.last_ok_at),
    last_bad_at = coalesce(excluded.last_bad_at, c.last_bad_at),
    last_bad = coalesce(excluded.last_bad, c.last_bad),
    problem = case when not may_pass or c.bad_in_a_row > 0 then bad end
  returning c.problem into problem_now;
  return problem_now;
end;
$$;

comment on function billing_private.record_outbound_answer is
  'Keeps in outbound_calls what became of a call. Returns what is wrong with the job''s calls now, or null.';

create function billing_private.read_outbound_answers(p_now timestamptz default now())
returns integer
language plpgsql
set search_path = ''
as $$
declare
  oldest timestamptz;
  request_ids bigint[];
  done integer := 0;
  finished record;
begin
  select min(q.asked_at), array_agg(q.request_id) filter (where q.request_id is not null)
  into oldest, request_ids
  from billing_private.outbound_requests as q;
  if oldest is null then
    return 0;
  end if;
  for finished in
    select q as call, a.answered_at, a.status, coalesce(q.error, a.error) as error, coalesce(a.is_ours, false) as is_ours, a.release
    from billing_private.outbound_requests as q
    left join billing_private.net_answers(request_ids, oldest - interval '1 minute') as a on a.request_id = q.request_id
    where q.error is not null or a.request_id is not null or q.asked_at <= p_now - interval '2 minutes'
    order by q.asked_at
  loop
    delete from billing_private.outbound_requests as q where q.id = (finished.call).id;
    perform billing_private.record_job_problem(
      (finished.call).job,
      billing_private.record_outbound_answer(
        finished.call, finished.answered_at, finished.status, finished.error, finished.is_ours, finished.release
      ),
      p_now
    );
    done := done + 1;
  end loop;
  return done;
end;
$$;

comment on function billing_private.read_outbound_answers is
  'Reads what pg_net was answered, keeps it in outbound_calls, and in job_problems what is wrong. Run by the tick every minute. Returns how many calls are over: answered, refused, or without an answer for two minutes.';
