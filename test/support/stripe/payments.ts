import type {
  Charge,
  Dispute,
  PaymentIntent,
  PaymentMethod,
  Refund,
} from "../../../scripts/local/stripe/core/wire.ts";
import {
  card as cardObject,
  paymentMethod as paymentMethodObject,
} from "../../../scripts/local/stripe/objects/payment-methods.ts";
import {
  cardDetails,
  charge as chargeObject,
  declinedOutcome as declinedOutcomeOf,
  dispute as disputeObject,
  paymentIntent as paymentIntentObject,
  refund as refundObject,
} from "../../../scripts/local/stripe/objects/payments.ts";
import type { Values } from "../../../scripts/local/stripe/objects/values.ts";

/** The card that our examples pay with. */
const exampleCard = {
  brand: "visa",
  country: "DE",
  exp_month: 8,
  exp_year: 2031,
  fingerprint: "exampleFingerprint",
  funding: "credit",
  last4: "4242",
};

/** A PaymentIntent that waits for a payment method. */
export function paymentIntent(values: Values<PaymentIntent, "id" | "created" | "amount">): PaymentIntent {
  return paymentIntentObject({ client_secret: `${values.id}_secret_example`, currency: "eur", ...values });
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

/** A card charge that succeeded, unless its status says otherwise. */
export function charge(values: Values<Charge, "id" | "created" | "amount">): Charge {
  const isTaken = values.status !== "failed";
  return chargeObject({
    amount_captured: isTaken ? values.amount : 0,
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    calculated_statement_descriptor: "EXAMPLE",
    captured: isTaken,
    currency: "eur",
    paid: isTaken,
    payment_method_details: cardDetails({ amount_authorized: values.amount, ...exampleCard }),
    status: "succeeded",
    ...values,
  });
}

/** What a declined charge says beside its status. */
export function declinedOutcome(declineCode: string): ReturnType<typeof declinedOutcomeOf> {
  return declinedOutcomeOf({
    code: "card_declined",
    message: "Your card was declined.",
    reason: declineCode,
    network: "05",
  });
}

/** A refund that went through. */
export function refund(values: Values<Refund, "id" | "created" | "amount" | "charge">): Refund {
  return refundObject({ currency: "eur", reason: "requested_by_customer", ...values });
}

/** A dispute that waits for an answer. */
export function dispute(values: Values<Dispute, "id" | "created" | "amount" | "charge">): Dispute {
  return disputeObject({ currency: "eur", ...values });
}

/** A card that is attached to a customer. */
export function paymentMethod(values: Values<PaymentMethod, "id" | "created" | "customer">): PaymentMethod {
  return paymentMethodObject({
    billing_details: {
      address: { city: null, country: "DE", line1: null, line2: null, postal_code: null, state: null },
      email: "ada@example.com",
      name: "Ada Example",
      phone: null,
      tax_id: null,
    },
    card: card({}),
    type: "card",
    ...values,
  });
}

/** The card of a payment method; `values` replace what matters to a test. */
export function card(
  values: Partial<NonNullable<PaymentMethod["card"]>>,
): NonNullable<PaymentMethod["card"]> {
  return cardObject({ ...exampleCard, ...values });
}
