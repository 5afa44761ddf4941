-- Calls out: how the database asks an Edge Function, or another address, to do something. Sent after commit, at most once.
-- Reads: Vault, outbound_calls. Writes: outbound_requests, job_problems. Called by: wake-ups, the daily run.

create extension if not exists pg_net with schema extensions;

create function billing_private.functions_address()
returns table (url text, secret text, problem text)
language plpgsql
stable
set search_path = ''
as $$
begin
  select
    rtrim(btrim(max(s.decrypted_secret) filter (where s.name = 'duebase_functions_url')), '/'),
    btrim(max(s.decrypted_secret) filter (where s.name = 'duebase_cron_secret'))
  into url, secret
  from vault.decrypted_secrets as s
  where s.name in ('duebase_functions_url', 'duebase_cron_secret');
  problem := case
    when coalesce(url, '') = '' then
      'Vault has no secret duebase_functions_url: store the address of the Edge Functions under that name'
    when coalesce(secret, '') = '' then
      'Vault has no secret duebase_cron_secret: store the DUEBASE_CRON_SECRET of the Edge Functions under that name'
    when url !~* '^https?://[^/]' then
      'duebase_functions_url in Vault is not an http(s) address: it begins with https://'
  end;
  return next;
exception when invalid_schema_name or undefined_table then
  problem := 'Vault is not there: create extension supabase_vault with schema vault; then store duebase_functions_url and duebase_cron_secret in it';
  return next;
end;
$$;

comment on function billing_private.functions_address is
  'Where the Edge Functions are and the secret that calls of them are signed with, from Vault; or what is missing.';

-- By the server's own sha256: pgcrypto may be missing, or lie in any schema, in a project that was there before us.
create function billing_private.hmac_sha256(p_key bytea, p_message bytea)
returns bytea
language plpgsql
immutable
strict
set search_path = ''
as $$
declare
  -- RFC 2104: a key longer than a block of the hash is hashed first.
  key constant bytea := case when length(p_key) > 64 then sha256(p_key) else p_key end;
  inner_pad bytea := decode(repeat('36', 64), 'hex');
  outer_pad bytea := decode(repeat('5c', 64), 'hex');
begin
  for i in 0 .. length(key) - 1 loop
    inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
    outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
  end loop;
  return sha256(outer_pad || sha256(inner_pad || p_message));
end;
$$;

comment on function billing_private.hmac_sha256 is 'HMAC-SHA-256 of a message under a key, as RFC 2104 defines it.';

create function billing_private.sign_call(p_secret text, p_function_name text, p_body jsonb, p_at timestamptz)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  seconds constant bigint := extract(epoch from p_at)::bigint;
  -- pg_net sends jsonb as this text.
  signed constant text := format('%s.%s.%s', seconds, p_function_name, p_body);
begin
  return format(
    't=%s,v1=%s', seconds,
    encode(billing_private.hmac_sha256(convert_to(p_secret, 'UTF8'), convert_to(signed, 'UTF8')), 'hex')
  );
end;
$$;

comment on function billing_private.sign_call is
  'The header duebase-signature of a call: its time, and an HMAC of time, function and body under the cron secret. The secret itself never travels: pg_net keeps headers in a table that others may read. The function takes the signature for 60 seconds.';

create function billing_private.call_out(
  p_job text, p_function_name text, p_url text, p_headers jsonb, p_body jsonb, p_timeout_milliseconds integer
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  request_id bigint;
  problem text;
begin
  begin
    request_id := net.http_post(
      url => p_url,
      body => p_body,
      headers => jsonb_build_object('content-type', 'application/json') || p_headers,
      timeout_milliseconds => p_timeout_milliseconds
    );
  -- pg_net refuses an address it cannot read in the very statement that asks. The caller has more to commit than the
  -- call: an alert, a run that is missing.
  exception
    when invalid_schema_name or undefined_function then
      problem := 'pg_net is not there: create extension pg_net with schema extensions';
    when others then
      problem := format('%s could not be called through pg_net: %s (%s)', coalesce(p_function_name, p_job), sqlerrm, sqlstate);
  end;
  perform billing_private.note_outbound_call(p_job, p_function_name, p_url, request_id, problem);
  return problem;
end;
$$;

comment on function billing_private.call_out is
  'Posts to an address through pg_net: sent after commit, at most once, possibly never. Notes the call for outbound_calls. Returns null, or what stands in the way of it; does not raise what pg_net raises.';

create function billing_private.call_function(p_name text)
returns text
language plpgsql
set search_path = ''
as $$
declare
  job constant text := replace(p_name, 'duebase-', '');
  body constant jsonb := jsonb_build_object();
  address record;
begin
  select * into address from billing_private.functions_address();
  if address.problem is not null then
    perform billing_private.note_outbound_call(job, p_name, null, null, address.problem);
    return address.problem;
  end if;
  -- pg_net sends in batches and waits for the slowest of each, so no call may take long: a function answers at once
  -- and works on afterwards.
  return billing_private.call_out(
    job, p_name, address.url || '/' || p_name,
    -- By the clock of the server, which the function compares with its own.
    jsonb_build_object('duebase-signature', billing_private.sign_call(address.secret, p_name, body, clock_timestamp())),
    body, 2000
  );
end;
$$;

comment on function billing_private.call_function is
  'Asks an Edge Function to run. Returns null, or what stands in the way of a call, which outbound_calls shows too.';

create function billing_private.start_function(p_name text, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  job_name constant text := replace(p_name, 'duebase-', '');
  in_the_way constant text := billing_private.call_function(p_name);
begin
  perform billing_private.record_job_problem(
    job_name,
    -- That it could be asked does not say that it answers: until it does, what its last answer meant stands.
    coalesce(in_the_way, (select c.problem from billing.outbound_calls as c where c.job = job_name and c.request_id is not null)),
    p_now
  );
  return in_the_way is null;
end;
$$;

comment on function billing_private.start_function is
  'Calls an Edge Function and keeps in job_problems what stands in the way, or what was wrong with its last answer. Returns whether it called.';
