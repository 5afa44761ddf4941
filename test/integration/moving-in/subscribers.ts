import { randomUUID } from "node:crypto";
import { withClient } from "../../support/existing-project.ts";
import type { HostedProject } from "../../support/hosted-project.ts";

/** Somebody who pays for the application, which knows them. */
export interface Subscriber {
  userId: string;
  email: string;
  customer: string;
  subscription: string;
}

/** Who subscribed before Duebase came. */
export interface Subscribers {
  pays: Subscriber;
  /** Their last invoice failed. */
  overdue: Subscriber;
}

/** Lets two people sign up and subscribe, as the application does it by itself, and one of them fall overdue. */
export async function haveSubscribers(hosted: HostedProject, databaseUrl: string): Promise<Subscribers> {
  const { stripe } = hosted;
  const product = await stripe.products.create({ name: "Pro" });
  const feature = await stripe.entitlements.features.create({ name: "Notes", lookup_key: "notes" });
  await stripe.products.createFeature(product.id, { entitlement_feature: feature.id });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2000,
    recurring: { interval: "month" },
  });
  const subscribe = async (name: string): Promise<Subscriber> => {
    const email = `${name}@example.com`;
    const customer = await stripe.customers.create({
      email,
      payment_method: "pm_card_visa",
      invoice_settings: { default_payment_method: "pm_card_visa" },
    });
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const userId = randomUUID();
    await withClient(databaseUrl, async (sql) => {
      await sql`insert into auth.users (id, email) values (${userId}, ${email})`;
      await sql`insert into app.subscribers values (${userId}, ${customer.id})`;
    });
    return { userId, email, customer: customer.id, subscription: subscription.id };
  };
  const subscribers = { pays: await subscribe("pays"), overdue: await subscribe("overdue") };
  await failPayment(hosted, subscribers.overdue);
  return subscribers;
}

/** The card is declined from now on, and the period begins anew: what is due is charged at once, and fails. */
export async function failPayment(
  { stripe }: HostedProject,
  { customer, subscription }: Subscriber,
): Promise<void> {
  const card = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
  await stripe.customers.update(customer, { invoice_settings: { default_payment_method: card.id } });
  await stripe.subscriptions.update(subscription, {
    billing_cycle_anchor: { type: "now" },
    proration_behavior: "none",
    default_payment_method: card.id,
  });
}
