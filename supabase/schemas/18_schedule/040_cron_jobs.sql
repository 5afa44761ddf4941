-- Cron jobs: the two things that pg_cron starts. It does not make up runs that were missed while the server was down; minutes
-- that a long run used up it makes up, back to back. So both jobs ask what is due, and not what time it is.

create extension if not exists pg_cron with schema pg_catalog;

create function billing_private.schedule_tick()
returns bigint
language plpgsql
-- Definer: see schedule_dunning.
security definer
set search_path = ''
as $function$
begin
  -- A block, and no procedure: one that sets its search_path cannot commit, and one that does not is an advisor's finding.
  -- The first commit fails inside of somebody's transaction, before anything is held. The lock is the session's, as it outlasts
  -- commits: it goes with the session, so a tick that is cut off leaves nothing locked. A tick that meets another does nothing.
  -- The timeouts are those of cron's session. A statement timeout is for the whole block, however often it commits; a part that it
  -- cancels is recorded, and the rest comes first in the next tick.
  return cron.schedule(
    'duebase-tick',
    '* * * * *',
    $job$do $$
  declare
    tick_at constant timestamptz := now();
  begin
    commit;
    if pg_try_advisory_lock(hashtextextended('tick', 7310)) then
      while billing_private.advance_tick(tick_at, now()) loop
        commit;
      end loop;
      commit;
      perform pg_advisory_unlock(hashtextextended('tick', 7310));
    end if;
  end $$$job$
  );
end;
$function$;

comment on function billing_private.schedule_tick is
  'Schedules the minute tick, anew where its job was lost. Returns the job''s id.';

select billing_private.schedule_tick();
select billing_private.schedule_dunning();
