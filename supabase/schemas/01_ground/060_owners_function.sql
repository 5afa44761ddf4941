-- Owners function: who belongs to whom, as the application knows it. Null in settings: every user is their own owner.
-- Reads: settings, the catalog, and by the application's function what it reads. Writes: settings.owners_function.
-- Called by: policies and functions about the caller (my_owners), settings.

create function billing_private.owners_function_named(p_name text)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select format('%I.%I(uuid)', p.pronamespace::regnamespace::name, p.proname)
    from pg_catalog.pg_proc as p
    -- PostgreSQL 15 raises where the arguments are not said; later ones answer null.
    where p.oid = to_regprocedure(case when btrim(p_name) like '%)' then p_name else p_name || '(uuid)' end)
  );
-- What PostgreSQL cannot read as the name of a function is none.
exception when others then
  return null;
end;
$$;

comment on function billing_private.owners_function_named is
  'The function of that name, schema.name(uuid) in its one spelling; null where there is none, or its schema is not said.';

create function billing_private.owners_of(p_user_id uuid)
returns table (owner_id uuid, can_manage boolean)
language plpgsql
stable
set search_path = ''
as $$
declare
  name constant text := (select s.owners_function from billing.settings as s);
  owners uuid[];
  managed boolean[];
begin
  if p_user_id is null then
    return;
  elsif name is null then
    return query select p_user_id, true;
    return;
  end if;
  -- Into arrays first: rows that were returned before an error would stay returned.
  execute format(
    'select array_agg(g.id), array_agg(g.manages) from ('
    'select o.owner_id as id, coalesce(bool_or(o.can_manage), false) as manages from %s($1) as o '
    'where o.owner_id is not null group by o.owner_id) as g',
    left(name, -length('(uuid)'))
  )
  into owners, managed
  using p_user_id;
  return query select o.id, o.manages from unnest(owners, managed) as o (id, manages);
end;
$$;

comment on function billing_private.owners_of is
  'The owners a user belongs to, each once, and whether the user manages it: of several rows about one owner, any that says so counts. Raises what the owners function raises. Never call it with an id that a caller chose.';

create function billing.my_owners()
returns table (owner_id uuid, can_manage boolean)
language plpgsql
stable
-- Definer: the application's function reads tables that users need not read. The user is the token's and no argument.
security definer
set search_path = ''
rows 1
as $$
declare
  caller constant uuid := auth.uid();
begin
  if caller is null then
    return;
  elsif (select s.owners_function is null from billing.settings as s) then
    owner_id := caller;
    can_manage := true;
    return next;
    return;
  end if;
  begin
    return query select o.owner_id, o.can_manage from billing_private.owners_of(caller) as o;
  -- Closed when it fails, and the log of the database says for whom: this may be a transaction that can write nothing.
  -- A cancel is not among "others", and ends the statement.
  exception when assert_failure or others then
    raise log 'duebase: owners_function gives user % nothing: % (%)', caller, sqlerrm, sqlstate;
    return;
  end;
end;
$$;

comment on function billing.my_owners is
  'The owners the signed-in user belongs to, one row each, and whether the user manages it: what settings.owners_function returns for them; without one, the user. No rows while that function raises or is gone. The log of the database says for whom it raised. Asked anew by every statement.';

create function billing_private.my_owner_array(p_managed_only boolean)
returns uuid[]
language plpgsql
stable
-- Definer: see my_owners. For policies; nobody else can name it.
security definer
set search_path = ''
as $$
declare
  caller constant uuid := auth.uid();
  name constant text := (select s.owners_function from billing.settings as s);
  owners uuid[];
begin
  if caller is null then
    return array[]::uuid[];
  elsif name is null then
    return array[caller];
  end if;
  begin
    -- As my_owners has it, without a row of its own for each owner. Both columns are read, so that what raises in one of
    -- them closes everything here too; whoever is in it twice is looked up once.
    execute format(
      'select array_agg(o.owner_id) filter (where o.can_manage or not $2), count(o.can_manage) from %s($1) as o '
      'where o.owner_id is not null',
      left(name, -length('(uuid)'))
    )
    into owners
    using caller, p_managed_only;
  exception when assert_failure or others then
    raise log 'duebase: owners_function gives user % nothing: % (%)', caller, sqlerrm, sqlstate;
  end;
  return coalesce(owners, '{}');
end;
$$;

comment on function billing_private.my_owner_array is
  'The ids of billing.my_owners(), or of those that the caller manages, for policies: in one array, in no order. Empty while the owners function raises or is gone.';

create function billing_private.my_owner_ids()
returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Without a function there is nothing to call, and has_feature stays as quick as one look into an index.
  if (select s.owners_function is null from billing.settings as s) then
    return array_remove(array[auth.uid()], null);
  end if;
  return array(select o.owner_id from billing.my_owners() as o order by o.owner_id);
end;
$$;

comment on function billing_private.my_owner_ids is
  'The ids of billing.my_owners(), in order; for functions that run with their owner''s rights.';

create function billing_private.chosen_owner(p_owner_id uuid)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  owners constant uuid[] := billing_private.my_owner_ids();
begin
  if p_owner_id is null and cardinality(owners) > 1 then
    perform billing_private.raise_error_with(
      'DU071', format('owner_id is missing: you belong to %s owners', cardinality(owners)), jsonb_build_object('owners', owners)
    );
  elsif p_owner_id is not null and p_owner_id <> all (owners) then
    perform billing_private.raise_error('DU072', format('%s is no owner you belong to', p_owner_id));
  end if;
  return coalesce(p_owner_id, owners[1]);
end;
$$;

comment on function billing_private.chosen_owner is
  'The owner the caller asks about: the one named (DU072 where the caller does not belong to it), else the only one (DU071 where there are several); null where there is none.';

create function billing_private.sample_users(p_count integer)
returns uuid[]
language sql
volatile
set search_path = ''
as $$
  select coalesce(array_agg(distinct f.id), '{}')
  from (select gen_random_uuid() as start from generate_series(1, p_count)) as r
  cross join lateral (
    -- Whoever comes next by the primary key: one look into the index, however many there are.
    select coalesce(
      (select u.id from auth.users as u where u.id >= r.start order by u.id limit 1),
      (select u.id from auth.users as u order by u.id limit 1)
    ) as id
  ) as f
  where f.id is not null;
$$;

comment on function billing_private.sample_users is
  'Up to p_count users, others each time; none where there are no users.';

create function billing_private.owners_function_shape_problem(p_name text)
returns text
language sql
stable
set search_path = ''
as $$
  select
    case
      when p.prokind <> 'f' or lower(pg_get_function_result(p.oid)) <> 'table(owner_id uuid, can_manage boolean)'
        then format('%s returns %s, and not table (owner_id uuid, can_manage boolean)', p_name, lower(pg_get_function_result(p.oid)))
      when p.provolatile = 'v' then format('%s is volatile: declare it stable', p_name)
    end
  from pg_catalog.pg_proc as p
  where p.oid = to_regprocedure(p_name);
$$;

comment on function billing_private.owners_function_shape_problem is
  'What the catalog says against a function, by its name spelled out, as an owners function; null: nothing.';

create function billing_private.owners_function_problem(p_name text, p_users uuid[])
returns text
language plpgsql
-- Volatile: it says how long the function took.
volatile
set search_path = ''
as $$
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000'::uuid;
  name constant text := billing_private.owners_function_named(p_name);
  problem text := case
    when name is null then format('there is no function %s that takes one uuid', p_name)
    else billing_private.owners_function_shape_problem(name)
  end;
  asked uuid;
  for_whom text;
  begun timestamptz;
begin
  if problem is not null then
    return problem;
  end if;
  -- What reads the rows of a user may fail for those alone who have some, so users are asked about too.
  foreach asked in array nobody || p_users loop
    for_whom := case when asked <> nobody then format(' for user %s', asked) else '' end;
    begun := clock_timestamp();
    begin
      -- Both columns are asked for: what nobody reads is not computed, and does not raise.
      execute format('select count(o.owner_id) + count(o.can_manage) from %s($1) as o', left(name, -length('(uuid)')))
      using asked;
    exception
      when query_canceled then
        -- Whoever canceled meant the whole statement: it ends, and says at what.
        raise query_canceled using message = format(
          '%s gave no answer within %s s%s: %s', name, round(extract(epoch from clock_timestamp() - begun), 1), for_whom, sqlerrm
        );
      when assert_failure or others then
        return format('%s raises %s (%s)%s', name, sqlerrm, sqlstate, for_whom);
    end;
    if clock_timestamp() - begun > interval '2 seconds' then
      return format(
        '%s takes %s s, and every statement of a signed-in user waits for it: does it use an index?%s',
        name, round(extract(epoch from clock_timestamp() - begun), 1), for_whom
      );
    end if;
  end loop;
  return null;
end;
$$;

comment on function billing_private.owners_function_problem is
  'Why a function cannot say who belongs to whom; null where it can. It is called with an id of nobody and for each of p_users, until one call raises or takes longer than two seconds. Ends with " for user" and the id where a user''s call did.';

create function billing_private.tg_settings__before_write()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  problem text;
begin
  if new.owners_function is null then
    return new;
  end if;
  problem := billing_private.owners_function_problem(new.owners_function, billing_private.sample_users(10));
  if problem is not null then
    perform billing_private.raise_error('DU070', format('owners_function refused: %s', problem));
  end if;
  new.owners_function := billing_private.owners_function_named(new.owners_function);
  return new;
end;
$$;

comment on function billing_private.tg_settings__before_write is
  'Trigger function: refuses an owners_function that cannot be called (DU070), and spells its name out.';

create trigger an_owners_function_can_be_called
  before insert or update of owners_function on billing.settings
  for each row execute function billing_private.tg_settings__before_write();

grant execute on function billing.my_owners() to authenticated, service_role;
grant execute on function billing_private.my_owner_array(boolean) to authenticated;
