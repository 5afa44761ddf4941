import type Stripe from "stripe";
import type { Harness } from "./harness.ts";

/** A customer with a clock, a card and a subscription to a new monthly price of 20 dollars. */
export async function subscribe(
  harness: Harness,
  params: Partial<Stripe.SubscriptionCreateParams> = {},
  card?: string | null,
) {
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock(card);
  const subscription = await harness.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    ...params,
  });
  return { clock, customer, price, subscription };
}

/** The invoice a subscription made last, with its payments. */
export function latestInvoice(stripe: Stripe, subscription: Stripe.Subscription): Promise<Stripe.Invoice> {
  return stripe.invoices.retrieve(String(subscription.latest_invoice), { expand: ["payments"] });
}

/** Types of the events about one object, in the order they happened. */
export function typesAbout(harness: Harness, id: string): string[] {
  return harness.local.events
    .all()
    .filter((event) => event.data.object.id === id)
    .map((event) => event.type);
}
