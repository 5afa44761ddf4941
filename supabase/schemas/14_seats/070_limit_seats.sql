-- Limit of seats: asked before somebody is invited. What a plan allows is metadata seats_limit of its price, else of
-- its product: 10, 10 per unit, or unlimited.
-- Reads: seats, seat_counts, subscriptions, items, prices, products, settings. Writes: nothing.
-- Called by: the application, as service_role or in a trigger; members, through the Data API.

create type billing.seats_reading as (
  owner_id uuid,
  used bigint,
  seats_limit bigint,
  remaining bigint,
  is_allowed boolean
);

comment on type billing.seats_reading is
  'used: seats as the application counted them last. seats_limit: what the plans in force allow together; null: as many as one likes. remaining: seats that are left; null where there is no limit. is_allowed: whether as many more as were asked for fit.';

create function billing_private.named_seats_limit(p_metadata jsonb)
returns text
language sql
immutable parallel safe
set search_path = ''
as $$
  select (regexp_match(lower(btrim(p_metadata ->> 'seats_limit')), '^(unlimited|[0-9]{1,9}(?: per unit)?)$'))[1];
$$;

comment on function billing_private.named_seats_limit is
  'The limit of seats that metadata names: 10, 10 per unit, unlimited; null where it names none that can be read.';

create function billing_private.seats_limit_of(p_owner_id uuid)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  has_plan boolean;
  is_limited boolean;
  allowed bigint;
begin
  select
    count(*) > 0,
    coalesce(bool_or(l.named is not null) and not bool_or(l.named = 'unlimited'), false),
    sum(
      substring(l.named from '^[0-9]+')::bigint * case when l.named like '% per unit' then coalesce(i.quantity, 1) else 1 end
    )
  into has_plan, is_limited, allowed
  from billing.customers as c
  join billing.subscriptions as s on s.customer = c.id
  join billing.subscription_items as i on i.subscription = s.id
  left join billing.prices as p on p.id = i.price
  left join billing.products as d on d.id = i.product
  cross join lateral (
    select coalesce(billing_private.named_seats_limit(p.metadata), billing_private.named_seats_limit(d.metadata)) as named
  ) as l
  where c.owner_id = p_owner_id and c.deleted_at is null and billing_private.gives_access(s.id);
  if not has_plan then
    return (select g.seats_without_plan from billing.settings as g);
  end if;
  return case when is_limited then allowed end;
end;
$$;

comment on function billing_private.seats_limit_of is
  'How many seats the plans of an owner allow that give access now: they add up, unlimited goes before a number, and where none names a limit there is none; null then. Without a plan, settings.seats_without_plan.';

create function billing_private.read_seats(p_owner_id uuid, p_adding bigint)
returns billing.seats_reading
language plpgsql
-- Volatile: after a wait for a lock the caller wants to see what was committed meanwhile.
volatile
set search_path = ''
as $$
declare
  reading billing.seats_reading;
begin
  reading.owner_id := p_owner_id;
  select coalesce(n.quantity, s.quantity, 0)
  into reading.used
  from (values (p_owner_id)) as o (id)
  left join billing.seats as s on s.owner_id = o.id
  left join lateral (
    select c.quantity
    from billing_private.seat_counts as c
    where c.owner_id = o.id and c.quantity is not null and c.id > coalesce(s.count_id, 0)
    order by c.id desc
    limit 1
  ) as n on true;
  reading.seats_limit := billing_private.seats_limit_of(p_owner_id);
  if reading.seats_limit is not null then
    reading.remaining := greatest(reading.seats_limit - reading.used, 0);
  end if;
  reading.is_allowed := reading.seats_limit is null or reading.used + greatest(p_adding, 0) <= reading.seats_limit;
  return reading;
end;
$$;

comment on function billing_private.read_seats is 'The seats of an owner: used, limit, and whether p_adding more fit. What the caller''s own transaction has counted is in it.';

create function billing.limit_seats(owner_id uuid, adding bigint default 1)
returns billing.seats_reading
language plpgsql
volatile
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
begin
  return billing_private.read_seats(owner_id, coalesce(adding, 1));
end;
$$;

comment on function billing.limit_seats is
  'Whether an owner may have as many more seats (adding, 1 if left out): used, seats_limit, remaining, is_allowed. It answers and holds nothing: two who ask at once get the same answer, so ask under a lock of your own where it must hold (docs/owners.md). For servers and triggers.';

create function billing.my_seats(owner_id uuid default null)
returns billing.seats_reading
language plpgsql
volatile
-- Definer: see my_usage.
security definer
set search_path = ''
as $$
begin
  return billing_private.read_seats(billing_private.chosen_owner(owner_id), 1);
end;
$$;

comment on function billing.my_seats is
  'limit_seats of an owner the signed-in user belongs to, for one more. owner_id may be left out by who belongs to one owner only: of several, one has to be named (DU071, DU072).';

grant execute on function billing.limit_seats(uuid, bigint) to service_role;
grant execute on function billing.my_seats(uuid) to authenticated;
