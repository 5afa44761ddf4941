-- Forget: a person's data is removed, the accounting data stays. What becomes of each column is listed in personal_data.
-- Reads: personal_data, what is about the person. Writes: forgotten_subjects, outbox, emails, suppressed_addresses,
-- audit_events, and all that personal_data lists. Called by: the application, when an account is deleted.

create function billing_private.lock_person(p_user_id uuid, p_subjects text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  subject text;
begin
  -- Payloads stay where they are meanwhile (see drop_payloads).
  perform pg_advisory_xact_lock_shared(hashtextextended('payloads', 7313));
  -- First whoever is bringing news of them (see is_forgotten), then their projections, then what is kept by user.
  for subject in select distinct k.id from unnest(p_subjects || p_user_id::text) as k (id) order by k.id loop
    perform pg_advisory_xact_lock(hashtextextended(subject, 7309));
  end loop;
  perform billing_private.lock_customers(p_subjects);
  -- What tells of a payment without naming its customer is recognized as theirs only where the payment was known when it
  -- came: it may be on its way, and writes the rows in another order than this does. The newest payments do, as what tells
  -- of the others is recognized by now, and thousands of locks would not find room in the server.
  perform billing_private.lock_payments(
    p_subjects
    || array(select p.id from billing.payments as p where p.customer = any (p_subjects) order by p.created desc nulls first limit 1000)
  );
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
    status = 'canceled', withheld_reason = null, claim_id = null, locked_until = null, finished_at = p_now,
    last_error = jsonb_build_object('code', 'customer_forgotten')
  where o.kind = 'email'
    and o.id = any (p_effects)
    and o.status in ('pending', 'claimed', 'dead', 'withheld');
end;
$$;

comment on function billing_private.cancel_mail is
  'Cancels the mail to a person that is not sent yet. A worker that holds one has lost its claim: what it has not handed to Resend is not sent.';

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
  'Cancels the mail to a person that is not sent yet, and does what personal_data says to all rows about them.';

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
  if subjects = '{}'
    and not is_on_record
    and not exists (select from auth.users as u where u.id = forget_user.user_id)
    and not billing_private.is_deleted_owner(forget_user.user_id)
  then
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
  'Removes what tells who a user is, of all the customers the user is, also after the account was deleted, and of what was bought without a customer: names, addresses, metadata, texts of mails, and all of it inside the events received and to come. Amounts, dates, statuses and ids stay. Mail that is still in the outbox is not sent. Safe any number of times; returns how many customers it was about. Raises DU025 for a user nobody knows. What Stripe and Resend keep has to be erased there.';

grant execute on function billing.forget_user(uuid, timestamptz) to service_role;
