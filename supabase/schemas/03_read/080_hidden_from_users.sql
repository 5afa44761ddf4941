-- Hidden from users: what Stripe knows of an object and its owner must not read. Row security shows whole rows, so this
-- lies in tables that no user may select from, and the rows that users read have what may be shown.
-- Reads: settings. Writes: object_metadata, payment_failures. Called by: projection.

create table billing.object_metadata (
  object_id text primary key,
  metadata jsonb not null
);

comment on table billing.object_metadata is
  'Stripe''s metadata of a customer, subscription, subscription item, invoice, payment or payment method, whole: for servers. Users read what settings.visible_metadata allows, in the column metadata of the object''s own table. No row: it has none.';
comment on column billing.object_metadata.object_id is 'Id of the object: id of billing.customers, subscriptions, subscription_items, invoices, payments, payment_methods.';

create table billing.payment_failures (
  payment_id text primary key,
  failure_code text not null,
  failure_message text
);

comment on table billing.payment_failures is
  'Why the latest attempt at a payment failed, as Stripe says it: for servers. Users read what they may be told, in billing.payments.failure_code. No row: it did not fail.';
comment on column billing.payment_failures.payment_id is 'Payment (billing.payments.id).';
comment on column billing.payment_failures.failure_code is 'The issuer''s decline code or the reason of Radar, else Stripe''s error code.';
comment on column billing.payment_failures.failure_message is 'Stripe''s message for it, in English.';

alter table billing.object_metadata enable row level security;
create policy service_role_reads on billing.object_metadata for select to service_role using (true);
grant select on billing.object_metadata to service_role;

alter table billing.payment_failures enable row level security;
create policy service_role_reads on billing.payment_failures for select to service_role using (true);
grant select on billing.payment_failures to service_role;

create function billing_private.visible_metadata(p_metadata jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  if jsonb_typeof(p_metadata) is distinct from 'object' or p_metadata = '{}' then
    return '{}'::jsonb;
  end if;
  return (
    select coalesce(jsonb_object_agg(m.key, m.value), '{}')
    from billing.settings as s
    cross join jsonb_each(p_metadata) as m
    where m.key = any (s.visible_metadata)
  );
end;
$$;

comment on function billing_private.visible_metadata is 'Of an object''s metadata, what its owner may read: the keys that settings.visible_metadata names.';

create function billing_private.store_metadata(p_object_id text, p_metadata jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if jsonb_typeof(p_metadata) is distinct from 'object' or p_metadata = '{}' then
    delete from billing.object_metadata as m where m.object_id = p_object_id;
    return;
  end if;
  insert into billing.object_metadata as m (object_id, metadata)
  values (p_object_id, p_metadata)
  on conflict (object_id) do update set metadata = excluded.metadata where m.metadata <> excluded.metadata;
end;
$$;

comment on function billing_private.store_metadata is 'Stores an object''s metadata where no user reads it.';

create function billing_private.save_metadata(p_object_id text, p_metadata jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  perform billing_private.store_metadata(p_object_id, p_metadata);
  return billing_private.visible_metadata(p_metadata);
end;
$$;

comment on function billing_private.save_metadata is
  'Stores an object''s metadata (see store_metadata), and returns what its owner may read, for the column metadata of the object''s own table.';

create function billing_private.keep_metadata(p_object_ids text[], p_metadata jsonb[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  has_some constant boolean[] := array(
    select coalesce(jsonb_typeof(m.metadata) = 'object' and m.metadata <> '{}', false)
    from unnest(p_metadata) with ordinality as m (metadata, n)
    order by m.n
  );
begin
  if false = any (has_some) then
    delete from billing.object_metadata as m
    where m.object_id = any (array(select o.id from unnest(p_object_ids, has_some) as o (id, has_some) where not o.has_some));
  end if;
  if true = any (has_some) then
    insert into billing.object_metadata as m (object_id, metadata)
    select o.id, o.metadata
    from unnest(p_object_ids, p_metadata, has_some) as o (id, metadata, has_some)
    where o.has_some
    on conflict (object_id) do update set metadata = excluded.metadata where m.metadata <> excluded.metadata;
  end if;
end;
$$;

comment on function billing_private.keep_metadata is
  'store_metadata for several objects.';

create function billing_private.metadata_of(p_object_id text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((select m.metadata from billing.object_metadata as m where m.object_id = p_object_id), '{}');
end;
$$;

comment on function billing_private.metadata_of is 'All of an object''s metadata, whoever may read it.';

create function billing_private.without_metadata(p_value jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_value)
    when 'object' then (
      select coalesce(jsonb_object_agg(f.key, billing_private.without_metadata(f.value)), '{}')
      from jsonb_each(p_value) as f
      where f.key <> 'metadata'
    )
    when 'array' then (
      select coalesce(jsonb_agg(billing_private.without_metadata(e.value) order by e.position), '[]')
      from jsonb_array_elements(p_value) with ordinality as e (value, position)
    )
    else p_value
  end;
end;
$$;

comment on function billing_private.without_metadata is
  'A part of a Stripe object without the metadata of what it contains: a pending update holds whole prices.';

create function billing_private.visible_failure_code(p_failure_code text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_failure_code in (
      'expired_card', 'insufficient_funds', 'card_velocity_exceeded', 'withdrawal_count_limit_exceeded',
      'incorrect_number', 'invalid_number', 'incorrect_cvc', 'invalid_cvc', 'incorrect_zip',
      'invalid_expiry_month', 'invalid_expiry_year', 'authentication_required', 'processing_error', 'try_again_later',
      'issuer_not_available', 'reenter_transaction'
    ) then p_failure_code
    when p_failure_code is not null then 'generic_decline'
  end;
end;
$$;

comment on function billing_private.visible_failure_code is
  'Why a payment failed, as far as its payer is told: the codes that emails explain; every other one, known or not, reads generic_decline. Stripe asks not to tell a payer that a card was reported stolen, or that a rule blocked it (docs.stripe.com/declines/codes).';

create function billing_private.save_payment_failure(p_payment_id text, p_failure_code text, p_failure_message text)
returns text
language plpgsql
set search_path = ''
as $$
begin
  if p_failure_code is null then
    delete from billing.payment_failures as f where f.payment_id = p_payment_id;
  else
    insert into billing.payment_failures as f (payment_id, failure_code, failure_message)
    values (p_payment_id, p_failure_code, p_failure_message)
    on conflict (payment_id) do update
      set failure_code = excluded.failure_code, failure_message = excluded.failure_message
      where (f.failure_code, f.failure_message) is distinct from (excluded.failure_code, excluded.failure_message);
  end if;
  return billing_private.visible_failure_code(p_failure_code);
end;
$$;

comment on function billing_private.save_payment_failure is
  'Stores why a payment failed where no user reads it, and returns what its payer may be told, for billing.payments.failure_code.';
