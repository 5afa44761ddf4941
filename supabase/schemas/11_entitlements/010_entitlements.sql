-- Entitlements: which features each owner may use now. A row is there exactly as long as something grants the feature,
-- so that a forgotten condition can never let anybody in.
-- Written by: refresh_entitlements. Read by: applications (has_feature, select). What clients listen to is entitlement_versions.

create table billing.entitlements (
  id bigint generated always as identity primary key,
  owner_id uuid not null,
  feature text not null,
  sources text[] not null,
  valid_until timestamptz,
  version bigint not null,
  updated_at timestamptz not null,
  constraint an_owner_has_a_feature_once unique (owner_id, feature),
  constraint something_grants_it check (sources <> '{}'),
  constraint feature_is_not_blank check (btrim(feature) <> '')
);

comment on table billing.entitlements is
  'One row per owner and feature the owner may use now. No row, no access. Computed anew whenever something it follows from changes; never written by hand.';
comment on column billing.entitlements.id is
  'All that a removed row would tell, where an application publishes this table; it says nothing about anybody.';
comment on column billing.entitlements.owner_id is 'Who may use it; gone with the owner, see remove_owner.';
comment on column billing.entitlements.feature is
  'Name of the feature: a key in metadata.features of a product or price, or lookup_key of a feature at Stripe.';
comment on column billing.entitlements.sources is
  'What grants it: subscriptions (sub_…) whose product or price names the feature, customers (cus_…) whose entitlements at Stripe list it.';
comment on column billing.entitlements.valid_until is
  'End of what was paid for, or tried (UTC), as far as Stripe told; null where nothing says. Access does not end with it: past it, the subscription is read from Stripe and the answer decides, because a late renewal must not lock anybody out.';
comment on column billing.entitlements.version is 'The owner''s version at which this row last changed.';
comment on column billing.entitlements.updated_at is 'When this row last changed (UTC).';

create index entitlements_by_end on billing.entitlements (valid_until) where valid_until is not null;

alter table billing.entitlements enable row level security;
grant select on billing.entitlements to authenticated, service_role;

create policy members_read on billing.entitlements
  for select to authenticated
  using (owner_id = any ((select billing_private.my_owner_array(false))::uuid[]));
