-- Known owners: whether an id is an owner's. Owners are users, or what the application says they are: teams, whose ids
-- are opaque here.
-- Reads: settings, auth.users, deleted_owners. Written by: remove_owner, sign-ups. Called by: the rest of this stage,
-- credits.

create table billing_private.deleted_owners (
  owner_id uuid primary key,
  deleted_at timestamptz not null,
  reason text not null,
  is_finished boolean not null,
  tried_at timestamptz,
  problem text,
  constraint reason_is_known check (reason in ('user_deleted', 'owner_deleted')),
  constraint only_the_unfinished_have_a_problem check (problem is null or not is_finished)
);

comment on table billing_private.deleted_owners is
  'Owners that were deleted, so that what is told of them later links nothing to them again. A user who signs up again under the same id is taken out, and so is an owner that billing.owner_restored names.';
comment on column billing_private.deleted_owners.owner_id is 'Who was deleted: a user, or a team of the application''s.';
comment on column billing_private.deleted_owners.deleted_at is 'When we learnt of it (UTC).';
comment on column billing_private.deleted_owners.reason is
  'How we learnt of it: user_deleted, the account was; owner_deleted, the application said so.';
comment on column billing_private.deleted_owners.is_finished is
  'False: something failed when the owner was deleted, and the tick does the rest.';
comment on column billing_private.deleted_owners.tried_at is 'When the tick last tried to (UTC).';
comment on column billing_private.deleted_owners.problem is 'What that try raised; also in job_problems, until it succeeds.';

create index deleted_owners_unfinished on billing_private.deleted_owners (owner_id) where not is_finished;
alter table billing_private.deleted_owners enable row level security;
create policy nobody_reads on billing_private.deleted_owners using (false);

create function billing_private.is_deleted_owner(p_owner_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from billing_private.deleted_owners as d where d.owner_id = p_owner_id);
end;
$$;

comment on function billing_private.is_deleted_owner is 'Whether an id is of an owner that is known as deleted.';

create function billing_private.owners_are_users()
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return not exists (select from billing.settings as s where s.owners_function is not null);
end;
$$;

comment on function billing_private.owners_are_users is
  'Whether every user is their own owner, and nobody else is one: settings name no owners_function.';

create function billing_private.owner_exists(p_owner_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  if billing_private.owners_are_users() then
    return exists (select from auth.users as u where u.id = p_owner_id);
  end if;
  return p_owner_id is not null and not billing_private.is_deleted_owner(p_owner_id);
end;
$$;

comment on function billing_private.owner_exists is
  'Whether an id is an owner''s: of a user in auth.users; with settings.owners_function any id that is not known as deleted, because only the application knows its teams. Certain while the owner''s lock (7308) is held: whoever deletes an owner holds it until commit.';

create function billing_private.links_by_email()
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from billing.settings as s where s.link_customers_by_email and s.owners_function is null);
end;
$$;

comment on function billing_private.links_by_email is
  'Whether a confirmed email links a customer to a user: where settings allow it and owners are users.';
