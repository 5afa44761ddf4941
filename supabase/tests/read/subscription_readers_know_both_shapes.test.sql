-- "Old" is a payload from before 2025-03-31.basil, "new" one of that version or later.
begin;
select plan(15);

create function pg_temp.period_of(p_subscription jsonb) returns text language sql as $$
  select format('%s..%s', extract(epoch from period_start), extract(epoch from period_end))
  from billing_private.subscription_period(p_subscription);
$$;

select is(
  pg_temp.period_of('{"id": "sub_1", "current_period_start": 1790000000, "current_period_end": 1792678400, "items": {"data": [{"id": "si_1"}]}}'),
  '1790000000.000000..1792678400.000000', 'old: the period is on the subscription'
);
select is(
  pg_temp.period_of('{"id": "sub_1", "items": {"data": [{"id": "si_1", "current_period_start": 1790000000, "current_period_end": 1792678400}]}}'),
  '1790000000.000000..1792678400.000000', 'new: the period is on its item'
);
select is(
  pg_temp.period_of('{"items": {"data": [
    {"id": "si_year", "current_period_start": 1790000000, "current_period_end": 1821536000},
    {"id": "si_month", "current_period_start": 1790000001, "current_period_end": 1792678400}
  ]}}'),
  '1790000001.000000..1792678400.000000', 'new, several items: the one that renews first'
);
select is(
  pg_temp.period_of('{"items": {"data": [
    {"id": "si_2", "current_period_start": 2, "current_period_end": 1000000000},
    {"id": "si_1", "current_period_start": 1, "current_period_end": 999999999}
  ]}}'),
  '1.000000..999999999.000000', 'periods are compared as numbers, not as text'
);
select is(pg_temp.period_of('{"items": {"data": []}}'), '..', 'no items: no period');
select is(pg_temp.period_of('{"id": "sub_1"}'), '..', 'no list of items: no period');
select is(pg_temp.period_of('{"items": {"data": null}}'), '..', 'items null: no period');
select is(pg_temp.period_of('{"current_period_start": 5, "current_period_end": null}'), '5.000000..', 'an end that is null is null');

select is(billing_private.item_price('{"price": {"id": "price_1"}}'), 'price_1', 'a price, as the API sends it');
select is(billing_private.item_price('{"price": "price_1"}'), 'price_1', 'a price that is only named');
select is(billing_private.item_price('{"plan": {"id": "gold"}}'), 'gold', 'before 2020-08-27: a plan');
select is(billing_private.item_price('{"price": {"id": "price_1"}, "plan": {"id": "gold"}}'), 'price_1', 'both: the price');
select is(billing_private.item_product('{"price": {"id": "price_1", "product": "prod_1"}}'), 'prod_1', 'the product of the price');
select is(billing_private.item_product('{"price": {"product": {"id": "prod_1", "object": "product"}}}'), 'prod_1', 'an expanded product');
select is(billing_private.item_product('{"plan": {"id": "gold", "product": "prod_1"}}'), 'prod_1', 'the product of the plan');

select * from finish();
rollback;
