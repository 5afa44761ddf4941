-- Sync seats: the application says how many seats an owner uses, from a trigger on its table of members.
-- Whatever goes wrong here, the application's statement goes on: nobody fails to join a team because of billing.
-- Reads: nothing. Writes: seat_counts; audit_events and outbox (an alert) about what could not be counted.
-- Called by: the application, as the owner of its trigger function or as service_role.

create function billing_private.record_uncounted_seats(p_owner_id uuid, p_quantity bigint, p_problem text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.audit(
    'seats.not_counted', 'system', p_owner_id::text, null,
    jsonb_build_object('owner_id', p_owner_id, 'quantity', p_quantity, 'problem', p_problem), p_now
  );
  perform billing_private.alert(
    'seats_not_counted', jsonb_build_object('owner_id', p_owner_id, 'quantity', p_quantity, 'problem', p_problem), p_now
  );
-- Nothing of ours works: the log of the database is the last place.
exception when assert_failure or others then
  raise warning 'duebase: seats of owner % were not counted (%), and that could not be put on record: % (%)',
    p_owner_id, p_problem, sqlerrm, sqlstate;
end;
$$;

comment on function billing_private.record_uncounted_seats is
  'Puts on record, and alerts the operator, that a count of seats was not taken. Never raises.';

create function billing.sync_seats(owner_id uuid, quantity bigint, p_now timestamptz default now())
returns boolean
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
-- It adds rows and waits for nobody, unless somebody has locked a whole table of ours.
set lock_timeout = '250ms'
as $$
declare
  problem text := case
    when owner_id is null then 'owner_id is null'
    when quantity is null then 'quantity is null'
    when quantity not between 0 and 1000000000 then 'quantity is not between 0 and 1000000000'
  end;
begin
  if problem is null then
    begin
      insert into billing_private.seat_counts (owner_id, quantity, counted_at)
      values (sync_seats.owner_id, sync_seats.quantity, coalesce(p_now, now()));
      return true;
    -- A cancel is not among "others", and ends the statement.
    exception when assert_failure or others then
      problem := format('%s (%s)', sqlerrm, sqlstate);
    end;
  end if;
  perform billing_private.record_uncounted_seats(owner_id, quantity, problem, coalesce(p_now, now()));
  return false;
end;
$$;

comment on function billing.sync_seats is
  'Says how many seats an owner uses now; call it from a trigger on the application''s table of members. The last value wins, and is undone with the transaction it was said in. The quantity at Stripe follows within two minutes, by one call for all that changed in a minute. Never raises and never waits: a null, a negative quantity or a failure of ours is an audit event (seats.not_counted) and an alert, and false is returned.';

grant execute on function billing.sync_seats(uuid, bigint, timestamptz) to service_role;
