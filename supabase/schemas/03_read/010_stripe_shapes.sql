-- Readers of Stripe's JSON. A payload has the shape of its sender's API version, and fields have moved; in these files
-- (…_shapes), and nowhere else, is written where each one was and is. All are pure functions of the object; plpgsql,
-- because a SQL function with a search_path is planned anew at every call.
-- "Old" in their comments means before 2025-03-31.basil, "new" that version and later.
-- Here: references between objects, and what customers and their entitlements say.
-- Reads: the object it is given. Writes: nothing. Called by: everything that reads Stripe's objects.

create function billing_private.stripe_id(p_reference jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_reference)
    when 'string' then nullif(p_reference #>> '{}', '')
    when 'object' then p_reference ->> 'id'
  end;
end;
$$;

comment on function billing_private.stripe_id is 'Id behind a reference, expanded ({"id": …}) or not ("…"); null for null.';

create function billing_private.names_customer(p_object jsonb)
returns boolean
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_object -> 'customer'), billing_private.stripe_id(p_object -> 'customer_account')
  ) is not null;
end;
$$;

comment on function billing_private.names_customer is
  'Whether an object says whose it is: by customer, or since 2025-12-15.clover by customer_account, the Account (v2) that is the customer.';

create function billing_private.event_customer(p_object jsonb, p_previous jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_object ->> 'object' = 'customer' then p_object ->> 'id'
    else coalesce(
      billing_private.stripe_id(p_object -> 'customer'),
      billing_private.stripe_id(p_previous -> 'customer'),
      billing_private.stripe_id(p_object -> 'customer_account'),
      billing_private.stripe_id(p_previous -> 'customer_account')
    )
  end;
end;
$$;

comment on function billing_private.event_customer is
  'Customer an object belongs to, else its customer_account (see customer_accounts). A detached payment method names either only in previous_attributes.';

create function billing_private.default_payment_method(p_customer jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return coalesce(
    billing_private.stripe_id(p_customer #> '{invoice_settings,default_payment_method}'),
    billing_private.stripe_id(p_customer -> 'default_source')
  );
end;
$$;

comment on function billing_private.default_payment_method is
  'Payment method a customer''s invoices are charged to: invoice_settings.default_payment_method, else the older default_source.';

create function billing_private.summary_id(p_object jsonb)
returns text
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return case
    when p_object ->> 'object' = 'entitlements.active_entitlement_summary'
      then billing_private.stripe_id(p_object -> 'customer') || '/entitlements'
  end;
end;
$$;

comment on function billing_private.summary_id is
  'What an entitlement summary goes by here: cus_…/entitlements. Stripe gives it no id, and a customer has one. Null for anything else.';

create function billing_private.summary_features(p_summary jsonb)
returns text[]
language plpgsql
immutable parallel safe
set search_path = ''
as $$
begin
  return array(
    select distinct coalesce(nullif(btrim(e ->> 'lookup_key'), ''), billing_private.stripe_id(e -> 'feature')) collate "C"
    from jsonb_array_elements(coalesce(nullif(p_summary #> '{entitlements,data}', 'null'), '[]')) as e
    order by 1
  );
end;
$$;

comment on function billing_private.summary_features is
  'Features in an entitlement summary, by lookup_key (the feature''s id where it has none), in order and each once.';
