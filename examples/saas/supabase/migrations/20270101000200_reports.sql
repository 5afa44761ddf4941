-- Reports: what the application is for. Only a team with the feature `reports` reads and writes them.

create table public.reports (
  id bigint generated always as identity primary key,
  team_id uuid not null references public.teams (id) on delete cascade,
  title text not null check (length(btrim(title)) between 1 and 120),
  summary text not null,
  request_id uuid not null,
  created_at timestamptz not null default now(),
  unique (team_id, request_id)
);

alter table public.reports enable row level security;
revoke all on public.reports from anon, authenticated;
grant select on public.reports to authenticated;
create policy teams_with_reports on public.reports
  for select to authenticated
  using (
    team_id = any (array(select m.team_id from public.members as m where m.user_id = (select auth.uid())))
    and team_id = any (array(select e.owner_id from billing.entitlements as e where e.feature = 'reports'))
  );

-- One report counts once against the plan's limit and costs one credit, in the transaction that makes it: nobody pays for
-- what was not made, however often the button is pressed.
create function public.create_report(team uuid, title text, request_id uuid)
returns bigint
language plpgsql security definer set search_path = '' as $$
declare
  report bigint;
begin
  if not exists (select from public.members as m where m.team_id = team and m.user_id = (select auth.uid()))
    or not billing.owner_has_feature(team, 'reports')
  then
    raise exception 'reports are not in the plan of team %', team using errcode = 'insufficient_privilege';
  end if;
  perform billing.record_usage(team, 'reports', 1, create_report.request_id::text);
  perform billing.deduct_credits(team, 'summaries', 1, 'report:' || create_report.request_id, create_report.title);
  insert into public.reports (team_id, title, summary, request_id)
  values (team, create_report.title, 'Everything that happened, in a page.', create_report.request_id)
  on conflict on constraint reports_team_id_request_id_key do update set title = excluded.title
  returning id into report;
  return report;
end;
$$;
revoke execute on function public.create_report(uuid, text, uuid) from public, anon;
grant execute on function public.create_report(uuid, text, uuid) to authenticated;
