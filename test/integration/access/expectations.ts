/** Who may read a table or call a function. Nobody may write to a table: that is not a matter of which one. */
export type Audience =
  /** A signed-in user, but only rows of the user's owners, or of those the user manages; and service_role. */
  | "owner"
  /** A signed-in user about themselves, and nobody for them. */
  | "user"
  /** The project's own functions and operators, as service_role. */
  | "service"
  /** Only the owner of the tables, from within functions. */
  | "nobody";

/** Every table and view of schema `billing`. Everything in `billing_private` is for nobody. */
export const tables: Record<string, Audience> = {
  "billing.audit_events": "service",
  "billing.checkout_sessions": "service",
  "billing.credit_entries": "owner",
  "billing.customer_overview": "service",
  "billing.customers": "owner",
  "billing.disputes": "service",
  "billing.dunning_actions": "service",
  "billing.dunning_assignments": "service",
  "billing.dunning_case_invoices": "service",
  "billing.dunning_cases": "service",
  "billing.dunning_charges": "service",
  "billing.dunning_holds": "service",
  "billing.dunning_policies": "service",
  "billing.dunning_resumptions": "service",
  "billing.dunning_runs": "service",
  "billing.dunning_steps": "service",
  "billing.dunning_outcomes": "service",
  "billing.emails": "service",
  "billing.entitlements": "owner",
  "billing.event_handlers": "service",
  "billing.failed_webhooks": "service",
  "billing.invoice_payments": "service",
  "billing.invoices": "owner",
  "billing.job_problems": "service",
  "billing.releases": "service",
  "billing.object_metadata": "service",
  "billing.outbound_calls": "service",
  "billing.outbox": "service",
  "billing.owner_hints": "service",
  "billing.payment_failures": "service",
  "billing.payment_methods": "owner",
  "billing.payments": "owner",
  "billing.prices": "service",
  "billing.products": "service",
  "billing.refunds": "service",
  "billing.resend_events": "service",
  "billing.revenue": "service",
  "billing.revenue_at_risk": "service",
  "billing.settings": "service",
  "billing.stripe_events": "service",
  "billing.subscription_items": "owner",
  "billing.subscription_usage": "owner",
  "billing.subscription_overview": "service",
  "billing.subscriptions": "owner",
  "billing.suppressed_addresses": "service",
  "billing.tick_parts": "service",
  "billing.webhook_duplicates": "service",
  "billing.webhook_events": "service",
};

/** Of the tables that signed-in users read, those that every member of an owner reads. The others are for managers. */
export const readByMembers = [
  "billing.entitlements",
  "billing.subscription_items",
  "billing.subscription_usage",
  "billing.subscriptions",
];

/** The column of a subscriber's rows that ends in the subscriber's name, where it is not `id`; see subscribers.ts. */
export const namedBy: Record<string, string> = {
  "billing.credit_entries": "purchase",
  "billing.entitlements": "feature",
  "billing.subscription_usage": "subscription",
};

/** Every function of schema `billing`, by name and the types of its arguments. */
export const functions: Record<string, Audience> = {
  "billing.version()": "service",
  "billing.apply_refresh(jsonb, timestamp with time zone, timestamp with time zone)": "service",
  "billing.begin_emails(uuid, jsonb, text, timestamp with time zone)": "service",
  "billing.claim_outbox(text, integer, interval, text[], timestamp with time zone)": "service",
  "billing.complete_outbox(bigint, uuid, timestamp with time zone)": "service",
  "billing.advance_dunning(timestamp with time zone, text, integer)": "service",
  "billing.begin_dunning_run(timestamp with time zone)": "service",
  "billing.close_dunning(bigint, text, timestamp with time zone)": "service",
  "billing.dunning_preview(timestamp with time zone)": "service",
  "billing.exclude_from_dunning(text, text, timestamp with time zone, timestamp with time zone)": "service",
  "billing.finish_card_charge(bigint, text, text, timestamp with time zone)": "service",
  "billing.finish_dunning_end(bigint, timestamp with time zone)": "service",
  "billing.finish_resumption(bigint, timestamp with time zone)": "service",
  "billing.finish_dunning_run(bigint, jsonb, text, timestamp with time zone)": "service",
  "billing.hold_dunning(bigint, text, timestamp with time zone, timestamp with time zone)": "service",
  "billing.open_dunning(text, timestamp with time zone)": "service",
  "billing.release_dunning(bigint, text, timestamp with time zone)": "service",
  "billing.review_card_charge(bigint, timestamp with time zone)": "service",
  "billing.review_dunning_end(bigint, text[], timestamp with time zone)": "service",
  "billing.review_resumption(bigint, text[], timestamp with time zone)": "service",
  "billing.take_dunning_steps(text, text[], timestamp with time zone)": "service",
  "billing.assign_dunning_policy(text, text, text, timestamp with time zone)": "service",
  "billing.define_dunning_policy(text, jsonb, text, boolean, boolean, jsonb, text, timestamp with time zone)":
    "service",
  "billing.find_portal_customer(uuid, text)": "service",
  "billing.fail_emails(bigint[], uuid, jsonb, boolean, interval, boolean, timestamp with time zone)":
    "service",
  "billing.fail_outbox(bigint, uuid, jsonb, interval, boolean, timestamp with time zone, boolean)": "service",
  "billing.stripe_identity()": "service",
  "billing.finish_emails(uuid, jsonb, timestamp with time zone)": "service",
  "billing.entitlements_version()": "owner",
  "billing.has_feature(text)": "owner",
  "billing.owner_has_feature(uuid, text)": "service",
  "billing.link_customers(jsonb, timestamp with time zone)": "service",
  "billing.owner_deleted(uuid, timestamp with time zone)": "service",
  "billing.user_has_feature(uuid, text)": "service",
  "billing.my_owners()": "owner",
  "billing.forget_user(uuid, timestamp with time zone)": "service",
  "billing.credit_balance(text)": "owner",
  "billing.credit_balance(uuid, text)": "service",
  "billing.current_usage(text)": "owner",
  "billing.current_usage(uuid, text, timestamp with time zone)": "service",
  "billing.my_credit_balance(text, uuid)": "user",
  "billing.my_usage(text, uuid)": "user",
  "billing.deduct_credits(uuid, text, bigint, text, text, timestamp with time zone)": "service",
  "billing.grant_credits(uuid, text, bigint, text, text, timestamp with time zone)": "service",
  "billing.prepare_emails(bigint[], uuid, text, timestamp with time zone)": "service",
  "billing.my_billing_status(timestamp with time zone)": "user",
  "billing.begin_checkout(uuid, uuid, text, jsonb, jsonb, text, timestamp with time zone)": "service",
  "billing.close_checkout(uuid, text)": "service",
  "billing.prepare_checkout(uuid, text)": "service",
  "billing.record_checkout(uuid, text, text, timestamp with time zone)": "service",
  "billing.price_amount(billing.prices, bigint, text)": "service",
  "billing.read_app_addresses()": "service",
  "billing.receive_email_report(text, jsonb, timestamp with time zone)": "service",
  "billing.receive_event(jsonb, timestamp with time zone)": "service",
  "billing.receive_events(jsonb, timestamp with time zone)": "service",
  "billing.record_usage(uuid, text, bigint, text, timestamp with time zone)": "service",
  "billing.release_outbox(bigint[], uuid, interval, timestamp with time zone)": "service",
  "billing.replay_failed_webhook(text, timestamp with time zone)": "service",
  "billing.replay_outbox(bigint, timestamp with time zone)": "service",
  "billing.retry_failed_webhook(timestamp with time zone)": "service",
};
