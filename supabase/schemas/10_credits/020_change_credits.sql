-- Granting and deducting credits: atomic, once per key, never below zero.
-- Reads and writes: credit_entries, credit_balances. Called by: the application, as service_role;
-- credit_balance(kind) and my_credit_balance by signed-in users, for their owners.

create function billing_private.check_credits(p_owner_id uuid, p_kind text, p_credits bigint, p_key text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_owner_id is null then
    perform billing_private.raise_error('DU017', 'credits of nobody: owner_id is null');
  elsif coalesce(p_kind, '') !~ '^[A-Za-z0-9_.:-]{1,64}$' then
    perform billing_private.raise_error('DU017', format('no kind of credits can be called %L', left(p_kind, 80)));
  elsif p_credits is null or p_credits not between 1 and 1000000000000 then
    perform billing_private.raise_error('DU017', format('cannot change a balance by %s %s credits', coalesce(p_credits::text, 'null'), p_kind));
  elsif coalesce(btrim(p_key), '') = '' or length(p_key) > 255 then
    perform billing_private.raise_error('DU017', format('change of %s credits has no usable idempotency key: %L', p_kind, left(p_key, 80)));
  end if;
end;
$$;

comment on function billing_private.check_credits is 'Refuses what cannot be a grant or a deduction (DU017), saying why.';

create function billing_private.entry_of_key(p_asked billing.credit_entries)
returns billing.credit_entries
language plpgsql
set search_path = ''
as $$
declare
  earlier billing.credit_entries;
begin
  select *
  into earlier
  from billing.credit_entries as e
  where e.owner_id = p_asked.owner_id and e.idempotency_key = p_asked.idempotency_key;
  if (earlier.kind, earlier.credits) is distinct from (p_asked.kind, p_asked.credits) and earlier.id is not null then
    perform billing_private.raise_error(
      'DU016',
      format(
        'key %L changed %s by %s, not %s by %s',
        left(p_asked.idempotency_key, 80), earlier.kind, earlier.credits, p_asked.kind, p_asked.credits
      )
    );
  end if;
  return earlier;
end;
$$;

comment on function billing_private.entry_of_key is
  'The entry that a grant or deduction with this key made already; all null for a new key. Raises DU016 where it was another change.';

create function billing_private.change_credits(
  p_reason text, p_owner_id uuid, p_kind text, p_credits bigint, p_key text, p_note text, p_now timestamptz
)
returns billing.credit_entries
language plpgsql
set search_path = ''
as $$
declare
  asked billing.credit_entries;
  earlier billing.credit_entries;
  balance bigint;
begin
  asked.owner_id := p_owner_id;
  asked.kind := p_kind;
  asked.credits := p_credits;
  asked.reason := p_reason;
  asked.idempotency_key := p_key;
  asked.note := p_note;
  asked.created_at := p_now;
  perform billing_private.lock_owners(array[p_owner_id]);
  earlier := billing_private.entry_of_key(asked);
  if earlier.id is not null then
    return earlier;
  end if;
  balance := billing_private.balance_of(p_owner_id, p_kind);
  if balance + p_credits < 0 then
    perform billing_private.raise_error_with(
      'DU015',
      format('%s %s credits asked for, %s there', -p_credits, p_kind, balance),
      jsonb_build_object('kind', p_kind, 'balance', balance, 'asked', -p_credits, 'missing', -p_credits - balance)
    );
  end if;
  return billing_private.write_credit_entry(asked);
end;
$$;

comment on function billing_private.change_credits is 'A grant (positive) or deduction (negative credits), once per key, under the owner''s lock. Raises DU015, DU016.';

create function billing.grant_credits(
  owner_id uuid, kind text, amount bigint, idempotency_key text, note text default null, p_now timestamptz default now()
)
returns billing.credit_entries
language plpgsql
-- Definer: service_role writes no table itself, see receive_event.
security definer
set search_path = ''
as $$
begin
  perform billing_private.check_credits(owner_id, kind, amount, idempotency_key);
  -- First the lock: whoever is being deleted holds it until that is done.
  perform billing_private.lock_owners(array[owner_id]);
  if not billing_private.owner_exists(owner_id) then
    perform billing_private.raise_error('DU018', format('no owner %s', owner_id));
  end if;
  return billing_private.change_credits('grant', owner_id, kind, amount, idempotency_key, note, p_now);
end;
$$;

comment on function billing.grant_credits is
  'Gives an owner credits and returns the entry; the same key again returns the same entry and gives nothing. Raises DU016, DU017, DU018.';

create function billing.deduct_credits(
  owner_id uuid, kind text, amount bigint, idempotency_key text, note text default null, p_now timestamptz default now()
)
returns billing.credit_entries
language plpgsql
-- Definer: see grant_credits.
security definer
set search_path = ''
as $$
begin
  perform billing_private.check_credits(owner_id, kind, amount, idempotency_key);
  return billing_private.change_credits('deduction', owner_id, kind, -amount, idempotency_key, note, p_now);
end;
$$;

comment on function billing.deduct_credits is
  'Takes credits from an owner, all or none, and returns the entry; the same key again returns the same entry and takes nothing. Raises DU015 (DETAIL says how many there are), DU016, DU017.';

create function billing.credit_balance(owner_id uuid, kind text)
returns bigint
language plpgsql
-- Definer: balances are internal; see grant_credits.
security definer
set search_path = ''
as $$
begin
  return billing_private.balance_of(owner_id, kind);
end;
$$;

comment on function billing.credit_balance(uuid, text) is 'Credits an owner has of a kind. For service_role.';

create function billing.my_credit_balance(kind text, owner_id uuid default null)
returns bigint
language plpgsql
-- Definer: balances are internal. The user is the token's; an owner is one the user belongs to.
security definer
set search_path = ''
as $$
begin
  return billing_private.balance_of(billing_private.chosen_owner(owner_id), kind);
end;
$$;

comment on function billing.my_credit_balance is
  'Credits of a kind that an owner has whom the signed-in user belongs to. owner_id may be left out by who belongs to one owner only: of several, one has to be named (DU071).';

-- A second argument here would be taken for credit_balance(owner_id, kind) by who passes both by name.
create function billing.credit_balance(kind text)
returns bigint
language plpgsql
-- Definer: see my_credit_balance.
security definer
set search_path = ''
as $$
begin
  -- As chosen_owner has it, and quicker: where every user is their own owner there is nothing to choose.
  if (select s.owners_function is null from billing.settings as s) then
    return billing_private.balance_of(auth.uid(), kind);
  end if;
  return billing_private.balance_of(billing_private.chosen_owner(null), kind);
end;
$$;

comment on function billing.credit_balance(text) is
  'Credits of a kind that the only owner has whom the signed-in user belongs to; who belongs to several asks my_credit_balance (DU071).';

grant execute on function
  billing.grant_credits(uuid, text, bigint, text, text, timestamptz),
  billing.deduct_credits(uuid, text, bigint, text, text, timestamptz),
  billing.credit_balance(uuid, text)
to service_role;
grant execute on function billing.credit_balance(text) to authenticated, service_role;
grant execute on function billing.my_credit_balance(text, uuid) to authenticated;
