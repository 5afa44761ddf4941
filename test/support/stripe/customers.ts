import type { CheckoutSession, Customer } from "../../../scripts/local/stripe/core/wire.ts";
import { checkoutSession as checkoutSessionObject } from "../../../scripts/local/stripe/objects/checkout.ts";
import { customer as customerObject } from "../../../scripts/local/stripe/objects/customers.ts";
import type { Values } from "../../../scripts/local/stripe/objects/values.ts";

/** A customer of our examples. */
export function customer(values: Values<Customer, "id" | "created">): Customer {
  return customerObject({ invoice_prefix: "EXAMPLE1", ...values });
}

/** A checkout session that was completed. */
export function checkoutSession(values: Values<CheckoutSession, "id" | "created">): CheckoutSession {
  return checkoutSessionObject({
    adaptive_pricing: { enabled: false },
    amount_subtotal: 0,
    amount_total: 0,
    cancel_url: "https://app.example.com/pricing",
    currency: "eur",
    mode: "subscription",
    payment_status: "paid",
    status: "complete",
    success_url: "https://app.example.com/welcome",
    ...values,
  });
}
