import type Stripe from "stripe";

/**
 * A type of stripe-node as it travels in a webhook: references are ids, decimals are strings.
 * Kept apart from the local Stripe's own, so that the two can disagree and a test can notice.
 */
type AsSent<T> = T extends Stripe.Decimal
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends readonly (infer Element)[]
      ? AsSentField<Element>[]
      : T extends object
        ? { [Key in keyof T]: AsSentField<T[Key]> }
        : T;

type AsSentField<F> = [Extract<F, string>] extends [never]
  ? AsSent<F>
  : string extends Extract<F, string>
    ? AsSent<Exclude<F, { id: string; object: string }>>
    : AsSent<F>;

export type Charge = AsSent<Stripe.Charge>;
export type CheckoutSession = AsSent<Stripe.Checkout.Session>;
export type Customer = AsSent<Stripe.Customer>;
export type Dispute = AsSent<Stripe.Dispute>;
export type Invoice = AsSent<Stripe.Invoice>;
export type InvoicePayment = AsSent<Stripe.InvoicePayment>;
export type PaymentIntent = AsSent<Stripe.PaymentIntent>;
export type PaymentMethod = AsSent<Stripe.PaymentMethod>;
export type Plan = AsSent<Stripe.Plan>;
export type Price = AsSent<Stripe.Price>;
export type Product = AsSent<Stripe.Product>;
export type Refund = AsSent<Stripe.Refund>;
export type Subscription = AsSent<Stripe.Subscription>;
export type SubscriptionItem = AsSent<Stripe.SubscriptionItem>;

/** Stripe's list object around `data`. */
export function list<T>(url: string, data: T[], hasMore = false) {
  return { object: "list" as const, data, has_more: hasMore, url };
}
