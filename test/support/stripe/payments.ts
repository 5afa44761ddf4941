import type { Charge, Dispute, PaymentIntent, PaymentMethod, Refund } from "./wire.ts";

/** A PaymentIntent that waits for a payment method, in the newest API version's shape. */
export function paymentIntent(
  values: Partial<PaymentIntent> & { id: string; created: number; amount: number },
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
    client_secret: `${values.id}_secret_example`,
    confirmation_method: "automatic",
    currency: "eur",
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

/** What a PaymentIntent says of a declined card. */
export function declined(
  declineCode: string,
  charge: string,
): NonNullable<PaymentIntent["last_payment_error"]> {
  return {
    charge,
    code: "card_declined",
    decline_code: declineCode,
    doc_url: "https://docs.stripe.com/error-codes/card-declined",
    message: "Your card was declined.",
    type: "card_error",
  };
}

/** A card charge that succeeded, in the newest shape. */
export function charge(values: Partial<Charge> & { id: string; created: number; amount: number }): Charge {
  return {
    object: "charge",
    amount_captured: values.status === "failed" ? 0 : values.amount,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    calculated_statement_descriptor: "EXAMPLE",
    captured: values.status !== "failed",
    currency: "eur",
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
      seller_message: "Payment complete.",
      type: "authorized",
    },
    paid: values.status !== "failed",
    payment_intent: null,
    payment_method: null,
    payment_method_details: {
      card: {
        amount_authorized: values.amount,
        authorization_code: null,
        brand: "visa",
        checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
        country: "DE",
        electronic_commerce_indicator: null,
        exp_month: 8,
        exp_year: 2031,
        fingerprint: "exampleFingerprint",
        funding: "credit",
        installments: null,
        last4: "4242",
        mandate: null,
        network: "visa",
        network_transaction_id: null,
        regulated_status: "unregulated",
        three_d_secure: null,
        transaction_link_id: null,
        wallet: null,
      },
      type: "card",
    },
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
    status: "succeeded",
    transfer_data: null,
    transfer_group: null,
    ...values,
  };
}

/** What a declined charge says beside its status. */
export function declinedOutcome(
  declineCode: string,
): Pick<Charge, "failure_code" | "failure_message" | "outcome"> {
  return {
    failure_code: "card_declined",
    failure_message: "Your card was declined.",
    outcome: {
      advice_code: null,
      network_advice_code: null,
      network_decline_code: "05",
      network_status: "declined_by_network",
      reason: declineCode,
      risk_level: "normal",
      seller_message: `The bank returned the decline code \`${declineCode}\`.`,
      type: "issuer_declined",
    },
  };
}

/** A refund that went through, in the newest shape. */
export function refund(
  values: Partial<Refund> & { id: string; created: number; amount: number; charge: string },
): Refund {
  return {
    object: "refund",
    balance_transaction: null,
    currency: "eur",
    customer: null,
    customer_account: null,
    metadata: {},
    payment_intent: null,
    payment_method: null,
    reason: "requested_by_customer",
    receipt_number: null,
    source_transfer_reversal: null,
    status: "succeeded",
    transfer_reversal: null,
    ...values,
  };
}

/** A dispute that waits for an answer, in the newest shape. */
export function dispute(
  values: Partial<Dispute> & { id: string; created: number; amount: number; charge: string },
): Dispute {
  return {
    object: "dispute",
    balance_transactions: [],
    currency: "eur",
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
      due_by: values.created + 7 * 86_400,
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

/** A card that is attached to a customer, in the newest shape. */
export function paymentMethod(
  values: Partial<PaymentMethod> & { id: string; created: number; customer: string | null },
): PaymentMethod {
  return {
    object: "payment_method",
    allow_redisplay: "unspecified",
    billing_details: {
      address: { city: null, country: "DE", line1: null, line2: null, postal_code: null, state: null },
      email: "ada@example.com",
      name: "Ada Example",
      phone: null,
      tax_id: null,
    },
    card: card({}),
    customer_account: null,
    livemode: false,
    metadata: {},
    type: "card",
    ...values,
  };
}

/** The card of a payment method; `values` replace what matters to a test. */
export function card(
  values: Partial<NonNullable<PaymentMethod["card"]>>,
): NonNullable<PaymentMethod["card"]> {
  return {
    brand: "visa",
    checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
    country: "DE",
    display_brand: "visa",
    exp_month: 8,
    exp_year: 2031,
    fingerprint: "exampleFingerprint",
    funding: "credit",
    generated_from: null,
    last4: "4242",
    networks: { available: ["visa"], preferred: null },
    regulated_status: "unregulated",
    three_d_secure_usage: { supported: true },
    wallet: null,
    ...values,
  };
}
