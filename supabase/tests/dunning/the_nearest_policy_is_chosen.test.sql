begin;
select plan(11);

select billing.define_dunning_policy(name, '[{"day": 0, "kind": "notice"}]', 'leave')
from unnest(array['for-customer', 'for-price', 'for-product']) as name;
insert into billing.subscription_items (id, subscription, price, product, created) values
  ('si_1', 'sub_1', 'price_1', 'prod_1', now()), ('si_2', 'sub_1', 'price_2', 'prod_2', now());

create function pg_temp.chosen(p_subscription text default 'sub_1') returns text language sql as $$
  select p.name || ' ' || p.version from billing.dunning_policies as p where p.id = billing_private.dunning_policy_of('cus_1', p_subscription);
$$;

select is(pg_temp.chosen(), 'default 1', 'whoever has no other gets default');
select billing.assign_dunning_policy('product', 'prod_2', 'for-product');
select is(pg_temp.chosen(), 'for-product 1', 'a product has one, of whichever item');
select billing.assign_dunning_policy('price', 'price_1', 'for-price');
select is(pg_temp.chosen(), 'for-price 1', 'a price goes before a product');
select billing.assign_dunning_policy('customer', 'cus_1', 'for-customer');
select is(pg_temp.chosen(), 'for-customer 1', 'a customer goes before all');
select is(pg_temp.chosen(null), 'for-customer 1', 'also for an invoice without a subscription');
select billing.define_dunning_policy('for-customer', '[{"day": 1, "kind": "notice"}]', 'leave');
select is(pg_temp.chosen(), 'for-customer 2', 'of a policy the version in force');
select billing.assign_dunning_policy('customer', 'cus_1', null);
select is(pg_temp.chosen(), 'for-price 1', 'what was assigned can be taken away');
select is(pg_temp.chosen(null), 'default 1', 'an invoice without a subscription has no price');

select throws_ok(
  $$ select billing.assign_dunning_policy('customer', 'cus_1', 'nobodys') $$, 'DU041', 'there is no policy nobodys', 'a policy has to be there'
);
select throws_ok(
  $$ select billing.assign_dunning_policy('country', 'DE', 'default') $$, 'DU041', 'no policy can be assigned to country DE', 'nothing else has one'
);
select throws_ok(
  $$ select billing.assign_dunning_policy('price', ' ', 'default') $$, 'DU041', null, 'and it has to be named'
);

select * from finish();
rollback;
