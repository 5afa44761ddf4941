-- Releases: which release of Duebase this database has, and since when.
-- Reads: nothing. Writes: releases, once a release, by its migration. Called by: operators, doctor.

-- `npm run migration` writes the release into it from package.json, and an upgrade writes the function anew, with this body.
create function billing.version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '0.1.0'
$$;

comment on function billing.version is
  'The release of Duebase that this database has, such as 0.1.0. Functions of that release and of the one before work with it.';

grant execute on function billing.version to service_role;

create table billing.releases (
  release text primary key,
  installed_at timestamptz not null,
  constraint release_is_three_numbers check (release ~ '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$')
);

comment on table billing.releases is
  'Which release of Duebase was installed when: the first by duebase init, each later one by duebase upgrade.';
comment on column billing.releases.release is 'The release, such as 0.1.0.';
comment on column billing.releases.installed_at is 'When its migration was applied to this database (UTC).';

alter table billing.releases enable row level security;
create policy service_role_reads on billing.releases for select to service_role using (true);
grant select on billing.releases to service_role;

insert into billing.releases (release, installed_at) values (billing.version(), now());
