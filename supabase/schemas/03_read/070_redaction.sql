-- Redaction: what is left of a Stripe object when the person behind it is forgotten (see forget_user).
-- Ids, amounts, dates and statuses stay: accounting needs them, and the order of events is read from them. What a person
-- wrote or can be identified by is removed. Later events are redacted when they are received, before anything reads them.
-- Reads and writes: forgotten_subjects. Reads: webhook_events. Called by: receiving, refreshing, forget_user.

create table billing_private.forgotten_subjects (
  subject_id text primary key,
  forgotten_at timestamptz not null
);

comment on table billing_private.forgotten_subjects is
  'Subjects whose person is forgotten: no data that identifies the person is stored for them any more.';
comment on column billing_private.forgotten_subjects.subject_id is 'Customer; of somebody who bought without one, the payment, or the checkout session where nothing was paid; the user, and whatever Stripe has told of that is theirs, by which other objects name them.';
comment on column billing_private.forgotten_subjects.forgotten_at is 'When it was asked for (UTC).';

alter table billing_private.forgotten_subjects enable row level security;
create policy nobody_reads on billing_private.forgotten_subjects using (false);

create function billing_private.is_personal_key(p_key text)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return p_key ~ 'email|phone|address|name|holder|owner|shipping|postal|tax_id|last4|secret|locale|url|pdf|fingerprint|comment|custom_'
    or p_key in (
      'billing_details', 'customer_details', 'collected_information', 'evidence', 'description', 'footer', 'memo', 'note', 'notes',
      'dob', 'id_number', 'document', 'selfie', 'verified_outputs', 'provided_details', 'user_agent', 'ip', 'client_ip', 'iban', 'bic', 'iin', 'sort_code', 'account_number', 'routing_number', 'payer_id', 'buyer_id',
      'cashtag', 'receipt_number', 'network_transaction_id', 'authorization_code', 'idempotency_key', 'message', 'seller_message'
    );
end;
$$;

comment on function billing_private.is_personal_key is
  'Whether a field of Stripe''s of this name may tell who somebody is: names, addresses, accounts, free text, links to pages that show them.';

create function billing_private.redact_metadata(p_metadata jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  if jsonb_typeof(p_metadata) is distinct from 'object' then
    return p_metadata;
  end if;
  return coalesce(
    (
      select jsonb_object_agg(m.key, m.value)
      from jsonb_each(p_metadata) as m
      -- What the application wrote there may be anything. Only what Duebase itself reads stays.
      where m.key in ('credit_kind', 'credits')
        or m.key like 'duebase\_%' and billing_private.redact(m.value) = m.value
        or m.key in ('user_id', 'owner_id') and billing_private.as_uuid(btrim(m.value #>> '{}')) is not null
    ),
    '{}'
  );
end;
$$;

comment on function billing_private.redact_metadata is
  'Metadata without what the application wrote there, except the keys that Duebase reads: the owner''s id, credits, its own marks.';

create function billing_private.redact(p_value jsonb)
returns jsonb
language plpgsql
immutable parallel safe
set search_path = ''
as $$
declare
  -- Ids, codes and numbers are printable ASCII without spaces; what is not, under whatever name, was written by somebody.
  codes constant text := '^[!-?A-~]*$';
begin
  case jsonb_typeof(p_value)
    when 'object' then
      return (
        select coalesce(
          jsonb_object_agg(
            f.key,
            case
              when jsonb_typeof(f.value) in ('null', 'number', 'boolean') then f.value
              when f.key = 'metadata' then billing_private.redact_metadata(f.value)
              when f.key = 'client_reference_id' then coalesce(to_jsonb(billing_private.as_uuid(f.value #>> '{}')), 'null')
              when billing_private.is_personal_key(f.key) then 'null'
              when f.key = 'value' and p_value ->> 'object' = 'tax_id' then 'null'
              when jsonb_typeof(f.value) = 'string' and f.value #>> '{}' ~ codes then f.value
              else billing_private.redact(f.value)
            end
          ),
          '{}'
        )
        from jsonb_each(p_value) as f
      );
    when 'array' then
      return (
        select coalesce(jsonb_agg(billing_private.redact(e.value) order by e.position), '[]')
        from jsonb_array_elements(p_value) with ordinality as e (value, position)
      );
    when 'string' then
      return case when p_value #>> '{}' ~ codes then p_value else 'null' end;
    else
      return p_value;
  end case;
end;
$$;

comment on function billing_private.redact is
  'A Stripe object or event without what tells who somebody is: such fields are null, the rest is as it was. Redacting twice is redacting once.';

create function billing_private.address_digest(p_address text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_address like 'sha256:%' then p_address
    else 'sha256:' || encode(sha256(convert_to(lower(p_address), 'UTF8')), 'hex')
  end;
end;
$$;

comment on function billing_private.address_digest is
  'What is kept of an email address that is forgotten: enough to know it again when somebody uses it, so that an address that bounced or complained gets no mail.';

create function billing_private.forgettable_subject(p_customer_id text, p_object jsonb)
returns text
language plpgsql
set search_path = ''
as $$
declare
  named text[];
  paid text;
begin
  if p_customer_id is not null then
    return p_customer_id;
  elsif p_object ->> 'object' in ('product', 'price', 'plan', 'coupon', 'promotion_code', 'tax_rate') then
    return p_object ->> 'id';
  end if;
  named := billing_private.references_of(p_object);
  paid := coalesce(billing_private.stripe_id(p_object -> 'payment_intent'), billing_private.stripe_id(p_object -> 'charge'));
  return coalesce(
    (select f.subject_id from billing_private.forgotten_subjects as f where f.subject_id = any (named) order by 1 limit 1),
    -- What it names has events of its own, and those say whose it is.
    (
      select o.customer_id
      from (
        select e.customer_id
        from billing.webhook_events as e
        where e.object_id = any (named) and e.customer_id is not null
        -- Found by object and then ordered: in the order of customers it would read the whole ledger.
        offset 0
      ) as o
      order by 1
      limit 1
    ),
    -- Whoever bought without a customer has none.
    paid,
    (select n.id from unnest(named) as n (id) where billing_private.as_uuid(n.id) is not null order by 1 limit 1),
    p_object ->> 'id'
  );
end;
$$;

comment on function billing_private.forgettable_subject is
  'Whose an object is, as forgotten_subjects names them: its customer, else the customer of something that it names, else what was paid, the user it names, or the object itself.';

create function billing_private.is_forgotten(p_customer_id text, p_object jsonb)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  subject text := p_customer_id;
begin
  if subject is null then
    subject := billing_private.forgettable_subject(p_customer_id, p_object);
  end if;
  -- A shared lock: everything that brings data about them takes it; forget_user takes it alone and waits for all of them.
  if subject is null or pg_advisory_xact_lock_shared(hashtextextended(subject, 7309)) is null then
    return false;
  end if;
  return exists (select from billing_private.forgotten_subjects as f where f.subject_id = subject);
end;
$$;

comment on function billing_private.is_forgotten is
  'Whether what Stripe tells of this customer, or without one of this object, must be redacted. Holds the answer until commit: forget_user waits.';

create function billing_private.is_being_forgotten(p_customer_id text, p_object jsonb)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  subject constant text := billing_private.forgettable_subject(p_customer_id, p_object);
begin
  return subject is not null and not pg_try_advisory_xact_lock_shared(hashtextextended(subject, 7309));
end;
$$;

comment on function billing_private.is_being_forgotten is
  'Whether forget_user is at work on the person at this moment. If not, it waits until commit. For callers that hold rows it needs, and so must not wait for it.';

create function billing_private.tg_webhook_payloads__before_update()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  redacted constant jsonb := billing_private.redact(old.payload);
begin
  if (new.event_id, new.received_at, new.customer_id, new.payload)
      is distinct from (old.event_id, old.received_at, old.customer_id, redacted)
    or not billing_private.is_forgotten(old.customer_id, old.payload #> '{data,object}')
  then
    perform billing_private.raise_error(
      'DU004', format('%s on %I.%I refused: its rows are never changed or removed', tg_op, tg_table_schema, tg_table_name)
    );
  end if;
  return new;
end;
$$;

comment on function billing_private.tg_webhook_payloads__before_update is
  'Trigger function: refuses every update of a payload (DU004) but one, whoever asks: its redaction, and nothing but that, for a customer who is forgotten.';

create trigger webhook_payloads_are_never_updated
  before update on billing_private.webhook_payloads
  for each row execute function billing_private.tg_webhook_payloads__before_update();

create trigger kept_payloads_are_never_updated
  before update on billing_private.kept_payloads
  for each row execute function billing_private.tg_webhook_payloads__before_update();
