-- Forget: a person's data is removed, the accounting data stays.
-- What may tell who somebody is, and what becomes of it, is listed column by column in personal_data; a test holds
-- that list against the catalog, so that no column is added without somebody having decided.
-- Writes: forgotten_subjects, outbox, suppressed_addresses, audit_events, and all that personal_data lists.
-- Called by: the application, when an account is deleted.

create table billing_private.personal_data (
  table_name text not null,
  column_name text not null,
  becomes text not null,
  about text not null,
  primary key (table_name, column_name)
);

comment on table billing_private.personal_data is
  'Every column that may hold a person''s data, and what forget_user makes of it. Written by migrations only.';
comment on column billing_private.personal_data.table_name is 'Qualified name of the table.';
comment on column billing_private.personal_data.column_name is 'The column.';
comment on column billing_private.personal_data.becomes is 'SQL expression over the row: what is stored instead.';
comment on column billing_private.personal_data.about is
  'SQL condition over the row: whether it is about the person. $1: the person''s customers, and payments made without one (text[]); $2: the user''s id (uuid); $3: their payments, $4: events (text[]); $5: effects (bigint[]); $6: whatever of theirs has metadata (text[]).';

alter table billing_private.personal_data enable row level security;
create policy nobody_reads on billing_private.personal_data using (false);

create function billing_private.payments_about(p_subjects text[])
returns setof text
language sql
stable
set search_path = ''
as $$
  select p.id from billing.payments as p where p.customer = any (p_subjects)
  union
  select s.id from unnest(p_subjects) as s (id);
$$;

comment on function billing_private.payments_about is 'The payments of customers, and those made without one.';

create function billing_private.objects_about(p_subjects text[])
returns setof text
language sql
stable
set search_path = ''
as $$
  select billing_private.payments_about(p_subjects)
  union
  select s.id from billing.subscriptions as s where s.customer = any (p_subjects)
  union
  select i.id
  from billing.subscriptions as s
  join billing.subscription_items as i on i.subscription = s.id
  where s.customer = any (p_subjects)
  union
  select i.id from billing.invoices as i where i.customer = any (p_subjects)
  union
  select m.id from billing.payment_methods as m where m.customer = any (p_subjects);
$$;

comment on function billing_private.objects_about is
  'Whatever of a person has metadata: the customers themselves, and what they have, as billing.object_metadata names it.';

create function billing_private.references_to(p_user_id uuid, p_subjects text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  payments constant text[] := array(select billing_private.payments_about(p_subjects));
begin
  return array(
    select p_user_id::text where p_user_id is not null
    union
    select s.id from unnest(p_subjects || payments) as s (id)
    union
    select e.object_id from billing.webhook_events as e where e.customer_id = any (p_subjects) and e.object_id is not null
    union
    select c.id from billing.checkout_sessions as c where c.payment_intent = any (p_subjects)
    union
    select h.object_id from billing_private.payment_sources as h where h.payment_id = any (payments)
    union
    select r.id from billing.refunds as r where r.payment_id = any (payments)
    union
    select d.id from billing.disputes as d where d.payment_id = any (payments)
  );
end;
$$;

comment on function billing_private.references_to is
  'Ids by which an object that names no customer may name a person: the user''s, and of all that Stripe has told of the person''s customers and payments.';

create function billing_private.events_about(p_user_id uuid, p_subjects text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  named constant text[] := billing_private.references_to(p_user_id, p_subjects);
begin
  return array(
    select e.id from billing.webhook_events as e where e.customer_id = any (p_subjects)
    union
    select e.id
    from billing.webhook_events as e
    where e.customer_id is null and billing_private.references_of(e.payload -> 'data') && named
  );
end;
$$;

comment on function billing_private.events_about is
  'Ids of the events received about a person: their customers'', and those without a customer that name something of theirs, of whatever type.';

create function billing_private.effects_about(p_subjects text[], p_events text[])
returns bigint[]
language plpgsql
stable
set search_path = ''
as $$
declare
  about bigint[];
begin
  about := array(
    select o.id
    from billing.outbox as o
    where coalesce(o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id')
      = any (p_subjects || p_events)
  );
  return about || array(
    -- The alert that one of them is dead tells why.
    select o.id
    from billing.outbox as o
    where coalesce(o.payload ->> 'customer', o.payload ->> 'payment', o.payload ->> 'event_id', o.payload ->> 'event', o.payload ->> 'outbox_id')
      = any (about::text[])
      and o.kind = 'alert'
  );
end;
$$;

comment on function billing_private.effects_about is
  'The outbox rows that concern a person: mail, what is read or told of the events, and alerts about those.';

insert into billing_private.personal_data (table_name, column_name, becomes, about)
select t.table_name, c.key, c.value, t.about
from (
  values
    (
      'billing.customers', 'id = any ($1)',
      '{"email": "null", "name": "null", "preferred_locales": "''{}''", "metadata": "billing_private.redact_metadata(metadata)"}'::jsonb
    ),
    (
      'billing.subscriptions', 'customer = any ($1)',
      '{
        "metadata": "billing_private.redact_metadata(metadata)",
        "cancellation_details": "billing_private.redact(cancellation_details)",
        "pending_update": "billing_private.redact(pending_update)"
      }'
    ),
    (
      'billing.subscription_items', 'subscription = any (array(select s.id from billing.subscriptions as s where s.customer = any ($1)))',
      '{"metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.invoices', 'customer = any ($1)',
      '{"hosted_invoice_url": "null", "invoice_pdf": "null", "metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.payments', 'id = any ($3)',
      '{
        "card_last4": "null", "description": "null", "receipt_url": "null",
        "metadata": "billing_private.redact_metadata(metadata)"
      }'
    ),
    (
      'billing.payment_failures', 'payment_id = any ($3)',
      '{"failure_message": "null"}'
    ),
    (
      'billing.object_metadata', 'object_id = any ($6)',
      '{"metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing_private.payment_sources',
      'payment_id = any ($3)',
      '{
        "card_last4": "null", "description": "null", "failure_message": "null", "receipt_url": "null",
        "metadata": "billing_private.redact_metadata(metadata)"
      }'
    ),
    (
      'billing.refunds', 'payment_id = any ($3)',
      '{"metadata": "billing_private.redact_metadata(metadata)", "receipt_number": "null"}'
    ),
    (
      'billing.disputes', 'payment_id = any ($3)',
      '{"metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.payment_methods', 'customer = any ($1)',
      '{"card_last4": "null", "metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.checkout_sessions', 'customer = any ($1) or id = any ($1) or payment_intent = any ($1)',
      '{
        "client_reference_id": "billing_private.as_uuid(client_reference_id)::text", "recovery_url": "null",
        "metadata": "billing_private.redact_metadata(metadata)"
      }'
    ),
    ('billing.credit_entries', 'owner_id = $2 and note is not null', '{"note": "null"}'),
    ('billing.dunning_cases', 'customer = any ($1) and note is not null', '{"note": "null"}'),
    ('billing.dunning_resumptions', 'customer = any ($1) and note is not null', '{"note": "null"}'),
    (
      'billing.dunning_actions',
      'note is not null and case_id = any (array(select c.id from billing.dunning_cases as c where c.customer = any ($1)))',
      '{"note": "null"}'
    ),
    (
      'billing.dunning_holds', 'customer = any ($1)',
      '{"reason": "''removed: the customer is forgotten''"}'
    ),
    (
      'billing_private.customer_owner_hints', 'customer_id = any ($1)',
      '{"hinted_owner": "coalesce(billing_private.as_uuid(hinted_owner)::text, '''')"}'
    ),
    (
      'billing.emails', 'customer_id = any ($1) or outbox_id = any ($5)',
      '{"to_address": "billing_private.address_digest(to_address)", "subject": "''''", "html": "''''", "text": "''''", "message_references": "null", "attachment": "null", "problem": "null"}'
    ),
    (
      'billing.outbox', 'id = any ($5)',
      '{"payload": "payload - array[''to'', ''props'', ''error'']", "last_error": "last_error - ''message''"}'
    ),
    (
      'billing.failed_webhooks',
      'event_id = any ($4)',
      '{"error": "jsonb_build_object(''sqlstate'', error -> ''sqlstate'', ''message'', ''removed: the customer is forgotten'')"}'
    ),
    (
      'billing.webhook_events', 'id = any ($4)',
      '{"payload": "billing_private.redact(payload)"}'
    )
) as t (table_name, about, columns)
cross join lateral jsonb_each_text(t.columns) as c;

create function billing_private.customers_of_owner(p_owner_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(k.id order by k.id), '{}')
  from (
    select c.id from billing.customers as c where c.owner_id = p_owner_id
    union
    -- Unlinked when the account was deleted, and nobody else's since.
    select c.id
    from billing.audit_events as u
    join billing.customers as c on c.id = u.customer_id and c.owner_id is null
    where u.action = 'customer.unlinked'
      and u.detail ->> 'former_owner_id' = p_owner_id::text
      and not exists (
        select
        from billing.audit_events as later
        where later.customer_id = u.customer_id
          and later.action in ('customer.linked', 'customer.unlinked')
          and later.id > u.id
      )
  ) as k;
$$;

comment on function billing_private.customers_of_owner is
  'Ids of the customers that a user is, or was when the account was deleted; in order.';

create function billing_private.guest_purchases_of_owner(p_owner_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(distinct coalesce(s.payment_intent, s.id)), '{}')
  from billing.checkout_sessions as s
  where s.customer is null and lower(btrim(s.client_reference_id)) = p_owner_id::text;
$$;

comment on function billing_private.guest_purchases_of_owner is
  'What a user bought without being a customer, as far as the checkout session named the user: the payment, or the session where nothing was paid.';

create function billing_private.lock_person(p_user_id uuid, p_subjects text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  subject text;
begin
  -- First whoever is bringing news of them (see is_forgotten), then their projections, then what is kept by user.
  for subject in select distinct k.id from unnest(p_subjects || p_user_id::text) as k (id) order by k.id loop
    perform pg_advisory_xact_lock(hashtextextended(subject, 7309));
  end loop;
  perform billing_private.lock_customers(p_subjects);
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 7308));
end;
$$;

comment on function billing_private.lock_person is
  'Waits until nothing is being received, projected or kept for a person any more, and holds all of it until commit.';

create function billing_private.forget_addresses(p_subjects text[], p_effects bigint[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  with known as (
    select lower(c.email) as address from billing.customers as c where c.id = any (p_subjects)
    union
    select lower(e.to_address)
    from billing.emails as e
    where e.customer_id = any (p_subjects) or e.outbox_id = any (p_effects)
  ),
  removed as (
    delete from billing.suppressed_addresses as s
    using known as k
    where s.address = k.address and s.address not like 'sha256:%'
    returning s.*
  )
  insert into billing.suppressed_addresses (address, reason, since, email_id)
  select billing_private.address_digest(r.address), r.reason, r.since, r.email_id
  from removed as r
  on conflict (address) do nothing;
end;
$$;

comment on function billing_private.forget_addresses is
  'Keeps of a person''s suppressed addresses their digest only: no mail goes to them still, and nobody reads whose they are.';

create function billing_private.cancel_mail(p_subjects text[], p_effects bigint[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  batch uuid;
begin
  -- In the order in which deliver takes the two rows.
  perform
  from billing.emails as e
  where e.customer_id = any (p_subjects)
    or e.outbox_id = any (p_effects)
    or e.batch_id = any (array(select k.batch_id from billing.emails as k where k.customer_id = any (p_subjects) and k.status = 'pending'))
  order by e.id
  for update;
  -- A batch can only be sent again with all its mails as they were. One that may have been sent already is left as it
  -- is: Resend then refuses its key with other bytes, and its mails end as what a person has to look up.
  for batch in
    select distinct e.batch_id
    from billing.emails as e
    where e.customer_id = any (p_subjects) and e.status = 'pending' and e.batch_id is not null
  loop
    update billing.emails as e
    set batch_id = null, batch_position = null
    where e.batch_id = batch
      and not exists (
        select from billing.emails as k where k.batch_id = batch and (k.status <> 'pending' or k.unknown_since is not null)
      );
  end loop;
  perform billing_private.lock_effects(p_effects);
  update billing.outbox as o
  set
    status = 'canceled', claim_id = null, locked_until = null, finished_at = p_now,
    last_error = jsonb_build_object('code', 'customer_forgotten')
  where o.kind = 'email'
    and o.id = any (p_effects)
    and o.status in ('pending', 'claimed', 'dead');
end;
$$;

comment on function billing_private.cancel_mail is
  'Ends the mail that is still owed to a person. A worker that holds one has lost its claim: what it has not handed to Resend is not sent.';

create function billing_private.erase_personal_data(p_user_id uuid, p_subjects text[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  statement text;
  payments constant text[] := array(select billing_private.payments_about(p_subjects));
  objects constant text[] := array(select billing_private.objects_about(p_subjects));
  events constant text[] := billing_private.events_about(p_user_id, p_subjects);
  effects constant bigint[] := billing_private.effects_about(p_subjects, events);
begin
  perform billing_private.cancel_mail(p_subjects, effects, p_now);
  perform billing_private.forget_addresses(p_subjects, effects);
  for statement in
    select format(
      'update %s set %s where %s',
      p.table_name,
      string_agg(format('%I = %s', p.column_name, p.becomes), ', ' order by p.column_name),
      p.about
    )
    from billing_private.personal_data as p
    group by p.table_name, p.about
    order by p.table_name
  loop
    execute statement using p_subjects, p_user_id, payments, events, effects, objects;
  end loop;
end;
$$;

comment on function billing_private.erase_personal_data is
  'Ends the mail still owed to a person, and does what personal_data says to all rows about them.';

create function billing.forget_user(user_id uuid, p_now timestamptz default now())
returns integer
language plpgsql
-- Definer: see receive_event.
security definer
set search_path = ''
as $$
declare
  customers constant text[] := billing_private.customers_of_owner(forget_user.user_id);
  subjects constant text[] := customers || billing_private.accounts_of(customers) || billing_private.guest_purchases_of_owner(forget_user.user_id);
  is_on_record constant boolean := exists (
    select from billing.audit_events as a where a.subject_id = forget_user.user_id::text and a.action = 'user.forgotten'
  );
  newly_forgotten integer;
begin
  if subjects = '{}' and not is_on_record and not exists (select from auth.users as u where u.id = forget_user.user_id) then
    perform billing_private.raise_error('DU025', format('there is and was no user %s', coalesce(forget_user.user_id::text, 'null')));
  end if;
  perform billing_private.lock_person(forget_user.user_id, subjects);

  insert into billing_private.forgotten_subjects (subject_id, forgotten_at)
  select k.id, p_now from unnest(subjects) as k (id)
  on conflict (subject_id) do nothing;
  get diagnostics newly_forgotten = row_count;
  -- By these ids an event that names no customer is recognized as theirs, here and in receive_event.
  insert into billing_private.forgotten_subjects (subject_id, forgotten_at)
  select k.id, p_now from unnest(billing_private.references_to(forget_user.user_id, subjects)) as k (id)
  on conflict (subject_id) do nothing;
  perform billing_private.erase_personal_data(forget_user.user_id, subjects, p_now);

  if newly_forgotten > 0 or not is_on_record then
    perform billing_private.audit(
      'user.forgotten', 'operator', forget_user.user_id::text, null, jsonb_build_object('customers', customers), p_now
    );
  end if;
  return cardinality(customers);
end;
$$;

comment on function billing.forget_user is
  'Removes what tells who a user is, of all the customers the user is, also after the account was deleted, and of what was bought without a customer: names, addresses, metadata, texts of mails, and all of it inside the events received and to come. Amounts, dates, statuses and ids stay. Mail still owed is not sent. Safe any number of times; returns how many customers it was about. Raises DU025 for a user nobody knows. What Stripe and Resend keep has to be erased there.';

grant execute on function billing.forget_user(uuid, timestamptz) to service_role;
