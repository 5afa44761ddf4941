import type { PaymentMethod } from "../core/wire.ts";
import type { Values } from "./values.ts";

/** A way to pay; its own hash (`card`, `sepa_debit`) is given with its type. */
export function paymentMethod(
  values: Values<PaymentMethod, "id" | "created" | "billing_details" | "customer" | "type">,
): PaymentMethod {
  return {
    object: "payment_method",
    allow_redisplay: "unspecified",
    customer_account: null,
    livemode: false,
    metadata: {},
    ...values,
  };
}

type Card = NonNullable<PaymentMethod["card"]>;

/** The card of a payment method. */
export function card(
  values: Values<Card, "brand" | "country" | "exp_month" | "exp_year" | "fingerprint" | "funding" | "last4">,
): Card {
  return {
    checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
    display_brand: values.brand,
    generated_from: null,
    networks: { available: [values.brand], preferred: null },
    regulated_status: "unregulated",
    three_d_secure_usage: { supported: true },
    wallet: null,
    ...values,
  };
}
