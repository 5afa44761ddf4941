-- Teams, the owners of what is bought. The same statements as in docs/owners.md, and invitations beside them.

create table public.teams (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  constraint name_is_short check (length(btrim(name)) between 1 and 80)
);

create table public.members (
  team_id uuid not null references public.teams (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null check (role in ('owner', 'admin', 'member')),
  primary key (team_id, user_id)
);
create index members_by_user on public.members (user_id);

create table public.invitations (
  team_id uuid not null references public.teams (id) on delete cascade,
  email text not null check (email = lower(btrim(email)) and email like '%_@_%'),
  role text not null default 'member' check (role in ('admin', 'member')),
  primary key (team_id, email)
);
create index invitations_by_email on public.invitations (email);

-- Duebase asks this, and nobody else may.
create function public.billing_owners(user_id uuid)
returns table (owner_id uuid, can_manage boolean)
language sql
stable
set search_path = ''
as $$
  select m.team_id, m.role in ('owner', 'admin')
  from public.members as m
  where m.user_id = billing_owners.user_id;
$$;
revoke execute on function public.billing_owners from public, anon, authenticated;

update billing.settings set owners_function = 'public.billing_owners', seats_without_plan = 1 where id;

-- Seats: whoever joins or leaves is counted, and the quantity at Stripe follows.
create function public.members_changed() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  team uuid;
begin
  for team in select distinct m.team_id from changed as m order by 1 loop
    -- One after another: who counts next sees whom this one has counted.
    perform from public.teams as t where t.id = team for no key update;
    perform billing.sync_seats(team, (select count(*) from public.members as m where m.team_id = team));
  end loop;
  return null;
end;
$$;
revoke execute on function public.members_changed() from public, anon, authenticated;
create trigger members_joined after insert on public.members
  referencing new table as changed for each statement execute function public.members_changed();
create trigger members_left after delete on public.members
  referencing old table as changed for each statement execute function public.members_changed();

create function public.member_fits() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform from public.teams as t where t.id = new.team_id for no key update;
  if not (billing.limit_seats(new.team_id)).is_allowed then
    raise exception 'no seat left in team %', new.team_id using errcode = 'check_violation';
  end if;
  return new;
end;
$$;
revoke execute on function public.member_fits() from public, anon, authenticated;
create trigger member_fits before insert on public.members for each row execute function public.member_fits();

create function public.team_is_deleted() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform billing.owner_deleted(old.id);
  return null;
end;
$$;
revoke execute on function public.team_is_deleted() from public, anon, authenticated;
create trigger team_is_deleted after delete on public.teams for each row execute function public.team_is_deleted();

-- Who sees what: a team's members see it and one another, and its managers change it.
create function public.is_team_manager(team uuid) returns boolean language sql stable security definer set search_path = '' as $$
  select exists (
    select from public.members as m
    where m.team_id = team and m.user_id = (select auth.uid()) and m.role in ('owner', 'admin')
  );
$$;

alter table public.teams enable row level security;
alter table public.members enable row level security;
alter table public.invitations enable row level security;
revoke all on public.teams, public.members, public.invitations from anon, authenticated;
grant select on public.teams, public.members, public.invitations to authenticated;
grant delete on public.members, public.invitations to authenticated;
grant insert (team_id, email, role) on public.invitations to authenticated;

-- A membership is read by whose it is; the list of a team comes from team_members(), which has the addresses too.
create policy own_memberships on public.members for select to authenticated using (user_id = (select auth.uid()));
create policy managers_remove on public.members
  for delete to authenticated
  using (role <> 'owner' and (user_id = (select auth.uid()) or public.is_team_manager(team_id)));
create policy managers_see on public.members for select to authenticated using (public.is_team_manager(team_id));
create policy own_teams on public.teams
  for select to authenticated
  using (
    exists (select from public.members as m where m.team_id = id and m.user_id = (select auth.uid()))
    or exists (select from public.invitations as i where i.team_id = id and i.email = lower((select auth.email())))
  );
create policy managers_invite on public.invitations
  for all to authenticated
  using (public.is_team_manager(team_id))
  with check (public.is_team_manager(team_id));
create policy invited_read on public.invitations
  for select to authenticated
  using (email = lower((select auth.email())));

-- The id is never the caller's choice: whoever may write one could take an owner that exists already.
create function public.create_team(name text) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  team uuid;
begin
  insert into public.teams (name) values (create_team.name) returning id into team;
  insert into public.members (team_id, user_id, role) values (team, (select auth.uid()), 'owner');
  perform billing.grant_credits(team, 'summaries', 20, 'welcome', 'Welcome');
  return team;
end;
$$;
revoke execute on function public.create_team(text) from public, anon;
grant execute on function public.create_team(text) to authenticated;

create function public.accept_invitation(team uuid) returns boolean language plpgsql security definer set search_path = '' as $$
declare
  invited public.invitations;
begin
  delete from public.invitations as i
  where i.team_id = team and i.email = lower((select auth.email()))
  returning * into invited;
  if not found then
    return false;
  end if;
  insert into public.members (team_id, user_id, role) values (team, (select auth.uid()), invited.role)
  on conflict (team_id, user_id) do nothing;
  return true;
end;
$$;
revoke execute on function public.accept_invitation(uuid) from public, anon;
grant execute on function public.accept_invitation(uuid) to authenticated;

create function public.set_role(team uuid, member uuid, role text) returns void language plpgsql security definer set search_path = '' as $$
begin
  if not public.is_team_manager(team) or set_role.role not in ('admin', 'member') then
    raise exception 'not allowed' using errcode = 'insufficient_privilege';
  end if;
  update public.members as m set role = set_role.role
  where m.team_id = team and m.user_id = member and m.role <> 'owner';
end;
$$;
revoke execute on function public.set_role(uuid, uuid, text) from public, anon;
grant execute on function public.set_role(uuid, uuid, text) to authenticated;

create function public.team_members(team uuid)
returns table (user_id uuid, email text, role text)
language sql stable security definer set search_path = '' as $$
  select m.user_id, u.email::text, m.role
  from public.members as m join auth.users as u on u.id = m.user_id
  where m.team_id = team
    and exists (select from public.members as me where me.team_id = team and me.user_id = (select auth.uid()))
  order by m.role = 'member', m.role = 'admin', u.email;
$$;
revoke execute on function public.team_members(uuid) from public, anon;
grant execute on function public.team_members(uuid) to authenticated;
revoke execute on function public.is_team_manager(uuid) from public, anon;
grant execute on function public.is_team_manager(uuid) to authenticated;
