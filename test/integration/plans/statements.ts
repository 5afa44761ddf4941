import { userOf } from "./scale.ts";

/** A statement that must stay fast however many rows there are. */
export interface Statement {
  what: string;
  sql: string;
  /** Whom it runs as; the owner of the tables unless said otherwise. */
  as?: { role: string; userId?: string };
  /** Indexes it is the reason for. */
  uses?: string[];
  /** Large tables that it may read whole, as they are small beside what it is about. */
  mayScan?: string[];
}

const told = (type: string, object: object, changes: object = {}) => ({
  id: `evt_plan_${type}`,
  object: "event",
  type,
  created: 1_800_000_000,
  livemode: false,
  data: { object },
  ...changes,
});

const receive = (type: string, object: object, changes: object = {}): string =>
  `select billing.receive_event('${JSON.stringify(told(type, object, changes))}')`;

/** A batch of what one customer's months bring, of three customers: each kind is a set. */
const receiveBatch = (): string => {
  const events = [4711, 4712, 4713].flatMap((n) => {
    const of = { customer: `cus_${n}`, currency: "usd", created: 1_700_000_000 };
    const items = { data: [{ id: `si_${n}`, price: { id: "price_1", product: "prod_1" } }] };
    const lines = { data: [{ pricing: { price_details: { price: "price_1", product: "prod_1" } } }] };
    const objects: [type: string, object: object][] = [
      ["customer.updated", { id: `cus_${n}`, object: "customer", metadata: { tier: "gold" } }],
      [
        "customer.subscription.updated",
        { ...of, id: `sub_${n}`, object: "subscription", status: "active", items },
      ],
      ["invoice.paid", { ...of, id: `in_${n}`, object: "invoice", status: "paid", amount_paid: 900, lines }],
      [
        "invoice_payment.paid",
        {
          ...{
            id: `inpay_${n}`,
            object: "invoice_payment",
            invoice: `in_${n}`,
            status: "paid",
            amount_paid: 900,
          },
          payment: { type: "payment_intent", payment_intent: `pi_${n}` },
        },
      ],
      [
        "payment_intent.succeeded",
        { ...of, id: `pi_${n}`, object: "payment_intent", amount: 900, status: "succeeded" },
      ],
      [
        "charge.succeeded",
        {
          ...of,
          id: `ch_${n}`,
          object: "charge",
          amount: 900,
          payment_intent: `pi_${n}`,
          status: "succeeded",
        },
      ],
    ];
    return objects.map(([type, object]) => told(type, object, { id: `evt_plan_batch_${type}_${n}` }));
  });
  return `select billing.receive_events('${JSON.stringify(events)}')`;
};

/** A worker that claims mails kept already and begins to send them; then, what it says of them. */
const send = (ending: string): string => `
  do $$
  declare
    ids bigint[];
    claim uuid;
  begin
    select array_agg(c.id), min(c.claim_id::text)::uuid into ids, claim from billing.claim_outbox('worker', 50) as c;
    update billing.emails set status = 'pending' where outbox_id = any (ids);
    perform billing.prepare_emails(ids, claim, 'billing@example.com');
    perform billing.begin_emails(claim, (select jsonb_agg(jsonb_build_object('id', i)) from unnest(ids) as i));
    perform ${ending};
  end;
  $$`;

const owner = { role: "authenticated", userId: userOf(4711) };

/** What happens with every event, every minute, and every page a user opens. */
export const hotStatements: Statement[] = [
  {
    what: "an event repeated",
    sql: receive("invoice.updated", { id: "in_4711", object: "invoice" }, { id: "evt_4711" }),
    uses: ["webhook_events_pkey"],
  },
  {
    what: "a customer's event",
    sql: receive("customer.updated", {
      id: "cus_4711",
      object: "customer",
      metadata: { owner_id: userOf(4711) },
    }),
    uses: ["object_versions_pkey", "customers_pkey", "customer_owner_hints_pkey"],
  },
  {
    what: "a subscription's event",
    sql: receive("customer.subscription.updated", {
      id: "sub_4711",
      object: "subscription",
      customer: "cus_4711",
      status: "active",
      items: { data: [{ id: "si_4711", price: { id: "price_1", product: "prod_1" } }] },
    }),
    uses: ["subscriptions_pkey", "subscription_items_by_subscription"],
  },
  {
    what: "what a user may use, computed anew",
    sql: "select billing_private.refresh_entitlements('cus_4711', now())",
    uses: [
      "customers_by_owner",
      "subscriptions_by_customer",
      "catalogue_features_pkey",
      "entitlement_summaries_pkey",
    ],
  },
  {
    what: "a product whose features change",
    sql: receive("product.updated", {
      id: "prod_11",
      object: "product",
      metadata: { features: "one, another" },
    }),
    uses: ["catalogue_features_pkey"],
  },
  {
    what: "a price whose features change",
    sql: receive("price.updated", {
      id: "price_11",
      object: "price",
      metadata: { features: "one, another" },
    }),
  },
  {
    what: "subscribers of a changed product, every minute",
    sql: "select billing_private.recount_entitlements(now())",
    uses: ["subscription_items_by_product"],
  },
  {
    what: "entitlements past what was paid for, every minute",
    sql: "select billing_private.recheck_entitlements(now())",
    uses: ["entitlements_by_end"],
  },
  {
    what: "whether a user has a feature",
    sql: "select billing.has_feature('feature_1'), billing.entitlements_version()",
    as: owner,
    uses: ["an_owner_has_a_feature_once", "entitlement_versions_pkey"],
  },
  {
    what: "an invoice's event, one of several in its second",
    sql: receive(
      "invoice.updated",
      { id: "in_4711", object: "invoice", status: "open" },
      { created: 1_700_004_711 },
    ),
    uses: ["webhook_events_by_object"],
  },
  {
    what: "an invoice that is paid",
    sql: receive("invoice.paid", {
      id: "in_4711",
      object: "invoice",
      customer: "cus_4711",
      status: "paid",
      currency: "eur",
      amount_paid: 900,
      payment_intent: "pi_4711",
    }),
    uses: ["payment_sources_pkey", "payments_pkey", "invoices_pkey"],
  },
  {
    what: "an invoice payment's event",
    sql: receive("invoice_payment.paid", {
      id: "inpay_4711",
      object: "invoice_payment",
      invoice: "in_4711",
      status: "paid",
      amount_paid: 900,
      currency: "eur",
      payment: { type: "payment_intent", payment_intent: "pi_4711" },
    }),
    uses: ["invoice_payments_pkey"],
  },
  {
    what: "a batch of three customers' events, projected as sets",
    sql: receiveBatch(),
    uses: [
      "object_versions_pkey",
      "customers_pkey",
      "subscriptions_pkey",
      "invoices_pkey",
      "payments_pkey",
      "webhook_events_by_object",
      "customer_owner_hints_pkey",
    ],
  },
  {
    what: "a charge's event",
    sql: receive("charge.succeeded", {
      id: "ch_4711",
      object: "charge",
      customer: "cus_4711",
      payment_intent: "pi_4711",
      amount: 900,
      currency: "eur",
      status: "succeeded",
    }),
  },
  {
    what: "a refund's event",
    sql: receive("refund.updated", {
      id: "re_4711",
      object: "refund",
      payment_intent: "pi_4711",
      amount: 100,
      currency: "eur",
      status: "succeeded",
    }),
    uses: ["refunds_pkey"],
  },
  {
    what: "a refund's event of a payment that is known, which a mail tells of",
    sql: `
      update billing.payments set amount_received = amount, status = 'succeeded' where id = 'pi_4713';
      update billing.refunds set payment_id = 'pi_4713', charge = 'ch_4713', status = 'succeeded' where id = 're_4713';
      select billing_private.enqueue_emails_of_payment_refunds(
        'pi_4713', jsonb_populate_record(null::billing.stripe_events, '{"created": "2026-10-01T09:00:00Z", "received_at": "2026-10-01T09:00:01Z"}')
      )`,
    uses: ["outbox_by_refund", "refunds_by_payment"],
  },
  {
    what: "a refund's event that names its charge alone",
    sql: receive("refund.updated", {
      id: "re_4712",
      object: "refund",
      charge: "ch_4712",
      amount: 100,
      currency: "eur",
      status: "succeeded",
    }),
    uses: ["payment_sources_by_object"],
  },
  {
    what: "a dispute's event",
    sql: receive("charge.dispute.closed", {
      id: "du_4711",
      object: "dispute",
      payment_intent: "pi_4711",
      amount: 900,
      currency: "eur",
      status: "lost",
    }),
    uses: ["disputes_pkey"],
  },
  {
    what: "whether a customer disputes something",
    sql: "select billing_private.has_open_dispute('cus_4711')",
    uses: ["disputes_by_payment", "payments_by_customer"],
  },
  {
    what: "a payment method's event",
    sql: receive("payment_method.updated", {
      id: "pm_4711",
      object: "payment_method",
      customer: "cus_4711",
      type: "card",
    }),
    uses: ["payment_methods_pkey"],
  },
  {
    what: "a checkout that expired",
    sql: receive("checkout.session.expired", {
      id: "cs_4711",
      object: "checkout.session",
      customer: "cus_4711",
      status: "expired",
    }),
    uses: ["checkout_sessions_pkey"],
  },
  {
    what: "a customer who is linked to another user",
    sql: receive("customer.updated", {
      id: "cus_4712",
      object: "customer",
      metadata: { owner_id: userOf(1) },
    }),
    uses: ["credit_purchases_by_customer", "subscriptions_by_customer"],
  },
  {
    what: "a subscription that renews, with usage to count",
    sql: receive("customer.subscription.updated", {
      id: "sub_4711",
      object: "subscription",
      customer: "cus_4712",
      status: "active",
      items: {
        data: [
          {
            id: "si_4711",
            price: { id: "price_4711", product: "prod_711" },
            current_period_start: 1_731_104_000,
            current_period_end: 1_733_696_000,
          },
        ],
      },
    }),
    uses: ["a_metric_has_one_row_a_period"],
  },
  {
    what: "a product whose limits change",
    sql: receive("product.updated", {
      id: "prod_711",
      object: "product",
      metadata: { limit_api_calls: "2000" },
    }),
    uses: ["limits_in_force_pkey", "subscription_items_by_product"],
  },
  {
    what: "usage that is recorded, and read",
    sql: `
      select billing.record_usage('${userOf(4712)}', 'api_calls', 1, 'new', to_timestamp(1729000000));
      select billing.current_usage('${userOf(4712)}', 'api_calls', to_timestamp(1729000000));
    `,
    uses: ["subscription_usage_in_force", "usage_records_pkey"],
  },
  {
    what: "keys of usage that are forgotten, every hour",
    sql: "select billing_private.purge_usage_records(to_timestamp(1707777000), 100)",
    uses: ["usage_records_by_age"],
  },
  {
    what: "an owner's usage",
    sql: "select * from billing.subscription_usage order by period_start desc limit 20",
    as: owner,
    uses: ["subscription_usage_by_owner"],
  },
  {
    what: "seats that are counted, asked about, and looked at by the tick",
    sql: `
      select billing.sync_seats('${userOf(4712)}', 4);
      select billing.limit_seats('${userOf(4712)}');
      select billing_private.follow_seats(to_timestamp(1729000000));
      select billing.review_seats('${userOf(4712)}', '{}');
      select billing.finish_seats('${userOf(4712)}', 17);
    `,
    uses: ["seats_pkey", "seat_counts_pkey", "seat_counts_by_owner", "seat_counts_by_turn"],
  },
  {
    what: "a change of seats that is dead",
    sql: "update billing.seats as s set status = 'refused' where s.outbox_id = 17",
    uses: ["seats_by_effect"],
  },
  {
    what: "credits that are deducted, and read",
    sql: `
      select billing.deduct_credits('${userOf(4712)}', 'images', 1, 'new');
      select billing.credit_balance('${userOf(4712)}', 'images');
    `,
    uses: ["credit_balances_pkey", "a_key_of_an_owner_is_used_once"],
  },
  {
    what: "an owner's credits, newest first",
    sql: "select * from billing.credit_entries order by created_at desc limit 20",
    as: owner,
    uses: ["credit_entries_by_owner"],
  },
  {
    what: "a purchase that is refunded",
    sql: receive("charge.refunded", {
      id: "ch_4711",
      object: "charge",
      customer: "cus_4712",
      payment_intent: "pi_4711",
      amount: 900,
      amount_refunded: 900,
      currency: "eur",
      status: "succeeded",
      metadata: { credit_kind: "images", credits: "10" },
    }),
    uses: ["credit_purchases_pkey"],
  },
  {
    what: "a checkout that buys credits",
    sql: receive("checkout.session.completed", {
      id: "cs_4711",
      object: "checkout.session",
      mode: "payment",
      customer: "cus_4712",
      payment_intent: "pi_4711",
      payment_status: "paid",
      metadata: { credit_kind: "images", credits: "10" },
    }),
    uses: ["credit_purchases_by_session"],
  },
  {
    what: "a checkout that names its user",
    sql: receive("checkout.session.completed", {
      id: "cs_1",
      object: "checkout.session",
      customer: "cus_4711",
      metadata: { owner_id: userOf(4712) },
    }),
  },
  {
    what: "a new user, by id and by email",
    sql: `
      update billing.settings set link_customers_by_email = true;
      delete from auth.users where id = '${userOf(4711)}';
      insert into auth.users (id, email, email_confirmed_at) values ('${userOf(9_999_999)}', '4711@example.com', now());
    `,
    uses: ["customer_owner_hints_by_owner", "customers_by_email", "credit_purchases_waiting"],
  },
  {
    what: "what checkout asks before it asks Stripe",
    sql: `
      select billing.prepare_checkout('${userOf(4711)}', 'price_4711');
      select billing.begin_checkout('${userOf(4711)}', '${userOf(4711)}', 'subscription:prod_1', '{"price": "a"}', '{"mode": "a"}', 'key', now() + interval '20 days');
    `,
    uses: ["checkout_attempts_by_owner", "checkout_attempts_by_age", "one_checkout_is_open_per_scope"],
  },
  {
    what: "the customer that an account turns out to be",
    sql: receive("customer.updated", {
      id: "cus_4712",
      object: "customer",
      customer_account: "acct_of_4712",
      created: 1_790_000_000,
    }),
    uses: ["payment_sources_of_accounts", "outbox_by_subject"],
  },
  {
    what: "a pass over what is stored, after settings changed",
    sql: `
      update billing.settings set visible_metadata = '{note}', trust_client_reference_id = 'never' where id;
      select billing_private.update_visible_metadata(now() + interval '1 hour', 100);
      select billing_private.relink_hinted_customers(now() + interval '1 hour', 100);
      select billing_private.match_credits_of_hinted_guests(now() + interval '1 hour', 100);
    `,
    uses: ["object_metadata_pkey", "customer_owner_hints_by_payers"],
  },
  {
    what: "a user who leaves",
    sql: `delete from auth.users where id = '${userOf(4711)}'`,
    uses: ["customers_by_owner", "credit_purchases_by_holder"],
  },
  {
    what: "the customers of a user whose account was deleted, to be forgotten",
    sql: `select billing_private.customers_of_owner('${userOf(4711)}')`,
    uses: ["audit_events_by_former_owner"],
  },
  {
    what: "a user who is forgotten",
    sql: `select billing.forget_user('${userOf(4711)}')`,
    uses: [
      "drift_by_customer",
      "webhook_events_by_customer",
      "webhook_payloads_by_reference",
      "kept_payloads_by_reference",
      "outbox_by_subject",
      "checkout_sessions_of_guests",
      "checkout_sessions_by_payment",
      "dunning_holds_by_customer",
      "dunning_resumptions_by_customer",
      "emails_by_customer",
      "customer_accounts_by_customer",
      "checkout_attempts_by_user",
    ],
  },
  {
    what: "an event that names no customer, after somebody was forgotten",
    sql: receive("review.opened", {
      id: "prv_4711",
      object: "review",
      charge: "ch_4711",
      payment_intent: "pi_4711",
    }),
    uses: ["webhook_events_by_object"],
  },
  {
    what: "the retry, every minute",
    sql: "select billing.retry_failed_webhook(now())",
    uses: ["failed_webhooks_due"],
  },
  {
    what: "a replay",
    sql: "select billing.replay_failed_webhook('evt_1000')",
    uses: ["failed_webhooks_pkey"],
  },
  {
    what: "owner hints that wait for their owner, every minute",
    sql: "select billing_private.link_waiting_customers(now())",
    uses: ["customer_owner_hints_waiting"],
  },
  {
    what: "owners whose deletion met with a failure, every minute",
    sql: "select billing_private.remove_deferred_owners(now())",
    uses: ["deleted_owners_unfinished"],
  },
  {
    what: "users whom a sign-up could not link, every minute",
    sql: `
      insert into billing_private.unlinked_users (user_id, noted_at) values ('${userOf(4713)}', now());
      select billing_private.link_unlinked_users(now());
    `,
  },
  {
    what: "users whom the owners function is tried with, every minute",
    sql: "select billing_private.sample_users(10)",
  },
  {
    what: "what an operator says about whose a customer is",
    sql: `select billing.link_customers('[{"customer": "cus_4712", "owner_id": "${userOf(4713)}"}]')`,
  },
  {
    what: "addresses whose sign-up was missed, every minute where linking by email is on",
    sql: `
      update billing.settings set link_customers_by_email = true where id;
      select billing_private.link_waiting_customers(now());
    `,
  },
  {
    what: "a payment that fails, and is overdue from now on",
    sql: receive("invoice.payment_failed", {
      id: "in_30000",
      object: "invoice",
      customer: "cus_5001",
      status: "open",
      collection_method: "charge_automatically",
      currency: "eur",
      amount_remaining: 900,
      attempt_count: 1,
      parent: { subscription_details: { subscription: "sub_30001" } },
    }),
    uses: ["invoices_open", "dunning_cases_open"],
  },
  {
    what: "an overdue invoice that is paid",
    sql: receive("invoice.paid", {
      id: "in_due_100",
      object: "invoice",
      customer: "cus_101",
      status: "paid",
      currency: "eur",
      amount_paid: 900,
    }),
    uses: ["dunning_case_invoices_pkey", "dunning_case_invoices_by_case", "dunning_actions_by_case"],
  },
  {
    what: "a new card, with something overdue",
    sql: receive(
      "customer.subscription.updated",
      {
        id: "sub_210",
        object: "subscription",
        customer: "cus_211",
        status: "past_due",
        default_payment_method: "pm_4711",
        items: { data: [{ id: "si_210", price: { id: "price_1", product: "prod_1" } }] },
      },
      {
        data: {
          object: {
            id: "sub_210",
            object: "subscription",
            customer: "cus_211",
            status: "past_due",
            default_payment_method: "pm_4711",
            items: { data: [{ id: "si_210", price: { id: "price_1", product: "prod_1" } }] },
          },
          previous_attributes: { default_payment_method: "pm_210" },
        },
      },
    ),
    uses: ["dunning_cases_open_by_customer", "given_cards_pkey", "an_invoice_is_charged_once_to_a_card"],
  },
  {
    what: "a charge to a new card, reviewed and reported",
    sql: `
      insert into billing.dunning_charges (case_id, invoice, payment_method, status, planned_at)
      values (220, 'in_due_220', 'pm_220', 'planned', now());
      select billing.review_card_charge(lastval());
      select billing.finish_card_charge(currval('billing.dunning_charges_id_seq'), 'declined');
      select billing_private.declined_new_card(array[220]);
    `,
    uses: ["dunning_charges_pkey", "dunning_charges_by_case"],
  },
  {
    what: "a charge to a new card that is out of tries",
    sql: `
      insert into billing.outbox (kind, dedupe_key, status, run_after, created_at) values ('stripe', 'pay:x', 'pending', now(), now());
      update billing.outbox set status = 'canceled', finished_at = now() where dedupe_key = 'pay:x';
    `,
    uses: ["dunning_charges_by_effect"],
  },
  {
    what: "a subscription that ends with something overdue",
    sql: receive("customer.subscription.deleted", {
      id: "sub_100",
      object: "subscription",
      customer: "cus_101",
      status: "canceled",
      items: { data: [] },
    }),
    uses: ["dunning_cases_by_subscription"],
  },
  {
    what: "the daily run, all pages of it",
    sql: `
      do $$
      declare
        page jsonb;
        after text := '';
      begin
        while after is not null loop
          page := billing.advance_dunning(now(), after, 200);
          after := page ->> 'next';
        end loop;
      end;
      $$`,
    uses: [
      "invoices_open",
      "dunning_cases_open_by_customer",
      "dunning_case_invoices_pkey",
      "dunning_actions_by_case",
      "subscriptions_at_rest",
    ],
  },
  {
    what: "what was paused for a debt, and is paid",
    sql: receive("invoice.paid", {
      id: "in_30001",
      object: "invoice",
      customer: "cus_30003",
      status: "paid",
      parent: { type: "subscription_details", subscription_details: { subscription: "sub_30002" } },
      status_transitions: { paid_at: 1700000100 },
      lines: { data: [] },
    }),
    uses: ["dunning_resumptions_by_subscription"],
  },
  {
    what: "a look at what a customer owes, with a mail that comes of it",
    sql: "select billing.take_dunning_steps('cus_152', array['cus_152', 'sub_151', 'in_due_151'])",
    uses: ["dunning_holds_in_force", "payments_by_invoice", "disputes_by_payment"],
  },
  {
    what: "the end of a case, reviewed and reported",
    sql: `
      insert into billing.dunning_actions
        (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, finished_at, ends_at)
      values
        (151, 3, 'final_warning', 'in_due_151', array['in_due_151'], 'sent', to_timestamp(1700000000), to_timestamp(1700000000), now() - interval '4 days', now() - interval '36 hours'),
        (151, 4, 'end', 'in_due_151', array['in_due_151'], 'planned', to_timestamp(1700000000), to_timestamp(1700000000), null, null);
      select billing.review_dunning_end(lastval(), array['cus_152', 'sub_151', 'in_due_151']);
      select billing.finish_dunning_end(lastval());
    `,
    uses: ["dunning_actions_pkey", "dunning_cases_pkey"],
  },
  {
    what: "a dunning mail that is canceled",
    sql: `
      insert into billing.outbox (kind, dedupe_key, status, run_after, created_at) values ('email', 'dunning:x', 'pending', now(), now());
      update billing.outbox set status = 'canceled', finished_at = now() where dedupe_key = 'dunning:x';
    `,
    uses: ["dunning_actions_by_effect"],
  },
  {
    what: "whether today's run of dunning is missing, every minute",
    sql: "select billing_private.start_missed_dunning_run(to_timestamp(1736000000))",
    uses: ["dunning_runs_by_start"],
  },
  {
    what: "what dunning says of a subscription's access",
    sql: "select billing_private.dunning_access('sub_4711')",
    uses: ["dunning_cases_by_subscription"],
  },
  {
    what: "what the outbox owes now",
    sql: "select count(*) from billing.claim_outbox('worker', 50)",
    uses: ["outbox_due"],
  },
  {
    what: "a batch of mails that Resend takes",
    sql: send(
      `billing.finish_emails(claim, (select jsonb_agg(jsonb_build_object('id', i, 'resend_id', i)) from unnest(ids) as i))`,
    ),
    uses: ["emails_outbox_id_key", "a_place_in_a_batch_is_taken_once"],
  },
  {
    what: "a batch of mails that Resend does not take",
    sql: send(`billing.fail_emails(ids, claim, '{}', true, null, true)`),
    uses: ["a_place_in_a_batch_is_taken_once"],
  },
  {
    what: "what differed of an object",
    sql: "select * from billing.drift where object_id = 'in_4711'",
    uses: ["drift_by_object"],
  },
  {
    what: "what a comparison found different",
    sql: "select * from billing.drift where run_id = 11",
    uses: ["drift_by_run"],
  },
  {
    what: "what differed in the last hours",
    sql: "select count(*) from billing.drift where found_at > to_timestamp(1700019000)",
    uses: ["drift_by_age"],
  },
  {
    what: "the webhooks that were missed in the last hours",
    sql: "select count(*) from billing.missed_webhooks where found_at > to_timestamp(1700019000)",
    uses: ["missed_webhooks_by_age"],
  },
  {
    what: "whether the outbox owes anything, every minute",
    sql: "select billing_private.wake_deliver(now())",
  },
  {
    what: "what the outbox may forget",
    sql: "select billing_private.purge_outbox(to_timestamp(1700000000), 100)",
    uses: ["outbox_finished"],
  },
  { what: "an owner's customer", sql: "select * from billing.customers", as: owner },
  {
    what: "trials to remind of, every hour",
    sql: "select billing_private.enqueue_due_trial_reminders(now())",
    uses: ["subscriptions_by_trial_end"],
  },
  {
    what: "renewals to remind of, every hour",
    sql: `update billing.settings set emails_on = '{renewal-ahead}';
      select billing_private.enqueue_due_renewal_reminders(to_timestamp(1731104000) - interval '10 days')`,
    uses: ["prices_of_long_terms", "subscription_items_by_renewal"],
  },
  {
    what: "what a mail about a changed plan tells",
    sql: `select billing_private.pending_plan_change(jsonb_populate_record(null::billing.outbox,
      '{"id": 0, "payload": {"customer": "cus_4711", "subscription": "sub_4711", "happened_at": "2024-01-01T00:00:00Z"}}'))`,
    uses: ["outbox_by_subject"],
  },
  {
    what: "what a mail about a removed payment method tells",
    sql: `select billing_private.method_removed_props(
      '{"customer": "cus_4711", "removed": "pm_0", "happened_at": "2023-11-14T23:00:00Z"}', to_timestamp(1700000000)),
      billing_private.was_default('cus_4711', 'pm_0', to_timestamp(1700000000))`,
    uses: ["subscriptions_by_customer", "webhook_events_by_customer"],
  },
  {
    what: "an owner's subscriptions",
    sql: "select * from billing.subscriptions",
    as: owner,
    uses: ["subscriptions_by_customer"],
  },
  {
    what: "an owner's subscription items",
    sql: "select * from billing.subscription_items",
    as: owner,
    uses: ["subscription_items_by_customer"],
  },
  {
    what: "an owner's invoices, newest first",
    sql: "select * from billing.invoices order by created desc limit 20",
    as: owner,
    uses: ["invoices_by_customer"],
  },
  {
    what: "an owner's payments, newest first",
    sql: "select * from billing.payments order by created desc limit 20",
    as: owner,
    uses: ["payments_by_customer"],
  },
  {
    what: "an owner's payment methods",
    sql: "select * from billing.payment_methods",
    as: owner,
    uses: ["payment_methods_by_customer"],
  },
  {
    what: "an owner's entitlements",
    sql: "select * from billing.entitlements",
    as: owner,
    uses: ["an_owner_has_a_feature_once"],
  },
  {
    what: "the version of an owner's entitlements",
    sql: "select * from billing.entitlement_versions",
    as: owner,
    uses: ["entitlement_versions_pkey"],
  },
  {
    what: "what an owner owes",
    sql: "select * from billing.my_billing_status()",
    as: owner,
    uses: ["customers_by_owner"],
  },
  { what: "one invoice of an owner", sql: "select * from billing.invoices where id = 'in_4710'", as: owner },
];

/** What an operator asks in Studio, and what a report does. */
export const lookups: Statement[] = [
  {
    what: "what is withheld, and why",
    sql: "select * from billing.withheld_effects",
    uses: ["outbox_withheld"],
  },
  {
    what: "what happened to an object",
    sql: "select * from billing.audit_events where subject_id = 'in_4711' order by occurred_at",
    uses: ["audit_events_by_subject"],
  },
  {
    what: "what happened to a customer",
    sql: "select * from billing.audit_events where customer_id = 'cus_4711' order by occurred_at",
    uses: ["audit_events_by_customer"],
  },
  {
    what: "a customer at a glance",
    sql: "select * from billing.customer_overview where id = 'cus_4711'",
    uses: [
      "customers_pkey",
      "subscriptions_by_customer",
      "payments_by_customer",
      "payment_methods_by_customer",
    ],
  },
  {
    what: "a subscription at a glance",
    sql: "select * from billing.subscription_overview where id = 'sub_4711'",
    uses: ["subscriptions_pkey", "subscription_items_by_subscription", "invoices_by_subscription"],
  },
  {
    what: "the events of a customer",
    sql: "select * from billing.webhook_events where customer_id = 'cus_4711' order by created",
    uses: ["webhook_events_by_customer"],
  },
  {
    what: "whether a payment that a history run has read leaves a debt",
    sql: "select billing_private.keep_debts_of_payment('pi_4711', to_timestamp(1700000000)), billing_private.keep_debts_of_payment('ch_4711', to_timestamp(1700000000)), billing_private.keep_first_failure('ch_4711')",
    uses: ["payments_pkey", "payment_sources_by_object"],
  },
  {
    what: "the newest events",
    sql: "select * from billing.stripe_events order by received_at desc limit 100",
    uses: ["webhook_events_by_arrival"],
  },
  {
    what: "the revenue of a day",
    sql: "select * from billing.revenue where day = date '2024-03-15'",
    uses: ["payments_by_day", "invoices_of_no_subscription", "refunds_by_day", "disputes_that_took"],
    mayScan: ["refunds"],
  },
  {
    what: "the events of the last hour",
    sql: "select count(*) from billing.webhook_events where received_at > to_timestamp(1700196400)",
    uses: ["webhook_events_by_arrival"],
  },
  {
    what: "events past their age, every day",
    sql: "select billing_private.purgeable_events(to_timestamp(1700000100), 100)",
    uses: ["webhook_events_by_arrival"],
  },
  {
    what: "repetitions past their age, every day",
    sql: "select billing_private.purge_duplicates(to_timestamp(1700000000), 100)",
    uses: ["webhook_duplicates_pkey"],
  },
  {
    what: "texts of emails past their age, every day",
    sql: "select billing_private.purge_email_bodies(to_timestamp(1700000000), 100)",
    uses: ["emails_with_body"],
  },
  {
    what: "what runs have found, past its age, every day",
    sql: "select billing_private.purge_history(to_timestamp(1734560000), 100)",
    uses: ["drift_by_age", "missed_webhooks_by_age"],
  },
  {
    what: "audit facts past their age, every day",
    sql: "select billing_private.purge_audit(to_timestamp(1700000000), 100)",
    uses: ["audit_events_by_age"],
  },
  {
    what: "the metrics of an hour, every minute",
    sql: "select billing_private.count_hour(to_timestamp(1700150400), to_timestamp(1700154000))",
    uses: [
      "webhook_events_by_arrival",
      "webhook_duplicates_by_arrival",
      "failed_webhooks_by_time",
      "emails_with_body",
      "dunning_cases_by_end",
    ],
  },
  {
    what: "the alarms, every minute",
    sql: "select billing_private.tell_alarms()",
    // One row of them is enough: whether there is any.
    mayScan: ["webhook_payloads_default", "dunning_cases"],
    uses: [
      "failed_webhooks_open",
      "alarms_by_name",
      "alarms_unanswered",
      "alarms_due",
      "outbox_dead",
      "outbox_alerts",
      "drift_open",
    ],
  },
  {
    what: "what of the alarms the database did not tell, with many a webhook",
    sql: "select billing.claim_alarms('duebase-health')",
    uses: ["alarms_due"],
    // Whether anything is in it; one row is enough to know.
    mayScan: ["webhook_payloads_default"],
  },
  {
    what: "how often an event was repeated",
    sql: "select count(*) from billing.webhook_duplicates where event_id = 'evt_4711'",
    uses: ["webhook_duplicates_by_event"],
  },
  {
    what: "the prices of a product",
    sql: "select * from billing.prices where product = 'prod_11'",
    uses: ["prices_by_product"],
  },
  {
    what: "who pays a price, in pieces",
    sql: "select * from billing.subscription_items where price = 'price_19999' and id > 'si_30500' order by id limit 100",
    uses: ["subscription_items_by_price"],
  },
  {
    what: "the invoices of a subscription",
    sql: "select * from billing.invoices where subscription = 'sub_4711'",
    uses: ["invoices_by_subscription"],
  },
  {
    what: "what paid an invoice",
    sql: "select * from billing.invoice_payments where invoice = 'in_4711'",
    uses: ["invoice_payments_by_invoice"],
  },
  {
    what: "what a payment paid",
    sql: "select * from billing.invoice_payments where payment_intent = 'pi_4711'",
    uses: ["invoice_payments_by_payment_intent"],
  },
  {
    what: "the payments of an invoice",
    sql: "select * from billing.payments where invoice_id = 'in_4711'",
    uses: ["payments_by_invoice"],
  },
  {
    what: "the refunds of a payment",
    sql: "select * from billing.refunds where payment_id = 'pi_4711'",
    uses: ["refunds_by_payment"],
  },
  {
    what: "the checkouts of a customer, newest first",
    sql: "select * from billing.checkout_sessions where customer = 'cus_4711' order by created desc limit 20",
    uses: ["checkout_sessions_by_customer"],
  },
  {
    what: "what a purchase did to a balance",
    sql: "select * from billing.credit_entries where purchase = 'pi_4712' order by id",
    uses: ["credit_entries_by_purchase"],
  },
  {
    what: "who would get what of dunning",
    sql: "select count(*) from billing.dunning_preview()",
    uses: ["dunning_cases_open_by_customer"],
  },
  {
    what: "the cases of a customer",
    sql: "select * from billing.dunning_cases where customer = 'cus_4711' order by id",
    uses: ["dunning_cases_by_customer"],
  },
  {
    what: "the cases of a policy",
    sql: "select * from billing.dunning_cases where policy_id = 2",
    uses: ["dunning_cases_by_policy"],
  },
  {
    what: "what held a case",
    sql: "select * from billing.dunning_holds where case_id = 4711 order by held_at",
    uses: ["dunning_holds_by_case"],
  },
  {
    what: "the emails of a customer",
    sql: "select id, subject from billing.emails where customer_id = 'cus_4711' order by created_at",
    uses: ["emails_by_customer"],
  },
  {
    what: "the emails to an address",
    sql: "select id, subject from billing.emails where lower(to_address) = '4711@example.com'",
    uses: ["emails_by_address"],
  },
  {
    what: "an email past its retention",
    sql: "delete from billing.emails where outbox_id = 30000",
    uses: ["suppressed_addresses_by_email", "resend_events_by_email"],
  },
  {
    what: "what Resend reported in the last hour",
    sql: "select count(*) from billing.resend_events where received_at > to_timestamp(1700021400)",
    uses: ["resend_events_by_arrival"],
  },
  {
    what: "what a Stripe key is tried on",
    sql: "select billing.stripe_identity()",
    uses: ["subscriptions_by_age", "customers_by_age"],
  },
];
