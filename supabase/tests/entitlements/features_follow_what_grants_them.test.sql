-- A user has a feature exactly as long as something grants it, in whatever order that became known.
begin;
select plan(16);

insert into auth.users (id, email) values ('00000000-0000-4000-8000-00000000000a', 'ada@example.com');

create function pg_temp.receive(p_id text, p_type text, p_created bigint, p_object jsonb) returns text language sql as $$
  select billing.receive_event(jsonb_build_object(
    'id', p_id, 'object', 'event', 'type', p_type, 'created', p_created, 'livemode', false, 'data', jsonb_build_object('object', p_object)
  ), '2026-11-01 12:00:00Z');
$$;
create function pg_temp.subscription(p_status text, p_changes jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object(
    'id', 'sub_1', 'object', 'subscription', 'customer', 'cus_1', 'status', p_status,
    'items', jsonb_build_object('data', jsonb_build_array(jsonb_build_object(
      'id', 'si_1', 'price', jsonb_build_object('id', 'price_1', 'product', 'prod_1'), 'current_period_end', 1792592000
    )))
  ) || p_changes;
$$;
create function pg_temp.features() returns text language sql as $$
  select string_agg(feature, ',' order by feature) from billing.entitlements;
$$;

select pg_temp.receive('evt_1', 'customer.subscription.created', 1790000000, pg_temp.subscription('trialing'));
select is(pg_temp.features(), null, 'a subscription of nobody grants nothing');
select pg_temp.receive('evt_2', 'product.created', 1790000000, '{"id": "prod_1", "object": "product", "metadata": {"features": "export, api ,,"}}');
select is(pg_temp.features(), null, 'nor do features that nobody has');
select pg_temp.receive(
  'evt_3', 'customer.created', 1790000000,
  '{"id": "cus_1", "object": "customer", "metadata": {"owner_id": "00000000-0000-4000-8000-00000000000a"}}'
);
select is(pg_temp.features(), 'api,export', 'once the customer is known to be a user, the user has them');
select results_eq(
  $$ select sources, valid_until from billing.entitlements where feature = 'api' $$,
  $$ values (array['sub_1'], to_timestamp(1792592000)) $$,
  'and the row says why, and until when it was paid for'
);

select pg_temp.receive('evt_4', 'price.updated', 1790000001, '{"id": "price_1", "object": "price", "product": "prod_1", "metadata": {"features": "sso"}}');
select is(pg_temp.features(), 'api,export,sso', 'a price adds features of its own');
select pg_temp.receive('evt_5', 'product.updated', 1790000001, '{"id": "prod_1", "object": "product", "metadata": {"features": "export"}}');
select is(pg_temp.features(), 'export,sso', 'a product that loses a feature takes it from its subscribers');
select pg_temp.receive('evt_6', 'product.updated', 1790000000, '{"id": "prod_1", "object": "product", "metadata": {"features": "old"}}');
select is(pg_temp.features(), 'export,sso', 'stale news of a product changes nothing');

select pg_temp.receive('evt_7', 'customer.subscription.updated', 1790000002, pg_temp.subscription('past_due'));
select is(pg_temp.features(), 'export,sso', 'a payment that is late takes nothing');
select pg_temp.receive('evt_8', 'customer.subscription.updated', 1790000003, pg_temp.subscription('active', '{"cancel_at": 1790500000}'));
select is(
  (select valid_until from billing.entitlements where feature = 'export'), to_timestamp(1790500000), 'a subscription that is leaving ends earlier'
);
select pg_temp.receive('evt_9', 'customer.subscription.paused', 1790000004, pg_temp.subscription('paused'));
select is(pg_temp.features(), null, 'a paused one grants nothing');

select pg_temp.receive(
  'evt_10', 'entitlements.active_entitlement_summary.updated', 1790000005,
  '{"object": "entitlements.active_entitlement_summary", "customer": "cus_1", "entitlements": {"data": [{"id": "ent_1", "lookup_key": "roles"}], "has_more": false}}'
);
select is(pg_temp.features(), 'roles', 'what Stripe itself lists is granted');
select is((select object_id from billing.webhook_events where id = 'evt_10'), 'cus_1/entitlements', 'a summary goes by its customer');
select pg_temp.receive(
  'evt_11', 'entitlements.active_entitlement_summary.updated', 1790000006,
  '{"object": "entitlements.active_entitlement_summary", "customer": "cus_1", "entitlements": {"data": [{"id": "ent_2", "lookup_key": "sso"}], "has_more": true}}'
);
select is(pg_temp.features(), 'roles,sso', 'a list that is cut off takes nothing away');
select results_eq(
  $$ select payload ->> 'object', payload ->> 'id' from billing.outbox where kind = 'refresh' and dedupe_key not like 'unseen:%' $$,
  $$ values ('entitlements.active_entitlement_summary', 'cus_1/entitlements') $$,
  'and the rest is to be read from Stripe'
);
select is(
  billing.apply_refresh(
    '{"id": "cus_1/entitlements", "object": "entitlements.active_entitlement_summary", "customer": "cus_1", "entitlements": {"data": [{"lookup_key": "sso"}]}}',
    to_timestamp(1790000010)
  ),
  'applied', 'which answers with all there are'
);
select is(pg_temp.features(), 'sso', 'and then that is it');

select * from finish();
rollback;
