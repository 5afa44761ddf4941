import type { Subscription, SubscriptionItem } from "../core/wire.ts";
import { planOf } from "./catalogue.ts";
import { list } from "./list.ts";
import type { Values } from "./values.ts";

/** An item of a subscription: it has the billing period. */
export function subscriptionItem(
  values: Values<
    SubscriptionItem,
    "id" | "created" | "current_period_end" | "current_period_start" | "price" | "subscription"
  >,
): SubscriptionItem {
  return {
    object: "subscription_item",
    billing_thresholds: null,
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: planOf(values.price),
    tax_rates: [],
    ...values,
  };
}

/** An active subscription that began when it was created. */
export function subscription(
  values: Omit<Values<Subscription, "id" | "created" | "currency" | "customer">, "items"> & {
    items: SubscriptionItem[];
  },
): Subscription {
  return {
    object: "subscription",
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: values.created,
    billing_cycle_anchor_config: null,
    billing_mode: { flexible: null, type: "classic" },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: "charge_automatically",
    customer_account: null,
    days_until_due: null,
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: "self" },
    },
    latest_invoice: null,
    livemode: false,
    managed_payments: null,
    metadata: {},
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: {
      payment_method_options: null,
      payment_method_types: null,
      save_default_payment_method: "off",
    },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: values.created,
    status: "active",
    test_clock: null,
    transfer_data: null,
    trial_end: null,
    trial_settings: {
      end_behavior: { billing_cycle_anchor: null, missing_payment_method: "create_invoice" },
    },
    trial_start: null,
    ...values,
    items: list(`/v1/subscription_items?subscription=${values.id}`, values.items),
  };
}
