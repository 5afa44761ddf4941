-- "Old" is a payload from before 2025-03-31.basil, "new" one of that version or later.
begin;
select plan(31);

select is(
  billing_private.invoice_subscription('{"parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}}}'),
  'sub_1', 'new: the subscription is under the parent'
);
select is(
  billing_private.invoice_subscription('{"parent": {"subscription_details": {"subscription": {"id": "sub_1", "object": "subscription"}}}}'),
  'sub_1', 'new, expanded'
);
select is(billing_private.invoice_subscription('{"subscription": "sub_1"}'), 'sub_1', 'old: the subscription is named on the invoice');
select is(billing_private.invoice_subscription('{"subscription": {"id": "sub_1"}}'), 'sub_1', 'old, expanded');
select is(billing_private.invoice_subscription('{"parent": null, "subscription": null}'), null, 'a one-time invoice has none');
select is(
  billing_private.invoice_subscription('{"parent": {"type": "quote_details", "quote_details": {"quote": "qt_1"}, "subscription_details": null}}'),
  null, 'nor has that of a quote'
);

select is(billing_private.invoice_status('{"status": "open", "paid": false}'), 'open', 'the status is the status');
select is(billing_private.invoice_status('{"paid": true}'), 'paid', 'without one, paid is paid');
select is(billing_private.invoice_status('{"paid": false}'), null, 'and not paid is nothing known');
select is(billing_private.invoice_status('{"status": "a_status_to_come"}'), 'a_status_to_come', 'a status Stripe adds is kept');

select is(
  billing_private.invoice_tax('{"total_taxes": [{"amount": 190}, {"amount": 10}]}'), 200::bigint, 'new: the sum of total_taxes'
);
select is(billing_private.invoice_tax('{"tax": 190}'), 190::bigint, 'old: tax');
select is(
  billing_private.invoice_tax('{"tax": null, "total_tax_amounts": [{"amount": 190}, {"amount": 10}]}'), 200::bigint,
  'old without tax: the sum of total_tax_amounts'
);
select is(billing_private.invoice_tax('{"total_taxes": []}'), 0::bigint, 'no taxes: nothing');
select is(billing_private.invoice_tax('{"total_taxes": null, "total_tax_amounts": null}'), 0::bigint, 'null taxes: nothing');
select is(billing_private.invoice_tax('{"total_taxes": [{"amount": 3000000000}]}'), 3000000000::bigint, 'an amount above 32 bits');
select is(
  billing_private.invoice_discount('{"total_discount_amounts": [{"amount": 5}, {"amount": 7}]}'), 12::bigint, 'the sum of discounts'
);
select is(billing_private.invoice_discount('{"total_discount_amounts": null}'), 0::bigint, 'none: nothing');
select is(billing_private.invoice_discount('{}'), 0::bigint, 'not mentioned: nothing');

select results_eq(
  $$ select payment_id, amount_paid from billing_private.invoice_payment_links('{"status": "paid", "payments": {"data": [
    {"status": "paid", "amount_paid": 700, "payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
    {"status": "canceled", "amount_paid": null, "payment": {"type": "payment_intent", "payment_intent": {"id": "pi_2"}}},
    {"status": "paid", "amount_paid": 300, "payment": {"type": "charge", "charge": "ch_1"}}
  ]}}') $$,
  $$ values ('ch_1', 300::bigint), ('pi_1', 700), ('pi_2', null) $$,
  'new, expanded: each payment and what it brought'
);
select is_empty($$ select from billing_private.invoice_payment_links('{"status": "paid", "amount_paid": 1000}') $$, 'new, not expanded: none is named');
select is_empty($$ select from billing_private.invoice_payment_links('{"payments": {"data": []}}') $$, 'new, expanded and empty: none');
select results_eq(
  $$ select * from billing_private.invoice_payment_links('{"status": "paid", "amount_paid": 1000, "payment_intent": "pi_1", "charge": "ch_1"}') $$,
  $$ values ('pi_1', 1000::bigint) $$,
  'old: the PaymentIntent, not its charge'
);
select results_eq(
  $$ select * from billing_private.invoice_payment_links('{"status": "paid", "amount_paid": 1000, "charge": {"id": "ch_1"}}') $$,
  $$ values ('ch_1', 1000::bigint) $$,
  'older: a charge without PaymentIntent'
);
select results_eq(
  $$ select * from billing_private.invoice_payment_links('{"paid": true, "amount_paid": 1000, "payment_intent": "pi_1"}') $$,
  $$ values ('pi_1', 1000::bigint) $$,
  'older: paid without a status'
);
select results_eq(
  $$ select * from billing_private.invoice_payment_links('{"status": "open", "amount_paid": 0, "payment_intent": {"id": "pi_1"}}') $$,
  $$ values ('pi_1', null::bigint) $$,
  'old, open: a link and no money'
);
select results_eq(
  $$ select * from billing_private.invoice_payment_links('{"id": "in_1", "status": "paid", "paid": true, "paid_out_of_band": true, "amount_paid": 1000, "payment_intent": "pi_1"}') $$,
  $$ values ('pi_1', null::bigint), ('in_1', 1000) $$,
  'old, paid out of band: that money did not come by the PaymentIntent'
);
select is_empty(
  $$ select from billing_private.invoice_payment_links('{"status": "paid", "amount_paid": 0, "payment_intent": null, "charge": null}') $$,
  'old, nothing to pay: no payment'
);

select is(billing_private.payment_invoice('{"invoice": "in_1"}'), 'in_1', 'old: a payment names its invoice');
select is(billing_private.payment_invoice('{"invoice": {"id": "in_1"}}'), 'in_1', 'old, expanded');
select is(billing_private.payment_invoice('{"id": "pi_1"}'), null, 'new: it does not');

select * from finish();
rollback;
