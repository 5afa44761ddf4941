-- Mode: whether things are done here, or only mirrored; and for whom: functions of another project than the one that
-- went live work on a copy, and do nothing either.
-- Reads: settings, the request's headers. Writes: nothing. Called by: whatever decides on an effect, or hands one out.

create function billing_private.calling_project()
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  -- The Data API gives each transaction the headers of its request, with lower-case names.
  return nullif(btrim(nullif(current_setting('request.headers', true), '')::jsonb ->> 'duebase-project'), '');
end;
$$;

comment on function billing_private.calling_project is
  'Reference of the project whose function is calling, as each function of Duebase says in the header duebase-project; null for everybody else.';

create function billing_private.mode_here(p_must_be_named boolean default false)
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  caller constant text := billing_private.calling_project();
  is_api_call constant boolean := coalesce(current_setting('request.headers', true), '') <> '';
  known record;
begin
  select s.mode, s.project_ref into known from billing.settings as s;
  return case
    when known.mode is distinct from 'live' then 'mirror'
    when caller <> known.project_ref or (p_must_be_named and is_api_call and caller is null) then 'copy'
    else 'live'
  end;
end;
$$;

comment on function billing_private.mode_here is
  'Whether things are done at this moment: live; mirror, they are not; copy, they are not by this caller, whose project is not the one that went live. Who names no project may be the application, or SQL: p_must_be_named takes whoever comes through the Data API without a name for another project.';

create function billing_private.is_write(p_kind text)
returns boolean
language sql
immutable parallel safe
set search_path = ''
as $$ select p_kind not in ('refresh', 'alert') $$;

comment on function billing_private.is_write is
  'Whether effects of a kind change something for a customer or at Stripe. Not a refresh, which reads, nor an alert, which tells the operator; every other kind is a write, also one that is added.';

create function billing_private.require_live_mode(p_is_for_functions boolean default true)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if billing_private.mode_here(p_is_for_functions) <> 'live' then
    perform billing_private.raise_error('DU080', 'billing is in mirror mode: nothing can be bought or changed here yet');
  end if;
end;
$$;

comment on function billing_private.require_live_mode is 'Raises DU080 unless the project is live, and the caller''s. p_is_for_functions: whether the caller must say which project it runs in, as our functions do; an application''s server does not.';
