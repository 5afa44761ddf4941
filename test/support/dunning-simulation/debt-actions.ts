import type Stripe from "stripe";
import {
  giveCardInPortal,
  pauseByStripe,
  payByRecord,
  setCardOutcome,
} from "../../../scripts/local/stripe/buyer.ts";
import type { DunningWorld } from "../dunning-world.ts";
import type { SimulatedCustomer } from "./customer.ts";

/**
 * What a customer does.
 *
 * @param choice from 0 to 1: which of several, how much, for how long
 * @returns the outcome, for the log; undefined where there was nothing to do
 */
export type CustomerAction = (
  customer: SimulatedCustomer,
  world: DunningWorld,
  choice: number,
) => Promise<string | undefined>;

/** Cards that a buyer types into the portal. The bank refuses the last one at once. */
const PORTAL_CARDS = [
  "pm_card_visa",
  "pm_card_mastercard",
  "pm_card_chargeCustomerFail",
  "pm_card_chargeDeclined",
];

/** Whether a card that was given can be charged. */
export function canBeCharged(card: string): boolean {
  return card === "pm_card_visa" || card === "pm_card_mastercard";
}

/** Actions that pay or change a debt in other ways than by charging a card. */
export const DEBT_ACTIONS = {
  card_in_portal: async (customer, { stripe, now }, choice) => {
    if (customer.method === null) return undefined;
    const card = pick(PORTAL_CARDS, choice);
    try {
      await giveCardInPortal(stripe, customer.id, card);
    } catch (error) {
      if (error instanceof Error && !/^HTTP/.test(error.message)) return `refused, ${error.message}`;
      throw error;
    }
    const found = await stripe.customers.retrieve(customer.id);
    if (found.deleted) return undefined;
    customer.method = String(found.invoice_settings.default_payment_method);
    customer.given.push({ at: now, method: customer.method, works: canBeCharged(card), brokenAt: null });
    return card;
  },
  credit: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, choice);
    if (invoice === undefined || invoice.amount_remaining === 0) return undefined;
    const share = choice < 0.5 ? 1 : choice;
    const amount = Math.max(1, Math.floor(invoice.amount_remaining * share));
    await stripe.creditNotes.create({ invoice: invoice.id, amount });
    return `${amount} of ${invoice.id}`;
  },
  /** A balance in the customer's favor. It lowers the next invoice, or pays all of it. */
  give_balance: async (customer, { stripe }, choice) => {
    const planned = customer.plan.subscriptions[0];
    if (planned === undefined) return undefined;
    const amount = -Math.max(1, Math.round(planned.amount * (0.2 + choice)));
    await stripe.customers.createBalanceTransaction(customer.id, { amount, currency: planned.currency });
    return `${amount} ${planned.currency}`;
  },
  pay_by_record: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, choice);
    if (invoice === undefined) return undefined;
    const part = choice < 0.6 ? undefined : Math.max(1, Math.floor(invoice.amount_remaining / 2));
    await payByRecord(stripe, invoice.id, part);
    return `${part ?? "all"} of ${invoice.id}`;
  },
  /** An upgrade that waits for its payment. Mostly the card is declined at that moment. */
  upgrade: async (customer, world, choice) => {
    const { stripe } = world;
    const index = Math.min(
      customer.subscriptions.length - 1,
      Math.floor(choice * customer.subscriptions.length),
    );
    const [id, planned] = [customer.subscriptions[index], customer.plan.subscriptions[index]];
    if (id === undefined || planned === undefined) return undefined;
    const subscription = await stripe.subscriptions.retrieve(id);
    const item = subscription.items.data[0]?.id;
    if (item === undefined || subscription.status !== "active") return undefined;
    const method = String(subscription.default_payment_method ?? customer.method);
    const declines = customer.broken.has(method) ? undefined : method;
    if (declines !== undefined) await setCardOutcome(stripe, method, "insufficient_funds");
    try {
      const price = await world.price(planned.amount * 4, planned.currency, planned.interval);
      const { pending_update: waits, latest_invoice: invoice } = await stripe.subscriptions.update(id, {
        items: [{ id: item, price }],
        payment_behavior: "pending_if_incomplete",
        proration_behavior: "always_invoice",
      });
      if (waits === null) return `${id}, at once`;
      customer.upgrades.add(String(invoice));
      return `${id} waits for ${invoice}`;
    } finally {
      if (declines !== undefined) await setCardOutcome(stripe, method, "succeed");
    }
  },
  /** A pause that is not for a debt: for a reason of Stripe's, or because the operator wants it. */
  pause_at_stripe: async (customer, { stripe }, choice) => {
    const id = pick(customer.subscriptions, choice);
    const { status, billing_mode: mode } = await stripe.subscriptions.retrieve(id);
    if (mode.type !== "flexible" || !["active", "past_due"].includes(status)) return undefined;
    const cause = choice < 0.5 ? "system" : "pause_requested";
    await pauseByStripe(stripe, id, cause);
    return `${id}: ${cause}`;
  },
  resume_at_stripe: async (customer, { stripe }, choice) => {
    const id = pick(customer.subscriptions, choice);
    const { status } = await stripe.subscriptions.retrieve(id);
    if (status !== "paused") return undefined;
    await stripe.subscriptions.resume(id, { billing_cycle_anchor: { type: "unchanged" } });
    return id;
  },
  /** Cancels and bills at once what was used and not yet billed. Mostly the card is declined. */
  leave_with_usage: async (customer, { stripe, now }, choice) => {
    const index = Math.min(
      customer.subscriptions.length - 1,
      Math.floor(choice * customer.subscriptions.length),
    );
    const [id, planned] = [customer.subscriptions[index], customer.plan.subscriptions[index]];
    if (id === undefined || planned === undefined) return undefined;
    if (choice % 0.1 < 0.08) await breakCards(customer, stripe, now, "insufficient_funds");
    const { amount, currency } = planned;
    await stripe.invoiceItems.create({ customer: customer.id, subscription: id, amount, currency });
    await stripe.subscriptions.cancel(id, { invoice_now: true });
    return id;
  },
  mistype_address: (customer, { stripe }, choice) =>
    changeAddress(customer, stripe, pick(["bounced", "suppressed", "failed"], choice)),
  correct_address: (customer, { stripe }) => changeAddress(customer, stripe, "moved"),
} satisfies Record<string, CustomerAction>;

/** Has every payment method of the customer declined from now on, as when an account is empty. */
export async function breakCards(
  customer: SimulatedCustomer,
  stripe: Stripe,
  now: Date,
  outcome: string,
): Promise<void> {
  const methods = [customer.method, ...customer.ownCards].filter((method) => method !== null);
  for (const method of methods) {
    await setCardOutcome(stripe, method, outcome);
    customer.broken.add(method);
    for (const given of customer.given) if (given.method === method) given.brokenAt ??= now;
  }
}

export async function changeAddress(
  customer: SimulatedCustomer,
  stripe: Stripe,
  box: string,
): Promise<string> {
  const email = `${box}+${customer.addresses.length}.${customer.plan.index}@example.com`;
  await stripe.customers.update(customer.id, { email });
  customer.addresses.push(email);
  return email;
}

export async function openInvoice(
  customer: SimulatedCustomer,
  stripe: Stripe,
  choice: number,
): Promise<(Stripe.Invoice & { id: string }) | undefined> {
  const { data } = await stripe.invoices.list({ customer: customer.id, status: "open", limit: 100 });
  const oldestFirst = data.toReversed() as (Stripe.Invoice & { id: string })[];
  // Mostly the oldest.
  return choice < 0.8 ? oldestFirst[0] : oldestFirst.at(-1);
}

export function pick<T>(from: readonly T[], choice: number): T {
  const picked = from[Math.min(from.length - 1, Math.floor(choice * from.length))];
  if (picked === undefined) throw new Error("nothing to pick from");
  return picked;
}
