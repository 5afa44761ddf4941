-- Health counts: what can only be counted by reading all that runs or is open. The tick counts it, as seldom as it is slow, and
-- the health view reads what was counted.
-- Reads: unlinked_payers, old_debts, dunning cases. Writes: health_counts. Called by: the tick, every minute.

create table billing_private.health_counts (
  name text primary key,
  how_many bigint not null,
  since timestamptz,
  example text,
  counted_at timestamptz not null,
  took interval not null
);

comment on table billing_private.health_counts is
  'What the tick counted for the health view, a row per check. Written where it differs from the last time, or took long.';
comment on column billing_private.health_counts.name is 'The check (billing.health.name).';
comment on column billing_private.health_counts.how_many is 'How many there are.';
comment on column billing_private.health_counts.since is 'Since when there are any (UTC).';
comment on column billing_private.health_counts.example is 'Id of one of them.';
comment on column billing_private.health_counts.counted_at is 'When (UTC).';
comment on column billing_private.health_counts.took is 'How long counting took: what took long is counted less often.';

alter table billing_private.health_counts enable row level security;
create policy nobody_reads on billing_private.health_counts using (false);

create function billing_private.count_for_health(p_name text, p_now timestamptz, out how_many bigint, out since timestamptz, out example text)
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_name
    when 'unlinked-payers' then
      -- Who they are comes with the same events, a moment later.
      select count(*), min(u.paying_since), min(u.customer) into how_many, since, example
      from billing.unlinked_payers as u
      where u.paying_since <= p_now - interval '1 minute';
    when 'old-debts' then
      how_many := 0;
      if (select s.adopted_at from billing.settings as s) is not null
        or exists (select from billing_private.known_debts as k where k.is_from_history)
      then
        select count(*), min(d.overdue_since), min(d.invoice) into how_many, since, example from billing.old_debts(p_now) as d;
      end if;
    when 'held-dunning' then
      select count(*), min(c.ladder_from), min(c.id::text) into how_many, since, example
      from billing.dunning_cases as c
      where c.status = 'open' and c.holds && array['undeliverable_address', 'warning_switched_off'];
  end case;
end;
$$;

comment on function billing_private.count_for_health is 'Counts one of the checks that are counted.';

create function billing_private.count_for_health_view(p_now timestamptz default now())
returns integer
language plpgsql
set search_path = ''
as $$
declare
  counted record;
  known billing_private.health_counts;
  begun timestamptz;
  spent interval;
  check_name text;
  done integer := 0;
begin
  foreach check_name in array array['unlinked-payers', 'old-debts', 'held-dunning'] loop
    known := null;
    select * into known from billing_private.health_counts as c where c.name = check_name;
    -- No more than a two-hundredth of the time.
    continue when known.counted_at + 200 * known.took > p_now and known.counted_at <= p_now;
    begun := clock_timestamp();
    select * into counted from billing_private.count_for_health(check_name, p_now);
    spent := clock_timestamp() - begun;
    continue when known.name is not null
      and (known.how_many, known.since, known.example) is not distinct from (counted.how_many, counted.since, counted.example)
      and greatest(spent, known.took) < interval '100 milliseconds';
    insert into billing_private.health_counts as c (name, how_many, since, example, counted_at, took)
    values (check_name, counted.how_many, counted.since, counted.example, p_now, spent)
    on conflict (name) do update set
      how_many = excluded.how_many, since = excluded.since, example = excluded.example, counted_at = excluded.counted_at, took = excluded.took;
    done := done + (known.how_many is distinct from counted.how_many)::integer;
  end loop;
  return done;
end;
$$;

comment on function billing_private.count_for_health_view is
  'Counts anew what the health view shows as counted. Run by the tick every minute. Returns how many numbers differ from before.';

create function billing_private.health_of_payers()
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  known billing_private.health_counts;
begin
  select * into known from billing_private.health_counts as c where c.name = 'unlinked-payers';
  return next billing_private.health_row(
    'unlinked-payers',
    -- While everything is only mirrored, linking is what a team is at.
    billing_private.light(known.how_many > 0 and billing_private.mode_here() = 'live', known.how_many > 0),
    coalesce(known.how_many, 0), 'count', 'none',
    case
      when coalesce(known.how_many, 0) = 0 then 'every customer with a running subscription belongs to an owner'
      else format('%s for a subscription and belong to no owner, so nobody has their access: %s', billing_private.counted(known.how_many, 'customer pays', 'customers pay'), known.example)
    end,
    known.since,
    'select * from billing.unlinked_payers; billing.owner_hints says what Stripe names for them; tell whose they are: select billing.link_customers(''[{"customer": "cus_…", "owner_id": "…"}]'')'
  );
end;
$$;

comment on function billing_private.health_of_payers is 'Health row: who pays and belongs to no owner; red once the project is live.';

create function billing_private.health_of_waiting_debts()
returns setof billing_private.health_row
language plpgsql
stable
set search_path = ''
as $$
declare
  held billing_private.health_counts;
  old billing_private.health_counts;
begin
  select * into held from billing_private.health_counts as c where c.name = 'held-dunning';
  return next billing_private.health_row(
    'held-dunning', billing_private.light(false, held.how_many > 0),
    coalesce(held.how_many, 0), 'count', 'none',
    case
      when coalesce(held.how_many, 0) = 0 then 'no case waits for a person'
      else format('%s held as no mail reaches the customer, or the final warning is switched off', billing_private.counted(held.how_many, 'open case is', 'open cases are'))
    end,
    held.since,
    'select id, customer, holds from billing.dunning_cases where status = ''open'' and holds <> ''{}''; another address in Stripe, or a row less in billing.suppressed_addresses, lets it go on; or close it: select billing.close_dunning(id, ''why'')'
  );
  select * into old from billing_private.health_counts as c where c.name = 'old-debts';
  return next billing_private.health_row(
    'old-debts', 'green', coalesce(old.how_many, 0), 'count', 'shown',
    case
      when coalesce(old.how_many, 0) = 0 then 'nothing was overdue before this project took over the billing'
      else format('%s from before are not dunned unless a person releases them (billing.old_debts, billing.release_debts)', billing_private.counted(old.how_many, 'invoice', 'invoices'))
    end
  );
end;
$$;

comment on function billing_private.health_of_waiting_debts is
  'Health rows: open cases that wait for a person, and old debts.';
