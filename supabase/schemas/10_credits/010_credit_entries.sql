-- Credits: a ledger of changes of a balance, and the balance it comes to. Nothing else changes a balance.
-- Written by: grants, deductions, purchases. Read by: the owner whose credits they are.

create table billing.credit_entries (
  id bigint generated always as identity primary key,
  owner_id uuid,
  kind text not null,
  credits bigint not null,
  balance_after bigint not null,
  reason text not null,
  missing bigint not null,
  purchase text,
  idempotency_key text,
  note text,
  created_at timestamptz not null,
  constraint reason_is_known check (reason in ('grant', 'deduction', 'purchase', 'refund', 'transfer')),
  constraint balance_is_never_negative check (balance_after >= 0),
  constraint a_deduction_takes_and_a_grant_gives check (
    case reason when 'grant' then credits > 0 when 'deduction' then credits < 0 else true end
  ),
  constraint only_what_takes_back_can_miss_some check (missing >= 0 and (missing = 0 or credits <= 0)),
  constraint a_purchase_is_named_by_its_entries check ((reason in ('purchase', 'refund', 'transfer')) = (purchase is not null)),
  constraint a_key_belongs_to_a_grant_or_deduction check ((reason in ('grant', 'deduction')) = (idempotency_key is not null)),
  constraint a_key_of_an_owner_is_used_once unique (owner_id, idempotency_key)
);

comment on table billing.credit_entries is
  'Append-only ledger: each change of an owner''s balance of one kind of credits. Update, delete and truncate are refused, but for the user who is deleted and the note of one who is forgotten.';
comment on column billing.credit_entries.owner_id is 'Whose credits; null once the owner is deleted: the ledger outlives the owner, and names nobody.';
comment on column billing.credit_entries.kind is 'What the credits are good for, as the application names it.';
comment on column billing.credit_entries.credits is 'Change of the balance: positive gives, negative takes.';
comment on column billing.credit_entries.balance_after is 'The owner''s balance of this kind after it.';
comment on column billing.credit_entries.reason is
  'grant, deduction: asked for by the application. purchase: paid for. refund: the money went back (or, positive, came again after all). transfer: the customer was linked to another owner.';
comment on column billing.credit_entries.missing is 'What should have been taken as well and was spent already.';
comment on column billing.credit_entries.purchase is 'Payment (billing.payments.id), or checkout session where nothing had to be paid.';
comment on column billing.credit_entries.idempotency_key is 'Key of the grant or deduction; one of an owner stands for one change.';
comment on column billing.credit_entries.note is 'What the application says of it; shown to the owner.';

create index credit_entries_by_owner on billing.credit_entries (owner_id, created_at);
create index credit_entries_by_purchase on billing.credit_entries (purchase) where purchase is not null;

create trigger credit_entries_are_never_removed
  before delete or truncate on billing.credit_entries
  for each statement execute function billing_private.tg_append_only();

create function billing_private.tg_credit_entries__before_update()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  allowed billing.credit_entries := old;
begin
  -- remove_owner takes the owner out of the entries of one who is deleted; what the application wrote goes along.
  if new.owner_id is null and old.owner_id is not null then
    allowed.owner_id := null;
    allowed.note := null;
    allowed.idempotency_key := case when old.idempotency_key is not null then 'forgotten:' || old.id end;
    new.note := null;
    new.idempotency_key := allowed.idempotency_key;
  elsif new.note is null and old.note is not null then
    allowed.note := null;
  end if;
  if new is distinct from allowed or new is not distinct from old then
    perform billing_private.raise_error('DU004', 'UPDATE on billing.credit_entries refused: its rows are never changed or removed');
  end if;
  return new;
end;
$$;

comment on function billing_private.tg_credit_entries__before_update is
  'Trigger function: refuses every change of an entry (DU004), but for the user who is deleted, with note and key, and the note of one who is forgotten.';

create trigger credit_entries_are_only_forgotten
  before update on billing.credit_entries
  for each row execute function billing_private.tg_credit_entries__before_update();

alter table billing.credit_entries enable row level security;
grant select on billing.credit_entries to authenticated, service_role;

create policy managers_read on billing.credit_entries
  for select to authenticated
  using (owner_id = any ((select billing_private.my_owner_array(true))::uuid[]));

create table billing_private.credit_balances (
  owner_id uuid not null,
  kind text not null,
  credits bigint not null,
  primary key (owner_id, kind),
  constraint credits_are_not_negative check (credits >= 0)
);

comment on table billing_private.credit_balances is
  'Sum of the entries of each owner and kind, kept with every entry so that a deduction reads one row and not a ledger.';

comment on column billing_private.credit_balances.owner_id is 'Whose credits; a deleted owner has none.';
comment on column billing_private.credit_balances.credits is 'The balance.';

alter table billing_private.credit_balances enable row level security;
create policy nobody_reads on billing_private.credit_balances using (false);

create function billing_private.balance_of(p_owner_id uuid, p_kind text)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((select b.credits from billing_private.credit_balances as b where b.owner_id = p_owner_id and b.kind = p_kind), 0);
end;
$$;

comment on function billing_private.balance_of is 'Credits an owner has of a kind; 0 where there never were any.';

create function billing_private.lock_owners(p_owners uuid[])
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  one record;
begin
  for one in select distinct u.id from unnest(p_owners) as u (id) where u.id is not null order by u.id loop
    perform pg_advisory_xact_lock(hashtextextended(one.id::text, 7308));
  end loop;
  return true;
end;
$$;

comment on function billing_private.lock_owners is
  'Makes changes of these owners'' balances take turns until commit. The last lock of all: after the customer''s, a payment''s and a purchase''s row.';

create function billing_private.write_credit_entry(p_entry billing.credit_entries)
returns billing.credit_entries
language plpgsql
set search_path = ''
as $$
declare
  written billing.credit_entries;
begin
  -- Not one insert that falls back on an update: the check would refuse the row of a deduction before it falls back.
  update billing_private.credit_balances as b
  set credits = b.credits + p_entry.credits
  where b.owner_id = p_entry.owner_id and b.kind = p_entry.kind
  returning b.credits into p_entry.balance_after;
  if not found then
    insert into billing_private.credit_balances (owner_id, kind, credits)
    values (p_entry.owner_id, p_entry.kind, p_entry.credits)
    returning credits into p_entry.balance_after;
  end if;

  insert into billing.credit_entries
    (owner_id, kind, credits, balance_after, reason, missing, purchase, idempotency_key, note, created_at)
  values (
    p_entry.owner_id, p_entry.kind, p_entry.credits, p_entry.balance_after, p_entry.reason, coalesce(p_entry.missing, 0),
    p_entry.purchase, p_entry.idempotency_key, p_entry.note, p_entry.created_at
  )
  returning * into written;
  return written;
end;
$$;

comment on function billing_private.write_credit_entry is
  'Appends an entry and moves the balance with it; id and balance_after are filled in. The caller holds the owner''s lock, see lock_owners.';
