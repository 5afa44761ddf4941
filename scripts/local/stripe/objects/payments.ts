import type { Charge, Dispute, PaymentIntent, Refund } from "../core/wire.ts";
import type { Values } from "./values.ts";

/** How long a dispute waits for an answer. */
export const evidenceSeconds = 7 * 86_400;

/** A PaymentIntent that waits for a payment method. */
export function paymentIntent(
  values: Values<PaymentIntent, "id" | "created" | "amount" | "client_secret" | "currency">,
): PaymentIntent {
  return {
    object: "payment_intent",
    allowed_payment_method_types: null,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: "automatic",
    confirmation_method: "automatic",
    customer: null,
    customer_account: null,
    description: null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: {},
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: { installments: null, mandate_options: null, network: null, request_three_d_secure: "automatic" },
    },
    payment_method_types: ["card"],
    payment_record: null,
    processing: null,
    receipt_email: null,
    review: null,
    setup_future_usage: null,
    shipping: null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: "requires_payment_method",
    transfer_data: null,
    transfer_group: null,
    ...values,
  };
}

/** A charge that the bank has not decided: nothing of it is taken. */
export function charge(
  values: Values<
    Charge,
    | "id"
    | "created"
    | "amount"
    | "billing_details"
    | "calculated_statement_descriptor"
    | "currency"
    | "payment_method_details"
  >,
): Charge {
  return {
    object: "charge",
    amount_captured: 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    captured: false,
    customer: null,
    description: null,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    fraud_details: {},
    livemode: false,
    metadata: {},
    on_behalf_of: null,
    outcome: {
      advice_code: null,
      network_advice_code: null,
      network_decline_code: null,
      network_status: "approved_by_network",
      reason: null,
      risk_level: "normal",
      risk_score: 7,
      seller_message: "Payment complete.",
      type: "authorized",
    },
    paid: false,
    payment_intent: null,
    payment_method: null,
    receipt_email: null,
    receipt_number: null,
    receipt_url: null,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: "pending",
    transfer_data: null,
    transfer_group: null,
    ...values,
  };
}

/** What a charge says when the bank refuses it. */
export interface Refusal {
  code: string;
  message: string;
  /** The decline code. */
  reason: string;
  /** The card network's own code. */
  network: string | null;
}

/** What a declined charge says beside its status. */
export function declinedOutcome({
  code,
  message,
  reason,
  network,
}: Refusal): Pick<Charge, "failure_code" | "failure_message" | "outcome"> {
  return {
    failure_code: code,
    failure_message: message,
    outcome: {
      advice_code: reason === "insufficient_funds" ? "try_again_later" : null,
      network_advice_code: null,
      network_decline_code: network,
      network_status: "declined_by_network",
      reason,
      risk_level: "normal",
      risk_score: 20,
      seller_message: `The bank returned the decline code \`${reason}\`.`,
      type: "issuer_declined",
    },
  };
}

type CardDetails = NonNullable<NonNullable<Charge["payment_method_details"]>["card"]>;

/** What a charge says of its card. */
export function cardDetails(
  values: Values<
    CardDetails,
    "amount_authorized" | "brand" | "country" | "exp_month" | "exp_year" | "fingerprint" | "funding" | "last4"
  >,
): Charge["payment_method_details"] {
  return {
    card: {
      authorization_code: null,
      checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
      electronic_commerce_indicator: null,
      extended_authorization: { status: "disabled" },
      incremental_authorization: { status: "unavailable" },
      installments: null,
      mandate: null,
      moto: null,
      multicapture: { status: "unavailable" },
      network: values.brand,
      network_token: { used: false },
      network_transaction_id: null,
      overcapture: { maximum_amount_capturable: values.amount_authorized ?? 0, status: "unavailable" },
      regulated_status: "unregulated",
      three_d_secure: null,
      transaction_link_id: null,
      wallet: null,
      ...values,
    },
    type: "card",
  };
}

/** A refund that went through. */
export function refund(values: Values<Refund, "id" | "created" | "amount" | "charge" | "currency">): Refund {
  return {
    object: "refund",
    balance_transaction: null,
    customer: null,
    customer_account: null,
    metadata: {},
    payment_intent: null,
    payment_method: null,
    reason: null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: "succeeded",
    transfer_reversal: null,
    ...values,
  };
}

/** A dispute that waits for an answer. */
export function dispute(
  values: Values<Dispute, "id" | "created" | "amount" | "charge" | "currency">,
): Dispute {
  return {
    object: "dispute",
    balance_transactions: [],
    enhanced_eligibility_types: [],
    evidence: {
      access_activity_log: null,
      billing_address: null,
      cancellation_policy: null,
      cancellation_policy_disclosure: null,
      cancellation_rebuttal: null,
      customer_communication: null,
      customer_email_address: null,
      customer_name: null,
      customer_purchase_ip: null,
      customer_signature: null,
      duplicate_charge_documentation: null,
      duplicate_charge_explanation: null,
      duplicate_charge_id: null,
      enhanced_evidence: {},
      product_description: null,
      receipt: null,
      refund_policy: null,
      refund_policy_disclosure: null,
      refund_refusal_explanation: null,
      service_date: null,
      service_documentation: null,
      shipping_address: null,
      shipping_carrier: null,
      shipping_date: null,
      shipping_documentation: null,
      shipping_tracking_number: null,
      uncategorized_file: null,
      uncategorized_text: null,
    },
    evidence_details: {
      due_by: values.created + evidenceSeconds,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: "not_submitted",
    },
    intended_submission_method: null,
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent: null,
    payment_method_details: {
      card: { brand: "visa", case_type: "chargeback", network: "visa", network_reason_code: "10.4" },
      type: "card",
    },
    reason: "fraudulent",
    status: "needs_response",
    ...values,
  };
}
