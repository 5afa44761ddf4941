import type { TestDatabase } from "../../support/database.ts";

/** Customers in the database; the other tables hold a few rows for each. */
export const customers = 25_000;

/** A user id as the synthetic rows have it. */
export const userOf = (number: number): string =>
  `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/**
 * Fills a database with synthetic rows, in the proportions of one that has been in use for years: nearly everything
 * is done, little is due. 200,000 events, and from 25,000 to 200,000
 * rows in the other large tables.
 */
export async function fillAtScale(database: TestDatabase): Promise<void> {
  const admin = database.connect({ role: "supabase_admin" });
  await admin.unsafe(`
    -- Rows as they are after projection, so nothing is projected while they are written.
    set session_replication_role = replica;

    insert into auth.users (id, email, email_confirmed_at)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@example.com', now()
    from generate_series(1, ${customers}) as n;

    insert into billing.customers (id, owner_id, email, livemode, created)
    select
      'cus_' || n, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@example.com', false, to_timestamp(1700000000 + n)
    from generate_series(1, ${customers}) as n;

    insert into billing_private.customer_owner_hints (customer_id, source, hinted_owner, as_of, object_id, is_waiting)
    select 'cus_' || n, 'customer', '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), to_timestamp(1700000000), 'cus_' || n, n % 5000 = 0
    from generate_series(1, ${customers}) as n;

    insert into billing_private.deleted_owners (owner_id, deleted_at, reason, is_finished)
    select ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, now(), 'user_deleted', true from generate_series(1, ${customers}) as n;

    insert into billing_private.customer_accounts (customer_account, customer, is_moved)
    select 'acct_' || n, 'cus_' || n, true from generate_series(1, ${customers}) as n;

    insert into billing.products (id, name) select 'prod_' || n, 'Plan ' || n from generate_series(1, 2000) as n;
    insert into billing.prices (id, product) select 'price_' || n, 'prod_' || n % 2000 from generate_series(1, 20000) as n;
    update billing.prices set recurring = '{"interval": "year", "interval_count": 1}' where id like 'price_%000';

    insert into billing.subscriptions (id, customer, status, cancel_at_period_end, livemode, created)
    select 'sub_' || n, 'cus_' || (n % ${customers} + 1), 'active', false, false, to_timestamp(1700000000 + n)
    from generate_series(1, 50000) as n;
    insert into billing.subscription_items (id, subscription, customer, price, product)
    select 'si_' || n, 'sub_' || n, 'cus_' || (n % ${customers} + 1), 'price_' || n % 20000, 'prod_' || n % 2000 from generate_series(1, 50000) as n;
    -- One price that many pay.
    update billing.subscription_items set price = 'price_19999' where id in (select 'si_' || n from generate_series(30001, 32000) as n);

    insert into billing_private.catalogue_features (kind, object_id, features)
    select 'product', 'prod_' || n, array['feature_' || n, 'feature_common'] from generate_series(1, 2000) as n
    union all
    select 'price', 'price_' || n, array['feature_' || n % 50] from generate_series(1, 20000) as n;
    insert into billing_private.entitlement_summaries (customer_id, features, is_whole)
    select 'cus_' || n, array['feature_common'], true from generate_series(1, ${customers}) as n;
    insert into billing.entitlements (owner_id, feature, sources, valid_until, version, updated_at)
    select
      ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid, 'feature_' || n / ${customers},
      array['sub_' || n % 50000 + 1], now() + interval '1 day' * (n % 30), 1, to_timestamp(1700000000)
    from generate_series(0, 99999) as n;
    insert into billing.entitlement_versions (owner_id, version, updated_at)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, to_timestamp(1700000000)
    from generate_series(1, ${customers}) as n;
    insert into billing_private.changed_features (kind, object_id, changed_at) values ('product', 'prod_11', to_timestamp(1700000000));

    insert into billing.invoices (id, customer, subscription, status, currency, total, created)
    select 'in_' || n, 'cus_' || (n % ${customers} + 1), 'sub_' || (n % 50000 + 1), 'paid', 'eur', 900, to_timestamp(1700000000 + n)
    from generate_series(1, 100000) as n;
    insert into billing.invoice_payments (id, invoice, payment_intent, status)
    select 'inpay_' || n, 'in_' || n, 'pi_' || n, 'paid' from generate_series(1, 100000) as n;
    insert into billing.payments (id, customer, invoice_id, amount, amount_received, amount_refunded, currency, status, metadata, created, paid_at)
    select
      'pi_' || n, 'cus_' || (n % ${customers} + 1), 'in_' || n, 900, 900, 0, 'eur', 'succeeded', '{}', to_timestamp(1700000000 + n),
      to_timestamp(1700000000 + n * 3000)
    from generate_series(1, 100000) as n;
    insert into billing_private.payment_sources (payment_id, kind, object_id, amount, currency, status, created)
    select 'pi_' || n, kind, case kind when 'charge' then 'ch_' else 'pi_' end || n, 900, 'eur', 'succeeded', to_timestamp(1700000000 + n)
    from generate_series(1, 100000) as n, unnest(array['payment_intent', 'charge']) as kind;

    insert into billing.refunds (id, payment_id, amount, currency, status, created)
    select 're_' || n, 'pi_' || n, 100, 'eur', 'succeeded', to_timestamp(1700000000 + n * 1500) from generate_series(1, 20000) as n;
    insert into billing.disputes (id, payment_id, amount, currency, status, created)
    select 'du_' || n, 'pi_' || n, 900, 'eur', case n % 100 when 0 then 'needs_response' else 'won' end, to_timestamp(1700000000 + n)
    from generate_series(1, 20000) as n;
    insert into billing.payment_methods (id, customer, type, created)
    select 'pm_' || n, 'cus_' || (n % ${customers} + 1), 'card', to_timestamp(1700000000 + n) from generate_series(1, 50000) as n;
    insert into billing.checkout_sessions (id, customer, mode, status, created)
    select 'cs_' || n, 'cus_' || (n % ${customers} + 1), 'payment', 'complete', to_timestamp(1700000000 + n)
    from generate_series(1, 50000) as n;

    -- One customer in fifty owes something and is in the middle of it; most cases are long over.
    update billing.subscriptions set status = 'past_due' where substr(id, 5)::int <= 500;
    insert into billing.invoices (
      id, customer, subscription, status, collection_method, currency, total, amount_due, amount_remaining, attempt_count,
      first_payment_failed_at, created
    )
    select
      'in_due_' || n, 'cus_' || (n % ${customers} + 1), 'sub_' || n, 'open', 'charge_automatically', 'eur', 900, 900, 900, 1,
      to_timestamp(1700000000), to_timestamp(1700000000)
    from generate_series(1, 510) as n;
    select billing.define_dunning_policy('patient', '[{"day": 5, "kind": "notice"}]', 'leave', p_now => to_timestamp(1700000000));
    insert into billing.dunning_assignments (scope, subject_id, policy, assigned_at)
    select 'price', 'price_' || n, 'patient', to_timestamp(1700000000) from generate_series(1, 5000) as n;
    insert into billing.dunning_cases
      (subject_id, customer, subscription, currency, policy_id, status, outcome, anchor_at, ladder_from, amount_due, opened_at, closed_at)
    select
      'sub_' || n, 'cus_' || (n % ${customers} + 1), 'sub_' || n, 'eur', case n % 1000 when 0 then 2 else 1 end,
      case when n <= 500 then 'open' else 'closed' end, case when n > 500 then 'recovered' end, to_timestamp(1700000000), to_timestamp(1700000000), 900,
      to_timestamp(1700000000), case when n > 500 then to_timestamp(1700000000) end
    from generate_series(1, 25000) as n;
    insert into billing.dunning_case_invoices (invoice, case_id, overdue_since, known_at)
    select case when n <= 500 then 'in_due_' else 'in_' end || n, n, to_timestamp(1700000000), to_timestamp(1700000000)
    from generate_series(1, 25000) as n;
    insert into billing.dunning_actions
      (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, outbox_id)
    select
      n, 1, 'notice', case when n <= 500 then 'in_due_' else 'in_' end || n, array[case when n <= 500 then 'in_due_' else 'in_' end || n],
      case when n % 100 = 0 and n <= 500 then 'planned' else 'sent' end, to_timestamp(1700000000), to_timestamp(1700000000),
      case when n % 100 = 0 and n <= 500 then null else to_timestamp(1700000000) end, n
    from generate_series(1, 25000) as n;
    insert into billing_private.given_cards (object_id, payment_method, given_at)
    select 'sub_' || n, 'pm_' || n, to_timestamp(1700000001) from generate_series(1, 50000) as n;
    update billing.subscriptions set default_payment_method = 'pm_' || substr(id, 5) where substr(id, 5)::int between 200 and 250;
    insert into billing.dunning_charges (case_id, invoice, payment_method, status, planned_at, status_at, outbox_id)
    select n, 'in_' || n, 'pm_' || n, 'paid', to_timestamp(1700000000), to_timestamp(1700000000), n
    from generate_series(501, 25000) as n;
    insert into billing.dunning_resumptions (customer, subscription, invoice, status, decided_at, due_at, finished_at)
    select
      'cus_' || (n % ${customers} + 1), 'sub_' || n, 'in_' || n, 'done', to_timestamp(1700000000), to_timestamp(1700000000),
      to_timestamp(1700000000)
    from generate_series(501, 25000) as n;
    -- Few rest, and fewer for a debt.
    update billing.subscriptions
    set
      status = 'paused',
      status_details = jsonb_build_object('paused', jsonb_build_object(
        'transitioned_at', 1700000000,
        'subscription', jsonb_build_object('type', case when substr(id, 5)::int % 2 = 0 then 'first_payment_failure' else 'pause_requested' end)
      ))
    where substr(id, 5)::int between 30001 and 30100;
    insert into billing.dunning_holds (customer, case_id, reason, held_at, released_at)
    select
      'cus_' || (n % ${customers} + 1), n, 'asked for time', to_timestamp(1700000000), case when n > 100 then to_timestamp(1700000001) end
    from generate_series(1, 20000) as n;
    insert into billing.dunning_runs (as_of, started_at, finished_at, counts)
    select at, at, at, '{}' from generate_series(1, 10000) as n cross join lateral (select to_timestamp(1700000000 + n * 3600) as at) as t;

    insert into billing.webhook_events (id, type, livemode, created, object_id, customer_id, received_at)
    select
      'evt_' || n, 'invoice.updated', false, to_timestamp(1700000000 + n / 4), 'in_' || n / 4, 'cus_' || (n / 4 % ${customers} + 1),
      to_timestamp(1700000000 + n)
    from generate_series(1, 200000) as n;
    insert into billing_private.webhook_payloads (event_id, received_at, customer_id, payload)
    select
      'evt_' || n, to_timestamp(1700000000 + n), 'cus_' || (n / 4 % ${customers} + 1),
      jsonb_build_object(
        'id', 'evt_' || n, 'object', 'event', 'type', 'invoice.updated', 'created', 1700000000 + n / 4, 'livemode', false,
        'data', jsonb_build_object('object', jsonb_build_object('id', 'in_' || n / 4, 'object', 'invoice', 'status', 'open'))
      )
    from generate_series(1, 200000) as n;
    -- Refunds name no customer, only what was paid.
    insert into billing.webhook_events (id, type, livemode, created, object_id, received_at)
    select 'evt_refund_' || n, 'refund.created', false, to_timestamp(1700000000 + n), 're_' || n, to_timestamp(1700000000 + n)
    from generate_series(1, 20000) as n;
    insert into billing_private.webhook_payloads (event_id, received_at, payload)
    select
      'evt_refund_' || n, to_timestamp(1700000000 + n),
      jsonb_build_object('data', jsonb_build_object('object', jsonb_build_object(
        'id', 're_' || n, 'object', 'refund', 'payment_intent', 'pi_' || n, 'charge', 'ch_' || n
      )))
    from generate_series(1, 20000) as n;
    insert into billing_private.kept_payloads (event_id, received_at, customer_id, payload)
    select event_id, received_at, customer_id, payload from billing_private.webhook_payloads
    where received_at < to_timestamp(1700020000);
    insert into billing.webhook_duplicates (event_id, received_at)
    select 'evt_' || n, to_timestamp(1700000000 + n) from generate_series(1, 25000) as n;
    insert into billing_private.object_versions (object_id, as_of, event_id, rank)
    select 'in_' || n, to_timestamp(1700000000 + n), 'evt_' || n * 4, 3 from generate_series(1, 100000) as n;
    insert into billing.audit_events (occurred_at, recorded_at, action, actor, subject_id, customer_id, event_id)
    select to_timestamp(1700000000 + n), to_timestamp(1700000000 + n), 'invoice.paid', 'stripe', 'in_' || n, 'cus_' || (n % ${customers} + 1), 'evt_' || n
    from generate_series(1, 100000) as n;

    -- One in a thousand is still to be done.
    insert into billing.failed_webhooks (event_id, status, attempts, error, first_failed_at, last_failed_at, next_attempt_at, resolved_at)
    select
      'evt_' || n, case n % 1000 when 0 then 'retrying' else 'resolved' end, 1, '{}', to_timestamp(1700000000), to_timestamp(1700000000),
      case n % 1000 when 0 then to_timestamp(1700000060) end, case n % 1000 when 0 then null else to_timestamp(1700000060) end
    from generate_series(1, 50000) as n;
    insert into billing.alarms (name, meaning, began_at, ended_at)
    select 'failed-events', '', to_timestamp(1700000000 + n), to_timestamp(1700000060 + n) from generate_series(1, 20000) as n;
    insert into billing.hourly_metrics (hour, events, counted_at)
    select to_timestamp(1699999200 + n * 3600), 1400, to_timestamp(1699999200 + n * 3600) from generate_series(1, 9000) as n;
    insert into billing.outbox (kind, dedupe_key, status, run_after, created_at, finished_at)
    select
      'email', 'email:' || n, case n % 1000 when 0 then 'pending' else 'delivered' end, to_timestamp(1700000000 + n),
      to_timestamp(1700000000 + n), case n % 1000 when 0 then null else to_timestamp(1700000000 + n) end
    from generate_series(1, 100000) as n;
    insert into billing.emails (
      outbox_id, dedupe_key, template, customer_id, from_address, to_address, locale, subject, html, text, batch_id, batch_position,
      status, status_at, created_at
    )
    select
      n, 'email:' || n, 'payment-receipt', 'cus_' || (n % ${customers} + 1), 'billing@example.com', n || '@example.com', 'en', '', '', '',
      md5((n / 50)::text)::uuid, n % 50, 'delivered', to_timestamp(1700000000 + n), to_timestamp(1700000000 + n)
    from generate_series(1, 50000) as n;
    insert into billing.suppressed_addresses (address, reason, since, email_id)
    select n || '@example.com', 'bounced', to_timestamp(1700000000), n from generate_series(1, 20000) as n;
    insert into billing.history_runs (kind, status, livemode, events_from, started_at, progressed_at, finished_at)
    select 'comparison', 'complete', false, now(), now(), now(), now() from generate_series(1, 200);
    insert into billing.drift (run_id, object, object_id, field, why, found_at, mended_at)
    select n / 100 + 1, 'invoice', 'in_' || n, 'status', 'no event told of it', to_timestamp(1700000000 + n), to_timestamp(1700000000 + n)
    from generate_series(0, 19999) as n;
    insert into billing.missed_webhooks (event_id, type, created, found_at, run_id)
    select 'evt_' || n, 'invoice.paid', to_timestamp(1700000000 + n), to_timestamp(1700000000 + n), 1 from generate_series(1, 20000) as n;
    insert into billing.resend_events (id, type, resend_id, email_id, created_at, received_at)
    select 'msg_' || n, 'email.delivered', 're_' || n, n, to_timestamp(1700000000 + n), to_timestamp(1700000000 + n)
    from generate_series(1, 25000) as n;

    update billing.products set metadata = '{"limit_api_calls": "1000"}' where id like 'prod_%';
    insert into billing_private.limits_in_force (object_id, limits)
    select id, '{"api_calls": "1000"}' from billing.products;
    -- Eleven months are over, the twelfth is open.
    insert into billing.subscription_usage (owner_id, subscription, metric, period_start, period_end, usage_limit, used, is_open)
    select
      ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid, 'sub_' || n, 'api_calls',
      to_timestamp(1700000000 + month * 2592000), to_timestamp(1702592000 + month * 2592000), 1000, 10, month = 11
    from generate_series(1, 20000) as n, generate_series(0, 11) as month;
    update billing.subscription_items as i
    set current_period_start = to_timestamp(1728512000), current_period_end = to_timestamp(1731104000)
    where i.id like 'si_%';
    insert into billing_private.usage_records (owner_id, idempotency_key, metric, quantity, recorded_at)
    select
      ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid, 'key ' || n, 'api_calls', 1,
      to_timestamp(1700000000 + n * 100)
    from generate_series(1, 100000) as n;

    insert into billing_private.credit_balances (owner_id, kind, credits)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'images', 1000 from generate_series(1, ${customers}) as n;
    insert into billing.credit_entries (owner_id, kind, credits, balance_after, reason, missing, purchase, idempotency_key, created_at)
    select
      ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid, 'images', case n % 2 when 0 then 10 else -1 end, 10,
      case n % 2 when 0 then 'purchase' else 'deduction' end, 0, case n % 2 when 0 then 'pi_' || n end,
      case n % 2 when 1 then 'key ' || n end, to_timestamp(1700000000 + n)
    from generate_series(1, 100000) as n;
    insert into billing_private.credit_purchases (id, session, customer, guest, is_waiting, holder, kind, credited, standing)
    select
      'pi_' || n, 'cs_' || n, 'cus_' || (n % ${customers} + 1), case n % 1000 when 0 then ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid end,
      n % 1000 = 0, ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid, 'images', 10, 10
    from generate_series(1, 50000) as n;

    insert into billing.seats (owner_id, quantity, counted_at, count_id, status, status_since, outbox_id)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 3, now(), 0, 'no_item', now(), n
    from generate_series(1, 20000) as n;
    insert into billing_private.seat_counts (owner_id, quantity, counted_at)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 3, now() from generate_series(1, 20000) as n;

    insert into billing_private.checkout_attempts (owner_id, user_id, scope, wish, request, status, session, created_at)
    select
      ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid,
      ('00000000-0000-4000-8000-' || lpad((n % ${customers} + 1)::text, 12, '0'))::uuid, 'subscription:prod_' || n, '{}', '{}',
      'complete', 'cs_' || n, now() - n * interval '1 minute'
    from generate_series(1, 30000) as n;
    insert into billing.object_metadata (object_id, metadata)
    select 'sub_' || n, '{"note": "x"}' from generate_series(1, 50000) as n;

    set session_replication_role = origin;
  `);
  await admin.unsafe("analyze");
}
