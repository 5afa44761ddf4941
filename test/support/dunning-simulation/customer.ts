import type Stripe from "stripe";
import { DAY, type DunningWorld } from "../dunning-world.ts";
import type { PlannedCustomer, PlannedSubscription } from "./plan.ts";

const IBANS = { debit: "DE89370400440532013000", failing_debit: "DE62370400440532013001" };

/** A card that a customer gave in place of an earlier one. */
export interface GivenCard {
  at: Date;
  method: string;
  works: boolean;
  brokenAt: Date | null;
  /** Absent: it became the customer's default. */
  subscription?: string;
}

/** A customer of a simulated world, and what the simulation knows about them. */
export interface SimulatedCustomer {
  plan: PlannedCustomer;
  id: string;
  /** Every address they have had, in order. */
  addresses: string[];
  subscriptions: string[];
  /** The customer's default payment method. */
  method: string | null;
  /** Default payment methods of single subscriptions, which are charged first. */
  ownCards: string[];
  /** Methods that are declined from now on. */
  broken: Set<string>;
  /** Cards they gave later, in order. */
  given: GivenCard[];
  /** Invoices of upgrades that wait for payment. Nothing was delivered for them, so nothing is owed. */
  upgrades: Set<string>;
  /** What happened to them, in order, a line each. */
  log: string[];
  /** How many of their events never arrive. */
  lost: number;
  isDeleted: boolean;
}

/**
 * Makes a customer with a payment method and subscriptions, whose first payments are due days later.
 *
 * @param owner the team that pays as this customer, where teams pay
 */
export async function createCustomer(
  world: DunningWorld,
  plan: PlannedCustomer,
  start: Date,
  owner?: string,
): Promise<SimulatedCustomer> {
  const { stripe } = world;
  const { id } = await stripe.customers.create({
    email: plan.email,
    name: `Person ${plan.index}`,
    ...(owner === undefined ? {} : { metadata: { owner_id: owner } }),
  });
  const method = plan.pays === null ? null : await attachMethod(stripe, id, plan.pays);
  if (plan.policy !== null) {
    await world.database.asService(
      (sql) => sql`select billing.assign_dunning_policy('customer', ${id}, ${plan.policy}, ${world.now})`,
    );
  }
  const subscriptions: string[] = [];
  const ownCards: string[] = [];
  for (const planned of plan.subscriptions) {
    const own = planned.ownCard === null ? null : (await saveMethod(stripe, id, planned.ownCard)).id;
    if (own !== null) ownCards.push(own);
    subscriptions.push(await subscribe(world, id, planned, own, start));
  }
  return {
    plan,
    id,
    addresses: [plan.email],
    subscriptions,
    method,
    ownCards,
    broken: new Set(),
    given: [],
    upgrades: new Set(),
    log: [],
    lost: 0,
    isDeleted: false,
  };
}

async function subscribe(
  world: DunningWorld,
  customer: string,
  { firstDueAt, interval, amount, currency, daysUntilDue, term, isClassic }: PlannedSubscription,
  ownCard: string | null,
  start: Date,
): Promise<string> {
  const { id } = await world.stripe.subscriptions.create({
    customer,
    items: [{ price: await world.price(amount, currency, interval) }],
    billing_mode: { type: isClassic ? "classic" : "flexible" },
    // As Checkout does: the method that paid becomes the subscription's own.
    ...(ownCard === null
      ? {}
      : {
          default_payment_method: ownCard,
          payment_settings: { save_default_payment_method: "on_subscription" },
        }),
    trial_end: Math.floor((start.getTime() + firstDueAt) / 1000),
    ...(daysUntilDue === null ? {} : { collection_method: "send_invoice", days_until_due: daysUntilDue }),
    ...(term === null ? {} : { cancel_at: Math.floor((start.getTime() + term) / 1000) }),
  });
  return id;
}

/** Saves a payment method and makes it the customer's default. */
export async function attachMethod(stripe: Stripe, customer: string, pays: string): Promise<string> {
  const { id } = await saveMethod(stripe, customer, pays);
  await stripe.customers.update(customer, { invoice_settings: { default_payment_method: id } });
  return id;
}

export async function saveMethod(
  stripe: Stripe,
  customer: string,
  pays: string,
): Promise<Stripe.PaymentMethod> {
  if (pays !== "debit" && pays !== "failing_debit") return stripe.paymentMethods.attach(pays, { customer });
  const debit = await stripe.paymentMethods.create({
    type: "sepa_debit",
    sepa_debit: { iban: IBANS[pays] },
    billing_details: { name: "Person", email: "person@example.com" },
  });
  return stripe.paymentMethods.attach(debit.id, { customer });
}

/** How long a bank debit takes (seconds). */
export const DEBIT_SECONDS = (2 * DAY) / 1000;
