-- Stand-in for pg_net. Requests wait in an unlogged table, which a worker outside the server (scripts/local/net.ts)
-- empties. A row is visible to that worker only once its transaction has committed, and the table is emptied by a
-- crash: after commit, at most once, possibly never. That is the real one's promise too.

create schema net;

create domain net.http_method as text
  check (value ilike 'get' or value ilike 'post' or value ilike 'delete');

create unlogged table net.http_request_queue (
  id bigserial,
  method net.http_method not null,
  url text not null,
  headers jsonb,
  body bytea,
  timeout_milliseconds int not null
);

create unlogged table net._http_response (
  id bigint,
  status_code integer,
  content_type text,
  headers jsonb,
  content text,
  timed_out bool,
  error_msg text,
  created timestamptz not null default now()
);
create index _http_response_created_idx on net._http_response (created);

create function net._percent_encode(value text) returns text
language sql immutable strict parallel safe
set search_path = ''
as $$
  select coalesce(string_agg(
    case
      when byte between 48 and 57 or byte between 65 and 90 or byte between 97 and 122
        or byte in (45, 46, 95, 126) then chr(byte)
      else '%' || upper(lpad(to_hex(byte), 2, '0'))
    end, '' order by place), '')
  from (
    select get_byte(convert_to(value, 'UTF8'), i) as byte, i as place
    from generate_series(0, length(convert_to(value, 'UTF8')) - 1) as i
  ) as bytes
$$;

create function net._with_params(url text, params jsonb) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case
    when params is null or params = '{}'::jsonb then url
    else url || case when position('?' in url) > 0 then '&' else '?' end
      || (select string_agg(net._percent_encode(key) || '=' || net._percent_encode(value), '&' order by key)
          from jsonb_each_text(params))
  end
$$;

-- The real one reads the address with libcurl in the calling statement, and raises.
create function net._check_url(url text) returns text
language plpgsql immutable
set search_path = ''
as $$
begin
  if url is null then
    raise exception 'url must not be null';
  elsif url !~ '^[A-Za-z][A-Za-z0-9+.-]*://' then
    raise exception 'Bad scheme';
  elsif url !~* '^https?://' then
    raise exception 'Unsupported URL scheme';
  elsif url ~ '[[:space:][:cntrl:]]' then
    raise exception 'Malformed input to a URL function';
  elsif url ~* '^https?://(/|$|[?#])' then
    raise exception 'No host part in the URL';
  elsif url ~* '^https?://[^/?#]*:[^0-9/?#@][^/?#@]*([/?#]|$)' then
    raise exception 'Port number was not a decimal number between 0 and 65535';
  end if;
  return url;
end
$$;

create function net._enqueue(method text, url text, headers jsonb, body bytea, timeout_milliseconds int)
returns bigint
language plpgsql
set search_path = ''
as $$
declare
  request_id bigint;
begin
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values (method, net._check_url(url), headers, body, timeout_milliseconds)
  returning id into request_id;
  -- Delivered at commit, like the row itself.
  notify net_http_request;
  return request_id;
end
$$;

create function net.http_get(
  url text,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{}'::jsonb,
  timeout_milliseconds int default 5000
) returns bigint
language sql
set search_path = ''
as $$
  select net._enqueue('GET', net._with_params(url, params), headers, null, timeout_milliseconds)
$$;

create function net.http_delete(
  url text,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{}'::jsonb,
  timeout_milliseconds int default 5000,
  body jsonb default null
) returns bigint
language sql
set search_path = ''
as $$
  select net._enqueue(
    'DELETE', net._with_params(url, params), headers, convert_to(body::text, 'UTF8'), timeout_milliseconds)
$$;

create function net.http_post(
  url text,
  body jsonb default '{}'::jsonb,
  params jsonb default '{}'::jsonb,
  headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
  timeout_milliseconds int default 5000
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  content_type text := (
    select value from jsonb_each_text(coalesce(headers, '{}'::jsonb)) where lower(key) = 'content-type' limit 1
  );
begin
  if content_type is null then
    headers := coalesce(headers, '{}'::jsonb) || '{"Content-Type": "application/json"}'::jsonb;
  elsif content_type <> 'application/json' then
    raise exception 'Content-Type header must be "application/json"';
  end if;
  if body is null then
    raise exception 'body must not be null';
  end if;
  return net._enqueue(
    'POST', net._with_params(url, params), headers, convert_to(body::text, 'UTF8'), timeout_milliseconds);
end
$$;

grant usage on schema net to public;
grant all on all tables in schema net to public;
grant all on all sequences in schema net to public;
