-- Owner hints: what names the owner a Stripe customer belongs to, and how far it is believed.
-- Hints are stored apart from the link they lead to, because either may come first: the customer may be
-- unknown when a checkout names its user, and the user may sign up after both.
-- Reads: settings, owners, objects as Stripe sent them. Writes: nothing; for what writes the table see
-- record_owner_hints. Called by: the rest of this stage, credit purchases.

create table billing_private.customer_owner_hints (
  customer_id text not null,
  source text not null,
  hinted_owner text not null,
  as_of timestamptz not null,
  object_id text not null,
  is_waiting boolean not null,
  is_tied boolean not null default false,
  primary key (customer_id, source),
  constraint source_is_known check (source in ('operator', 'checkout_session', 'customer', 'subscription', 'client_reference', 'payment_link'))
);

comment on table billing_private.customer_owner_hints is
  'The newest hint of each source about which owner a customer belongs to. operator: what billing.link_customers was told. checkout_session, customer, subscription: metadata.owner_id or user_id, which only the merchant can write. client_reference: client_reference_id of a checkout session that was made without a Payment Link; payment_link: of one that a Payment Link made, where the payer can write it.';
comment on column billing_private.customer_owner_hints.hinted_owner is 'As it was said, in lower case; it may be no user, or not yet.';
comment on column billing_private.customer_owner_hints.object_id is 'The object that said so: the session, the customer itself (also where an operator said so), the subscription.';
comment on column billing_private.customer_owner_hints.is_waiting is 'Could be an owner''s id, but there was no such owner when it was said.';
comment on column billing_private.customer_owner_hints.is_tied is 'The source named different users within that one second: each further hint of that second is compared with all of them.';

create index customer_owner_hints_by_owner on billing_private.customer_owner_hints (hinted_owner);
-- Few: what a payer could have written, to be applied again when settings change.
create index customer_owner_hints_by_payers on billing_private.customer_owner_hints (customer_id)
  where source in ('client_reference', 'payment_link');
create index customer_owner_hints_waiting on billing_private.customer_owner_hints (customer_id) where is_waiting;
alter table billing_private.customer_owner_hints enable row level security;
create policy nobody_reads on billing_private.customer_owner_hints using (false);

create function billing_private.as_uuid(p_text text)
returns uuid
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case when p_text ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then p_text::uuid end;
end;
$$;

comment on function billing_private.as_uuid is 'The text as a uuid, or null where it is none.';

create function billing_private.is_trusted_source(p_source text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when p_source in ('client_reference', 'payment_link') then case
      coalesce((select s.trust_client_reference_id from billing.settings as s), 'without_payment_link')
        when 'always' then true
        when 'without_payment_link' then p_source = 'client_reference'
        else false
    end
    else true
  end;
end;
$$;

comment on function billing_private.is_trusted_source is
  'Whether what a source of customer_owner_hints says links a customer: an operator and metadata always, a bare client_reference_id as settings say.';

create function billing_private.named_owner(p_object jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return nullif(lower(btrim(coalesce(
    nullif(btrim(p_object #>> '{metadata,owner_id}'), ''), p_object #>> '{metadata,user_id}'
  ))), '');
end;
$$;

comment on function billing_private.named_owner is
  'The owner that an object''s metadata names, as it is written there but in lower case: owner_id, else user_id; null where it names none. A payer cannot write metadata.';

create function billing_private.hint_source_of_session(p_session jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when billing_private.named_owner(p_session) is not null then 'checkout_session'
    when billing_private.stripe_id(p_session -> 'payment_link') is null then 'client_reference'
    else 'payment_link'
  end;
end;
$$;

comment on function billing_private.hint_source_of_session is
  'By which source of customer_owner_hints a checkout session says whose it is. Beside metadata its client_reference_id says nothing, and may be the id of an order.';

create function billing_private.hinted_owner_of(p_object jsonb, p_source text)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  if p_source not in ('client_reference', 'payment_link') then
    return billing_private.named_owner(p_object);
  elsif p_source = billing_private.hint_source_of_session(p_object) then
    return nullif(lower(btrim(p_object ->> 'client_reference_id')), '');
  end if;
  return null;
end;
$$;

comment on function billing_private.hinted_owner_of is 'The user an object names by a source of customer_owner_hints, in lower case; null where it names none by that.';

create function billing_private.could_sign_up(p_owner text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  hinted_id constant uuid := billing_private.as_uuid(p_owner);
begin
  return hinted_id is not null and not billing_private.owner_exists(hinted_id);
end;
$$;

comment on function billing_private.could_sign_up is 'Whether a hinted owner may still come: the hint has the form of an id, and there is no such owner.';
