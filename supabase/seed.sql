-- A plausible small business for the first look at a new local database (`npm run dev`, `supabase start`,
-- `supabase db reset`); never run on a hosted one. Twenty-five customers in every state there is, around now.
-- Everything comes in by the door, as Stripe tells it. Where the door has been used already, nothing is done.

update billing.settings
set app_name = 'Example Notes', app_url = 'http://localhost:3000', livemode = false, mode = 'live', project_ref = 'local'
where id;

-- Stripe's events, made here. Ids end in a number that counts the customers; times are days ago, fractions included.
create temporary sequence seed_events;

create function pg_temp.at(p_days_ago numeric) returns bigint language sql as $$
  select extract(epoch from date_trunc('minute', now()) - p_days_ago * interval '1 day')::bigint;
$$;

create function pg_temp.tell(p_type text, p_days_ago numeric, p_object jsonb, p_previous jsonb default null)
returns void language plpgsql as $$
declare
  outcome text;
begin
  -- Received when it happened, as if this had been running all along.
  outcome := billing.receive_event(p_now => to_timestamp(pg_temp.at(p_days_ago) + 1), event => jsonb_build_object(
    'id', 'evt_Seed' || lpad(nextval('seed_events')::text, 6, '0'), 'object', 'event', 'api_version', '2026-10-28.endive',
    'created', pg_temp.at(p_days_ago), 'type', p_type, 'livemode', false,
    'data', jsonb_build_object('object', p_object) || coalesce(jsonb_build_object('previous_attributes', p_previous), '{}')
  ));
  if outcome <> 'processed' then
    raise exception 'the seed''s % of % was not processed: %', p_type, p_object ->> 'id', outcome;
  end if;
end;
$$;

create function pg_temp.price(p_id text, p_product text, p_amount bigint, p_currency text, p_interval text) returns jsonb language sql as $$
  select jsonb_build_object(
    'id', p_id, 'object', 'price', 'product', p_product, 'active', true, 'currency', p_currency, 'unit_amount', p_amount,
    'unit_amount_decimal', p_amount::text, 'billing_scheme', 'per_unit', 'livemode', false, 'created', pg_temp.at(400),
    'type', case when p_interval is null then 'one_time' else 'recurring' end,
    -- Teams pay by the seat.
    'metadata', case when p_product = 'prod_SeedTeam' then '{"seats": "true"}'::jsonb else '{}' end,
    'recurring', case when p_interval is not null then
      jsonb_build_object('interval', p_interval, 'interval_count', 1, 'usage_type', 'licensed')
    end
  );
$$;

create temporary table seed_customers (
  n integer primary key,
  name text not null,
  country text not null,
  price text,          -- what they subscribe to; null: a one-time buyer, or nothing yet
  quantity integer,
  state text not null, -- see play, which says what each means
  since numeric        -- days ago they came
);
insert into seed_customers values
  (1, 'Amelia Ward', 'GB', 'price_SeedTeamMonthlyGbp', 3, 'active', 190),
  (2, 'Noah Becker', 'DE', 'price_SeedProMonthlyEur', 1, 'active', 161),
  (3, 'Yuki Tanaka', 'JP', 'price_SeedProMonthlyJpy', 1, 'active', 95),
  (4, 'Sofia Rossi', 'IT', 'price_SeedTeamYearlyEur', 5, 'active', 200),
  (5, 'Liam Carter', 'US', 'price_SeedProMonthlyUsd', 1, 'active', 63),
  (6, 'Emma Novak', 'AT', 'price_SeedProMonthlyEur', 2, 'active', 33),
  (7, 'Olivia Brooks', 'US', 'price_SeedTeamMonthlyUsd', 8, 'invoiced', 125),
  (8, 'Lucas Moreau', 'FR', 'price_SeedProMonthlyEur', 1, 'trialing', 6),
  (9, 'Ines Costa', 'PT', 'price_SeedProMonthlyEur', 1, 'trial_ending', 11.5),
  (10, 'Mateo Garcia', 'ES', 'price_SeedTeamMonthlyEur', 4, 'past_due', 92),
  (11, 'Hannah Fischer', 'DE', 'price_SeedProMonthlyEur', 1, 'past_due', 66),
  (12, 'Haruto Sato', 'JP', 'price_SeedTeamMonthlyJpy', 2, 'past_due', 64),
  (13, 'Ethan Reed', 'US', 'price_SeedProMonthlyUsd', 1, 'recovered', 98),
  (14, 'Chloe Martin', 'CA', 'price_SeedProMonthlyUsd', 1, 'unpaid', 110),
  (15, 'Jonas Lind', 'SE', 'price_SeedProMonthlyEur', 1, 'paused', 20),
  (16, 'Marta Kowalska', 'PL', 'price_SeedProMonthlyEur', 1, 'collection_paused', 80),
  (17, 'Daniel Osei', 'GB', 'price_SeedTeamMonthlyGbp', 2, 'leaving', 70),
  (18, 'Freya Olsen', 'NO', 'price_SeedProMonthlyEur', 1, 'canceled', 130),
  (19, 'Oscar Hughes', 'GB', 'price_SeedTeamMonthlyGbp', 1, 'nonpayment', 140),
  (20, 'Ava Mitchell', 'US', 'price_SeedProMonthlyUsd', 1, 'incomplete', 0.1),
  (21, 'Tom Baker', 'US', null, null, 'one_time', 45),
  (22, 'Lea Keller', 'CH', null, null, 'refunded', 52),
  (23, 'Ben Adler', 'DE', 'price_SeedProMonthlyEur', 1, 'disputed', 75),
  (24, 'Nina Petrova', 'BG', 'price_SeedProMonthlyEur', 1, 'deleted', 157),
  (25, 'Max Schmid', 'CH', null, null, 'registered', 2);

create temporary table seed_prices as
select p.*
from (
  values
    ('price_SeedProMonthlyEur', 'prod_SeedPro', 1900, 'eur', 'month'),
    ('price_SeedProMonthlyUsd', 'prod_SeedPro', 2000, 'usd', 'month'),
    ('price_SeedProMonthlyJpy', 'prod_SeedPro', 2800, 'jpy', 'month'),
    ('price_SeedTeamMonthlyEur', 'prod_SeedTeam', 1200, 'eur', 'month'),
    ('price_SeedTeamMonthlyUsd', 'prod_SeedTeam', 1300, 'usd', 'month'),
    ('price_SeedTeamMonthlyGbp', 'prod_SeedTeam', 1100, 'gbp', 'month'),
    ('price_SeedTeamMonthlyJpy', 'prod_SeedTeam', 1800, 'jpy', 'month'),
    ('price_SeedTeamYearlyEur', 'prod_SeedTeam', 12000, 'eur', 'year'),
    ('price_SeedCredits', 'prod_SeedCredits', 4900, 'eur', null)
) as p (id, product, amount, currency, every);

create function pg_temp.subscription(c seed_customers, p_status text, p_start numeric, p_end numeric, p_more jsonb default '{}')
returns jsonb language sql as $$
  select jsonb_build_object(
    'id', 'sub_Seed' || c.n, 'object', 'subscription', 'customer', 'cus_Seed' || c.n, 'status', p_status, 'currency', p.currency,
    'collection_method', case c.state when 'invoiced' then 'send_invoice' else 'charge_automatically' end,
    'days_until_due', case c.state when 'invoiced' then 14 end,
    'cancel_at_period_end', false, 'created', pg_temp.at(c.since), 'start_date', pg_temp.at(c.since),
    -- The periods told here have 30 days, and Stripe's go by the calendar: from the end of this one on.
    'billing_cycle_anchor', pg_temp.at(p_end), 'default_payment_method', 'pm_Seed' || c.n, 'livemode', false, 'metadata', '{}'::jsonb,
    'items', jsonb_build_object('object', 'list', 'has_more', false, 'data', jsonb_build_array(jsonb_build_object(
      'id', 'si_Seed' || c.n, 'object', 'subscription_item', 'created', pg_temp.at(c.since), 'quantity', c.quantity,
      'subscription', 'sub_Seed' || c.n, 'metadata', '{}'::jsonb,
      'current_period_start', pg_temp.at(p_start), 'current_period_end', pg_temp.at(p_end),
      'price', pg_temp.price(p.id, p.product, p.amount, p.currency, p.every)
    )))
  ) || p_more
  from seed_prices as p
  where p.id = c.price;
$$;

create function pg_temp.invoice(c seed_customers, p_number integer, p_days_ago numeric, p_status text, p_more jsonb default '{}')
returns jsonb language sql as $$
  select jsonb_build_object(
    'id', format('in_Seed%s_%s', c.n, p_number), 'object', 'invoice', 'customer', 'cus_Seed' || c.n,
    'customer_email', lower(split_part(c.name, ' ', 1)) || '@example.com', 'customer_name', c.name,
    'number', format('SEED%s-%s', lpad(c.n::text, 2, '0'), lpad(p_number::text, 4, '0')), 'status', p_status,
    'currency', p.currency, 'collection_method', case c.state when 'invoiced' then 'send_invoice' else 'charge_automatically' end,
    'billing_reason', case p_number when 1 then 'subscription_create' else 'subscription_cycle' end,
    'subtotal', p.amount * c.quantity, 'total', p.amount * c.quantity, 'amount_due', p.amount * c.quantity,
    'amount_paid', case p_status when 'paid' then p.amount * c.quantity else 0 end,
    'amount_remaining', case p_status when 'paid' then 0 else p.amount * c.quantity end,
    'attempt_count', case when p_status = 'paid' then 1 else 0 end, 'attempted', p_status = 'paid', 'auto_advance', true,
    'period_start', pg_temp.at(p_days_ago + 30), 'period_end', pg_temp.at(p_days_ago), 'created', pg_temp.at(p_days_ago), 'livemode', false,
    'hosted_invoice_url', format('http://localhost:3000/invoices/in_Seed%s_%s', c.n, p_number),
    'parent', jsonb_build_object('type', 'subscription_details', 'subscription_details', jsonb_build_object('subscription', 'sub_Seed' || c.n)),
    'status_transitions', jsonb_build_object(
      'finalized_at', pg_temp.at(p_days_ago), 'paid_at', case p_status when 'paid' then pg_temp.at(p_days_ago) end
    ),
    'lines', jsonb_build_object('object', 'list', 'data', '[]'::jsonb, 'has_more', false), 'metadata', '{}'::jsonb
  ) || p_more
  from seed_prices as p
  where p.id = c.price;
$$;

create function pg_temp.payment(c seed_customers, p_number integer, p_days_ago numeric, p_amount bigint, p_currency text, p_more jsonb default '{}')
returns jsonb language sql as $$
  select jsonb_build_object(
    'id', format('pi_Seed%s_%s', c.n, p_number), 'object', 'payment_intent', 'customer', 'cus_Seed' || c.n, 'amount', p_amount,
    'amount_received', p_amount, 'currency', p_currency, 'status', 'succeeded', 'payment_method', 'pm_Seed' || c.n,
    'created', pg_temp.at(p_days_ago), 'livemode', false, 'metadata', '{}'::jsonb
  ) || p_more;
$$;

create function pg_temp.charge(c seed_customers, p_number integer, p_days_ago numeric, p_amount bigint, p_currency text, p_more jsonb default '{}')
returns jsonb language sql as $$
  select jsonb_build_object(
    'id', format('ch_Seed%s_%s', c.n, p_number), 'object', 'charge', 'customer', 'cus_Seed' || c.n,
    'payment_intent', format('pi_Seed%s_%s', c.n, p_number), 'amount', p_amount, 'amount_captured', p_amount, 'amount_refunded', 0,
    'currency', p_currency, 'status', 'succeeded', 'paid', true, 'payment_method', 'pm_Seed' || c.n,
    'payment_method_details', jsonb_build_object('type', 'card', 'card', jsonb_build_object('brand', 'visa', 'last4', '4242')),
    'created', pg_temp.at(p_days_ago), 'livemode', false, 'metadata', '{}'::jsonb
  ) || p_more;
$$;

-- An invoice that was paid: as Stripe tells it, the money first.
create function pg_temp.pay_invoice(c seed_customers, p_number integer, p_days_ago numeric) returns void language plpgsql as $$
declare
  bill constant jsonb := pg_temp.invoice(c, p_number, p_days_ago, 'paid');
  amount constant bigint := (bill ->> 'total')::bigint;
begin
  if not exists (select from billing.invoices as i where i.id = bill ->> 'id') then
    perform pg_temp.tell('invoice.created', p_days_ago, pg_temp.invoice(c, p_number, p_days_ago, 'draft'));
  end if;
  perform pg_temp.tell('payment_intent.succeeded', p_days_ago, pg_temp.payment(c, p_number, p_days_ago, amount, bill ->> 'currency'));
  perform pg_temp.tell('charge.succeeded', p_days_ago, pg_temp.charge(c, p_number, p_days_ago, amount, bill ->> 'currency'));
  perform pg_temp.tell('invoice.paid', p_days_ago, bill);
  perform pg_temp.tell('invoice_payment.paid', p_days_ago, jsonb_build_object(
    'id', format('inpay_Seed%s_%s', c.n, p_number), 'object', 'invoice_payment', 'invoice', bill ->> 'id', 'status', 'paid',
    'amount_paid', amount, 'amount_requested', amount, 'currency', bill ->> 'currency', 'is_default', true, 'livemode', false,
    'payment', jsonb_build_object('type', 'payment_intent', 'payment_intent', format('pi_Seed%s_%s', c.n, p_number)),
    'status_transitions', jsonb_build_object('paid_at', pg_temp.at(p_days_ago)), 'created', pg_temp.at(p_days_ago)
  ));
end;
$$;

-- One whose payment fails, and stays open.
create function pg_temp.fail_invoice(c seed_customers, p_number integer, p_days_ago numeric) returns void language plpgsql as $$
declare
  bill constant jsonb := pg_temp.invoice(c, p_number, p_days_ago, 'open', jsonb_build_object(
    'attempt_count', 1, 'attempted', true, 'next_payment_attempt', case when p_days_ago < 12 then pg_temp.at(-2) end
  ));
begin
  perform pg_temp.tell('invoice.finalized', p_days_ago, bill);
  perform pg_temp.tell('payment_intent.payment_failed', p_days_ago, pg_temp.payment(
    c, p_number, p_days_ago, (bill ->> 'total')::bigint, bill ->> 'currency', jsonb_build_object(
      'status', 'requires_payment_method', 'amount_received', 0,
      'last_payment_error', jsonb_build_object('code', 'card_declined', 'decline_code', 'insufficient_funds', 'message', 'Your card has insufficient funds.')
    )
  ));
  perform pg_temp.tell('invoice.payment_failed', p_days_ago, bill);
end;
$$;

-- The life of a customer up to now. States that are not named here are paid every month and go on.
create function pg_temp.play(c seed_customers) returns void language plpgsql as $$
declare
  buyer constant jsonb := jsonb_build_object(
    'id', 'cus_Seed' || c.n, 'object', 'customer', 'email', lower(split_part(c.name, ' ', 1)) || '@example.com', 'name', c.name,
    'preferred_locales', case c.country when 'DE' then '["de"]' when 'AT' then '["de"]' when 'CH' then '["de"]' else '["en"]' end::jsonb,
    'invoice_settings', jsonb_build_object('default_payment_method', case when c.state <> 'registered' then 'pm_Seed' || c.n end), 'balance', 0, 'delinquent', c.state in ('past_due', 'unpaid'),
    'currency', (select p.currency from seed_prices as p where p.id = c.price),
    'created', pg_temp.at(c.since), 'livemode', false,
    'metadata', case when c.n <= 20 or c.state = 'disputed' then jsonb_build_object('owner_id', format('5eed0000-0000-4000-8000-%s', lpad(c.n::text, 12, '0'))) else '{}' end
  );
  yearly constant boolean := c.price like '%Yearly%';
  trial constant numeric := case when c.state in ('trialing', 'trial_ending', 'paused') then 14 else 0 end;
  -- The latest renewal is that many days ago.
  renewed constant numeric := case when yearly then c.since else mod(c.since, 30) end;
  started constant jsonb := pg_temp.subscription(c, case when trial > 0 then 'trialing' else 'active' end, c.since, c.since - case when yearly then 365 else 30 end);
  running jsonb;
  number integer := 0;
begin
  perform pg_temp.tell('customer.created', c.since, buyer);
  if c.state = 'registered' then
    return;
  end if;
  perform pg_temp.tell('payment_method.attached', c.since, jsonb_build_object(
    'id', 'pm_Seed' || c.n, 'object', 'payment_method', 'type', 'card', 'customer', 'cus_Seed' || c.n, 'created', pg_temp.at(c.since),
    'card', jsonb_build_object(
      'brand', (array['visa', 'mastercard', 'amex'])[1 + c.n % 3], 'last4', lpad((4242 + 137 * c.n)::text, 4, '0'), 'exp_month', 1 + c.n % 12,
      'exp_year', extract(year from now())::integer + 1 + c.n % 4, 'country', c.country, 'funding', 'credit'
    ),
    'livemode', false, 'metadata', '{}'::jsonb
  ));

  if c.state in ('one_time', 'refunded') then
    perform pg_temp.tell('payment_intent.succeeded', c.since, pg_temp.payment(c, 1, c.since, 4900, 'eur'));
    perform pg_temp.tell('charge.succeeded', c.since, pg_temp.charge(c, 1, c.since, 4900, 'eur'));
    if c.state = 'refunded' then
      perform pg_temp.tell('charge.refunded', c.since - 3, pg_temp.charge(c, 1, c.since, 4900, 'eur', '{"amount_refunded": 4900, "refunded": true}'), '{"amount_refunded": 0}');
      perform pg_temp.tell('refund.created', c.since - 3, jsonb_build_object(
        'id', 're_Seed' || c.n, 'object', 'refund', 'charge', format('ch_Seed%s_1', c.n), 'payment_intent', format('pi_Seed%s_1', c.n),
        'amount', 4900, 'currency', 'eur', 'status', 'succeeded', 'reason', 'requested_by_customer', 'created', pg_temp.at(c.since - 3), 'metadata', '{}'::jsonb
      ));
    end if;
    return;
  elsif c.state = 'incomplete' then
    perform pg_temp.tell('customer.subscription.created', c.since, pg_temp.subscription(c, 'incomplete', c.since, c.since - 30));
    perform pg_temp.fail_invoice(c, 1, c.since);
    return;
  end if;

  if trial > 0 then
    running := started || jsonb_build_object('trial_start', pg_temp.at(c.since), 'trial_end', pg_temp.at(c.since - trial));
    running := jsonb_set(running, '{items,data,0,current_period_end}', to_jsonb(pg_temp.at(c.since - trial)));
    running := jsonb_set(running, '{billing_cycle_anchor}', to_jsonb(pg_temp.at(c.since - trial)));
    perform pg_temp.tell('customer.subscription.created', c.since, running);
    if c.state in ('trial_ending', 'paused') then
      perform pg_temp.tell('customer.subscription.trial_will_end', c.since - trial + 3, running);
    end if;
    if c.state = 'paused' then
      perform pg_temp.tell(
        'customer.subscription.paused', c.since - trial, running || '{"status": "paused", "default_payment_method": null}', '{"status": "trialing"}'
      );
    end if;
    return;
  end if;

  perform pg_temp.tell('customer.subscription.created', c.since, started || jsonb_build_object('latest_invoice', format('in_Seed%s_1', c.n)));
  -- Paid every month up to the latest one, which some do not get past.
  for day in reverse floor((c.since - renewed) / 30)::integer .. 0 loop
    number := number + 1;
    exit when day = 0 and c.state in ('past_due', 'recovered', 'unpaid', 'nonpayment', 'invoiced');
    perform pg_temp.pay_invoice(c, number, renewed + 30 * day);
  end loop;
  running := pg_temp.subscription(c, 'active', renewed, renewed - case when yearly then 365 else 30 end);
  if number > 1 and not yearly then
    running := running || jsonb_build_object('latest_invoice', format('in_Seed%s_%s', c.n, number));
    perform pg_temp.tell('customer.subscription.updated', renewed, running, jsonb_build_object('latest_invoice', format('in_Seed%s_%s', c.n, number - 1)));
  end if;

  case c.state
    when 'invoiced' then
      perform pg_temp.tell('invoice.sent', renewed, pg_temp.invoice(c, number, renewed, 'open', jsonb_build_object('due_date', pg_temp.at(renewed - 14))));
    when 'past_due', 'recovered', 'unpaid', 'nonpayment' then
      perform pg_temp.fail_invoice(c, number, renewed);
      perform pg_temp.tell('customer.subscription.updated', renewed, running || '{"status": "past_due"}', '{"status": "active"}');
      if c.state = 'recovered' then
        perform pg_temp.pay_invoice(c, number, renewed - 4);
        perform pg_temp.tell('customer.subscription.updated', renewed - 4, running, '{"status": "past_due"}');
      elsif c.state = 'unpaid' then
        perform pg_temp.tell('customer.subscription.updated', renewed - 14, running || '{"status": "unpaid"}', '{"status": "past_due"}');
      elsif c.state = 'nonpayment' then
        perform pg_temp.tell('customer.subscription.deleted', renewed - 10, running || jsonb_build_object(
          'status', 'canceled', 'canceled_at', pg_temp.at(renewed - 10), 'ended_at', pg_temp.at(renewed - 10),
          'cancellation_details', '{"reason": "payment_failed"}'::jsonb
        ));
        perform pg_temp.tell('invoice.voided', renewed - 10, pg_temp.invoice(c, number, renewed, 'void', '{"amount_remaining": 0}'));
      end if;
    when 'collection_paused' then
      perform pg_temp.tell(
        'customer.subscription.updated', 3, running || '{"pause_collection": {"behavior": "void", "resumes_at": null}}', '{"pause_collection": null}'
      );
    when 'leaving' then
      perform pg_temp.tell('customer.subscription.updated', 2, running || jsonb_build_object(
        'cancel_at_period_end', true, 'cancel_at', running #> '{items,data,0,current_period_end}', 'canceled_at', pg_temp.at(2)
      ), '{"cancel_at_period_end": false}');
    when 'canceled', 'deleted' then
      perform pg_temp.tell('customer.subscription.deleted', 5, running || jsonb_build_object(
        'status', 'canceled', 'canceled_at', pg_temp.at(5), 'ended_at', pg_temp.at(5), 'cancellation_details', '{"reason": "cancellation_requested"}'::jsonb
      ));
      if c.state = 'deleted' then
        perform pg_temp.tell('customer.deleted', 4, jsonb_build_object('id', 'cus_Seed' || c.n, 'object', 'customer', 'deleted', true));
      end if;
    when 'disputed' then
      perform pg_temp.tell('charge.dispute.created', 3, jsonb_build_object(
        'id', 'du_Seed' || c.n, 'object', 'dispute', 'charge', format('ch_Seed%s_%s', c.n, number), 'payment_intent', format('pi_Seed%s_%s', c.n, number),
        'amount', 1900, 'currency', 'eur', 'status', 'needs_response', 'reason', 'fraudulent', 'is_charge_refundable', false,
        'evidence_details', jsonb_build_object('due_by', pg_temp.at(-4), 'has_evidence', false), 'created', pg_temp.at(3), 'livemode', false, 'metadata', '{}'::jsonb
      ));
    else
      null;
  end case;
end;
$$;

do $$
declare
  -- The local stack says so, and tells its own Stripe.
  is_known_to_stripe constant boolean := coalesce(current_setting('duebase.seed_is_known_to_stripe', true), '') = 'on';
begin
  if exists (select from billing.webhook_events) then
    raise notice 'duebase: there are events already: no seed';
    return;
  end if;
  insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
  select
    format('5eed0000-0000-4000-8000-%s', lpad(c.n::text, 12, '0'))::uuid, 'authenticated', 'authenticated',
    lower(split_part(c.name, ' ', 1)) || '@example.com', now(), now() - c.since * interval '1 day', now()
  from seed_customers as c
  where c.n <= 20 or c.state = 'disputed'
  on conflict (id) do nothing;

  -- As if this had been running all along: when payloads came, their month had its partition.
  perform billing_private.make_payload_partition(m.month at time zone 'UTC')
  from generate_series(
    date_trunc('month', to_timestamp(pg_temp.at(400)) at time zone 'UTC'), now() at time zone 'UTC', interval '1 month'
  ) as m (month);

  perform pg_temp.tell('product.created', 400, jsonb_build_object(
    'id', p.id, 'object', 'product', 'name', p.name, 'active', true, 'livemode', false, 'created', pg_temp.at(400), 'updated', pg_temp.at(400), 'metadata', p.metadata
  ))
  from (
    values
      ('prod_SeedPro', 'Pro', '{"features": "export,history"}'::jsonb), ('prod_SeedTeam', 'Team', '{"features": "export,history,sharing", "seats_limit": "10"}'),
      ('prod_SeedCredits', '500 AI credits', '{}')
  ) as p (id, name, metadata);
  perform pg_temp.tell('price.created', 400, pg_temp.price(p.id, p.product, p.amount, p.currency, p.every)) from seed_prices as p;
  perform pg_temp.play(c) from seed_customers as c order by c.n;
  -- Before each step dunning reads from Stripe, which has never heard of them, unless somebody has told it.
  if not is_known_to_stripe then
    perform billing.close_dunning(k.id, 'an example that Stripe does not know') from billing.dunning_cases as k where k.status = 'open';
  end if;

  -- As many seats as they pay for.
  perform billing.sync_seats(format('5eed0000-0000-4000-8000-%s', lpad(c.n::text, 12, '0'))::uuid, c.quantity)
  from seed_customers as c
  where c.price like 'price_SeedTeam%';
  while billing_private.follow_seats() > 0 loop
    null;
  end loop;

  -- What happened before anybody looked is told to nobody; of customers that Stripe knows, the latest is. Told apart by the
  -- minute that the seed's times go by, and where none of them is near: else the second of the day would decide.
  update billing.outbox as o
  set
    status = 'canceled', finished_at = now(), claim_id = null, locked_until = null,
    last_error = '{"code": "not_wanted", "message": "owed by the seed, not by anything that happened"}'
  where o.status in ('pending', 'claimed')
    and not (is_known_to_stripe and (o.kind = 'dunning' or o.created_at > to_timestamp(pg_temp.at(2.5))));

  -- One transaction of seconds says nothing of how long an event takes.
  delete from billing_private.slow_events where true;
end;
$$;
