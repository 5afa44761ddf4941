-- What counts as a limit, and what does not.
begin;
select plan(8);

select is(
  billing_private.usage_limits('{"limit_api_calls": "1000", "limit_seats": "5 per unit", "limit_exports": "unlimited", "colour": "blue"}'),
  '{"api_calls": "1000", "seats": "5 per unit", "exports": "unlimited"}', 'a number, a number per unit, or unlimited'
);
select is(billing_private.usage_limits('{"limit_a": " Unlimited "}'), '{"a": "unlimited"}', 'in any capitals, with spaces around it');
select is(billing_private.usage_limits('{"limit_a": "0"}'), '{"a": "0"}', 'none at all is a limit');
select is(
  billing_private.usage_limits('{"limit_a": "1,000", "limit_b": "-1", "limit_c": "1.5", "limit_d": "", "limit_e": "9999999999999"}'), '{}',
  'what cannot be read is not given'
);
select is(
  billing_private.usage_limits('{"limit_": "1", "LIMIT_a": "1", "limit_A": "1", "limits_a": "1"}'), '{}', 'a metric has a name in lower case'
);
select is(billing_private.usage_limits('{}'), '{}', 'no metadata, no limits');
select is(billing_private.usage_limits(null), '{}', 'nor for a product that was not heard of');
select is(
  billing_private.usage_limits('{"limit_a": "5"}') || billing_private.usage_limits('{"limit_a": "lots"}'), '{"a": "5"}',
  'a price whose limit cannot be read leaves the product''s'
);

select * from finish();
rollback;
