-- Dispatch: the rows of event_handlers as code. Looking the handlers up and planning their calls anew would cost
-- every event a tenth of its time, so the function that calls them is written again whenever the rows change.
-- Reads: event_handlers. Called by: projection.

create function billing_private.lock_customer(p_event billing.stripe_events)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- One lock and only one, so that no two projections can wait for each other.
  return pg_advisory_xact_lock(hashtextextended(coalesce(p_event.customer_id, p_event.object_id, p_event.id), 7305)) is not null;
end;
$$;

comment on function billing_private.lock_customer is
  'Makes projections of one customer take turns until commit; events without a customer take turns by object. 7305 keeps the keys apart from other users of advisory locks. Returns true once it holds the lock.';

create function billing_private.lock_customers(p_customer_ids text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  one text;
begin
  for one in select distinct c.id collate "C" from unnest(p_customer_ids) as c (id) order by 1 loop
    perform pg_advisory_xact_lock(hashtextextended(one, 7305));
  end loop;
end;
$$;

comment on function billing_private.lock_customers is
  'The locks of several customers, for what concerns them and is no event of theirs. Taken in one order, and before anything else.';

create function billing_private.dispatch_event(p_event billing.stripe_events)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  return false;
end;
$$;

comment on function billing_private.dispatch_event is
  'Takes the customer''s lock and calls the handlers of an event''s type in order. Written by the trigger on event_handlers; returns false for a type nobody handles.';

create function billing_private.dispatch_source()
returns text
language sql
stable
set search_path = ''
as $$
  with types as (
    select
      split_part(h.event_type, '.', 1) as family,
      h.event_type,
      -- One statement a type: what a handler writes, the next one's own statements read.
      format(
        E'    when %L then\n      perform billing_private.lock_customer(p_event), %s;\n',
        h.event_type,
        string_agg(h.handler || '(p_event)', ', ' order by h.position, h.handler)
      ) as branch
    from billing.event_handlers as h
    where h.enabled
    group by h.event_type
  ),
  families as (
    select
      format(
        E'  when %L then\n    case p_event.type\n%s    else return false;\n    end case;\n',
        t.family,
        string_agg(t.branch, '' order by t.event_type)
      ) as branch
    from types as t
    group by t.family
  )
  select case count(*)
    when 0 then E'begin\n  return false;\nend;'
    else
      E'begin\n  case split_part(p_event.type, ''.'', 1)\n' || string_agg(f.branch, '' order by f.branch)
      || E'  else return false;\n  end case;\n  return true;\nend;'
  end
  from families as f;
$$;

comment on function billing_private.dispatch_source is
  'Body of dispatch_event for the rows of event_handlers as they are: by the first word of the type, then by the type.';

create function billing_private.tg_event_handlers__after_write()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- Of two edits at once the second waits, and then sees the first one's rows.
  perform pg_advisory_xact_lock(7307);
  execute format(
    'create or replace function billing_private.dispatch_event(p_event billing.stripe_events) returns boolean '
    'language plpgsql set search_path = '''' as %L',
    billing_private.dispatch_source()
  );
  return null;
end;
$$;

comment on function billing_private.tg_event_handlers__after_write is
  'Trigger function: writes dispatch_event anew for the rows as they are. Handler names are checked by event_handlers, so nothing else gets into the code.';

create trigger event_handlers_are_dispatched
  after insert or update or delete or truncate on billing.event_handlers
  for each statement execute function billing_private.tg_event_handlers__after_write();
