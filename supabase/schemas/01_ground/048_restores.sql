-- Restores: after a backup of this project was restored, what happened since the backup is not known here, although it
-- happened. What the emails that left meanwhile told is kept by its facts, so that nobody is told twice.
-- Reads: nothing. Writes: nothing. Called by: the outbox, going live; written by billing.restored and what follows it.

create table billing.restores (
  id bigint generated always as identity primary key,
  backup_at timestamptz not null,
  restored_at timestamptz not null,
  matched_at timestamptz,
  finished_at timestamptz,
  constraint restored_after_the_backup check (restored_at >= backup_at),
  constraint only_what_was_matched_is_finished check (finished_at is null or matched_at is not null)
);

comment on table billing.restores is
  'One row per restore of a backup of this project, from billing.restored until it is live again.';
comment on column billing.restores.backup_at is 'When the backup was made, or the newest that it knows of (UTC): what happened later is not in it.';
comment on column billing.restores.restored_at is 'When billing.restored was called for it first (UTC).';
comment on column billing.restores.matched_at is
  'When all was matched that may have left since the backup (UTC). Until then the project does not go live. Null: it is not.';
comment on column billing.restores.finished_at is 'When the project went live again (UTC); null: it has not.';

create unique index one_restore_at_a_time on billing.restores ((true)) where finished_at is null;

create table billing_private.told_facts (
  code text primary key,
  resend_id text not null,
  sent_at timestamptz not null,
  constraint code_is_of_a_fact check (code ~ '^[0-9a-f]{16}$')
);

comment on table billing_private.told_facts is
  'What emails told that left after a backup was made, as Resend shows them: a fact that is here is not told again. Removed by age, as effects are.';
comment on column billing_private.told_facts.code is 'Of the fact (billing_private.fact_code).';
comment on column billing_private.told_facts.resend_id is 'The email at Resend that told it.';
comment on column billing_private.told_facts.sent_at is 'When it was sent (UTC).';

alter table billing.restores enable row level security;
create policy service_role_reads on billing.restores for select to service_role using (true);
grant select on billing.restores to service_role;
alter table billing_private.told_facts enable row level security;
create policy nobody_reads on billing_private.told_facts using (false);

create function billing_private.is_restoring()
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select from billing.restores as r where r.finished_at is null);
end;
$$;

comment on function billing_private.is_restoring is 'Whether a backup was restored and the project has not gone live since.';

create function billing_private.mirror_reason()
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when billing_private.is_restoring() then 'restored' else 'mirror' end;
end;
$$;

comment on function billing_private.mirror_reason is
  'Why a write is withheld in mirror mode: restored after a backup was restored, as it may have been performed already; else mirror.';

create function billing_private.fact_code(p_fact text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return left(md5(p_fact), 16);
end;
$$;

comment on function billing_private.fact_code is
  'A fact as it fits into a tag at Resend. Of a dedupe key it is how the tag duebase_email begins.';

create function billing_private.told_at(p_facts text[])
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select min(t.sent_at)
    from billing_private.told_facts as t
    where t.code = any (array(select billing_private.fact_code(f.fact) from unnest(p_facts) as f (fact)))
  );
end;
$$;

comment on function billing_private.told_at is
  'When an email left that told one of these facts, and that is not known here by itself, as a backup was restored since (UTC). Null: none did.';

create function billing_private.effect_told_at(p_dedupe_key text, p_payload jsonb)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return billing_private.told_at(
    array[p_dedupe_key] || case
      -- An email about several steps is the same email only if it is the very same: see record_told_steps.
      when p_dedupe_key like 'dunning:%' then '{}'
      else array(select jsonb_array_elements_text(p_payload -> 'tells'))
    end
  );
end;
$$;

comment on function billing_private.effect_told_at is
  'When the email of an effect, or another that told the same, left before a backup was restored (UTC); null: none is known.';
