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

create table billing_private.set_handlers (
  handler text primary key,
  set_handler text not null
);

comment on table billing_private.set_handlers is
  'Handlers that have a form for many events at once, of which none concerns another (see waves_of_events): one statement in place of many. Both forms share what they compute, and end in the same rows.';
comment on column billing_private.set_handlers.handler is 'As in billing.event_handlers.';
comment on column billing_private.set_handlers.set_handler is 'Qualified name of the function, schema.name(billing.stripe_events[]) returning void.';

alter table billing_private.set_handlers enable row level security;
create policy nobody_reads on billing_private.set_handlers using (false);

create function billing_private.dispatch_events(p_type text, p_events billing.stripe_events[])
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  return false;
end;
$$;

comment on function billing_private.dispatch_events is
  'Calls the handlers of a type for several of its events, of which none concerns another, whose locks are held. Written by the trigger on event_handlers; returns false for a type nobody handles.';

create function billing_private.dispatch_set_source()
returns text
language sql
stable
set search_path = ''
as $$
  with ordered as (
    select
      h.event_type,
      h.handler,
      h.position,
      s.set_handler,
      count(s.set_handler) over (partition by h.event_type order by h.position, h.handler) as part
    from billing.event_handlers as h
    left join billing_private.set_handlers as s on s.handler = h.handler
    where h.enabled
  ),
  -- In the order of positions: each that has a form for sets, and after it, event by event, those that have none.
  statements as (
    select
      o.event_type,
      format(
        case when o.set_handler is null then E'      perform %s from unnest(p_events) as e;\n' else E'      perform %s;\n' end,
        string_agg(
          case when o.set_handler is null then o.handler || '(e)' else o.set_handler || '(p_events)' end,
          ', ' order by o.position, o.handler
        )
      ) as statement,
      o.part,
      o.set_handler is null as is_each
    from ordered as o
    group by o.event_type, o.part, o.set_handler is null, o.set_handler
  ),
  branches as (
    select format(E'    when %L then\n%s', s.event_type, string_agg(s.statement, '' order by s.part, s.is_each)) as branch
    from statements as s
    group by s.event_type
  )
  select case count(*)
    when 0 then E'begin\n  return false;\nend;'
    else
      E'begin\n  case p_type\n' || string_agg(b.branch, '' order by b.branch)
      || E'    else return false;\n  end case;\n  return true;\nend;'
  end
  from branches as b;
$$;

comment on function billing_private.dispatch_set_source is 'Body of dispatch_events for the rows of event_handlers and set_handlers as they are.';

create function billing_private.handled_by_others(p_types text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select distinct h.event_type
    from billing.event_handlers as h
    where h.event_type = any (p_types) and h.enabled and h.handler not like 'billing\_private.%'
  );
end;
$$;

comment on function billing_private.handled_by_others is
  'Of these event types, those that a handler of the application''s handles: nobody knows what it reads of other events.';

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
  execute format(
    'create or replace function billing_private.dispatch_events(p_type text, p_events billing.stripe_events[]) returns boolean '
    'language plpgsql set search_path = '''' as %L',
    billing_private.dispatch_set_source()
  );
  return null;
end;
$$;

comment on function billing_private.tg_event_handlers__after_write is
  'Trigger function: writes dispatch_event and dispatch_events anew for the rows as they are. Handler names are checked by event_handlers, so nothing else gets into the code.';

create trigger event_handlers_are_dispatched
  after insert or update or delete or truncate on billing.event_handlers
  for each statement execute function billing_private.tg_event_handlers__after_write();

create trigger set_handlers_are_dispatched
  after insert or update or delete or truncate on billing_private.set_handlers
  for each statement execute function billing_private.tg_event_handlers__after_write();
