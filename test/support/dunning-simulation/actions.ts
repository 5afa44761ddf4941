import Stripe from "stripe";
import { authenticatePayment, decideDispute, setCardOutcome } from "../../../scripts/local/stripe/buyer.ts";
import { DAY, type DunningWorld } from "../dunning-world.ts";
import { attachMethod, type SimulatedCustomer, saveMethod } from "./customer.ts";
import {
  breakCards,
  type CustomerAction,
  canBeCharged,
  changeAddress,
  DEBT_ACTIONS,
  openInvoice,
  pick,
} from "./debt-actions.ts";
import { ACTIVE_DAYS, type ActionKind, type PlannedAction, START } from "./plan.ts";

const OUTCOMES = ["insufficient_funds", "generic_decline", "lost_card", "authenticate"];
const NEW_CARDS = ["pm_card_visa", "pm_card_mastercard", "pm_card_visa", "pm_card_chargeCustomerFail"];

export const ACTIONS: Readonly<Record<ActionKind, CustomerAction>> = {
  ...DEBT_ACTIONS,
  break_card: async (customer, { stripe, now }, choice) => {
    if (customer.method === null) return undefined;
    const outcome = pick(OUTCOMES, choice);
    await breakCards(customer, stripe, now, outcome);
    return outcome;
  },
  mend_card: async ({ method, broken }, { stripe }) => {
    if (method === null) return undefined;
    await setCardOutcome(stripe, method, "succeed");
    broken.delete(method);
    return method;
  },
  pay: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, choice);
    if (invoice === undefined) return undefined;
    const { id } = await saveMethod(stripe, customer.id, "pm_card_visa");
    await stripe.invoices.pay(invoice.id, { payment_method: id, off_session: false });
    return invoice.id;
  },
  pay_elsewhere: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, choice);
    if (invoice === undefined) return undefined;
    await stripe.invoices.pay(invoice.id, { paid_out_of_band: true });
    return invoice.id;
  },
  pay_part: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, 0);
    if (invoice === undefined) return undefined;
    const amount = Math.max(1, Math.round(invoice.amount_remaining * choice));
    if (amount >= invoice.amount_remaining) return undefined;
    await stripe.rawRequest("POST", `/v1/test_helpers/duebase/invoices/${invoice.id}/pay_part`, { amount });
    return `${amount} of ${invoice.id}`;
  },
  new_card: async (customer, { stripe, now }, choice) => {
    if (customer.method === null) return undefined;
    const card = pick(NEW_CARDS, choice);
    customer.method = await attachMethod(stripe, customer.id, card);
    customer.given.push({ at: now, method: customer.method, works: canBeCharged(card), brokenAt: null });
    return card;
  },
  new_subscription_card: async (customer, { stripe, now }, choice) => {
    const subscription = pick(customer.subscriptions, choice);
    const card = pick(NEW_CARDS, (choice * 7919) % 1);
    const { id } = await saveMethod(stripe, customer.id, card);
    await stripe.subscriptions.update(subscription, { default_payment_method: id });
    customer.ownCards.push(id);
    const works = canBeCharged(card);
    customer.given.push({ at: now, method: id, works, brokenAt: null, subscription });
    return `${card} for ${subscription}`;
  },
  confirm: async (customer, { stripe }, choice) => {
    const { data } = await stripe.paymentIntents.list({ customer: customer.id, limit: 20 });
    const waiting = data.find(({ status }) => status === "requires_action");
    if (waiting === undefined) return undefined;
    const outcome = choice < 0.7 ? "succeed" : "fail";
    await authenticatePayment(stripe, waiting.id, outcome);
    return `${waiting.id}: ${outcome}`;
  },
  disputed_purchase: async (customer, { stripe }, choice) => {
    const card = choice < 0.7 ? "pm_card_createDispute" : "pm_card_createDisputeInquiry";
    const intent = await stripe.paymentIntents.create({
      customer: customer.id,
      amount: 700,
      currency: customer.plan.subscriptions[0]?.currency ?? "usd",
      payment_method: (await saveMethod(stripe, customer.id, card)).id,
      confirm: true,
      automatic_payment_methods: { enabled: true, allow_redirects: "never" },
    });
    return intent.id;
  },
  decide_dispute: async (customer, { stripe }, choice) => {
    const { data: charges } = await stripe.charges.list({ customer: customer.id, limit: 50 });
    const disputed = charges.filter((charge) => charge.disputed);
    for (const charge of disputed) {
      const { data } = await stripe.disputes.list({ charge: charge.id });
      const open = data.find(({ status }) => /needs_response|under_review/.test(status));
      if (open === undefined) continue;
      await decideDispute(stripe, open.id, choice < 0.5 ? "won" : "lost");
      return open.id;
    }
    return undefined;
  },
  void: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, choice);
    if (invoice !== undefined) await stripe.invoices.voidInvoice(invoice.id);
    return invoice?.id;
  },
  write_off: async (customer, { stripe }, choice) => {
    const invoice = await openInvoice(customer, stripe, choice);
    if (invoice !== undefined) await stripe.invoices.markUncollectible(invoice.id);
    return invoice?.id;
  },
  leave_at_period_end: async ({ subscriptions }, { stripe }, choice) => {
    const subscription = pick(subscriptions, choice);
    await stripe.subscriptions.update(subscription, { cancel_at_period_end: true });
    return subscription;
  },
  /** As the portal does under flexible billing: `cancel_at`, and no `cancel_at_period_end`. */
  leave_on_a_day: async ({ subscriptions }, { stripe, now }, choice) => {
    const subscription = pick(subscriptions, choice);
    const days = 1 + ((choice * 7919) % 1) * 40;
    const cancelAt = Math.floor((now.getTime() + days * DAY) / 1000);
    await stripe.subscriptions.update(subscription, { cancel_at: cancelAt });
    return `${subscription} on ${new Date(cancelAt * 1000).toISOString()}`;
  },
  stay_after_all: async ({ subscriptions }, { stripe }, choice) => {
    const subscription = pick(subscriptions, choice);
    const { cancel_at_period_end: isClassic } = await stripe.subscriptions.retrieve(subscription);
    await stripe.subscriptions.update(
      subscription,
      isClassic ? { cancel_at_period_end: false } : { cancel_at: "" },
    );
    return subscription;
  },
  leave_now: async ({ subscriptions }, { stripe }, choice) => {
    const subscription = pick(subscriptions, choice);
    await stripe.subscriptions.cancel(subscription);
    return subscription;
  },
  pause: async ({ subscriptions }, { stripe, now }, choice) => {
    const subscription = pick(subscriptions, choice);
    const until = Math.floor((now.getTime() + 5 * DAY) / 1000);
    await stripe.subscriptions.update(subscription, {
      pause_collection: { behavior: "mark_uncollectible", ...(choice < 0.6 ? { resumes_at: until } : {}) },
    });
    return subscription;
  },
  resume: async ({ subscriptions }, { stripe }, choice) => {
    const subscription = pick(subscriptions, choice);
    await stripe.subscriptions.update(subscription, { pause_collection: "" });
    return subscription;
  },
  delete_customer: async (customer, { stripe }) => {
    await stripe.customers.del(customer.id);
    customer.isDeleted = true;
    return customer.id;
  },
  change_address: (customer, { stripe }, choice) =>
    changeAddress(customer, stripe, choice < 0.7 ? "moved" : "bounced"),
  hold: async (customer, world, choice) => {
    const open = await openCase(customer, world);
    if (open === undefined) return undefined;
    // Some holds last for weeks, until no customer acts any more: long after the dates in the mails.
    const isLong = choice >= 0.45 && choice < 0.7;
    const days = isLong ? (START.getTime() - world.now.getTime()) / DAY + ACTIVE_DAYS + 1 : choice * 8;
    const until = choice < 0.7 ? new Date(world.now.getTime() + days * DAY + 60_000) : null;
    await world.database.asService(
      (sql) => sql`select billing.hold_dunning(${open}, 'they called', ${until}, ${world.now})`,
    );
    return `case ${open} until ${until?.toISOString() ?? "released"}`;
  },
  exclude: async ({ id }, world, choice) => {
    const until = choice < 0.6 ? new Date(world.now.getTime() + choice * 10 * DAY + 60_000) : null;
    await world.database.asService(
      (sql) => sql`select billing.exclude_from_dunning(${id}, 'a friend', ${until}, ${world.now})`,
    );
    return until?.toISOString() ?? "until released";
  },
  release: async (customer, world) => {
    const open = await openCase(customer, world);
    await world.database.asService(async (sql) => {
      await sql`select billing.release_dunning(null, ${customer.id}, ${world.now})`;
      if (open !== undefined) await sql`select billing.release_dunning(${open}, null, ${world.now})`;
    });
    return open === undefined ? "the customer" : `case ${open}`;
  },
  close_by_hand: async (customer, world) => {
    const open = await openCase(customer, world);
    if (open === undefined) return undefined;
    await world.database.asService(
      (sql) => sql`select billing.close_dunning(${open}, 'agreed', ${world.now})`,
    );
    return `case ${open}`;
  },
  open_by_hand: async ({ subscriptions }, world, choice) => {
    const subject = pick(subscriptions, choice);
    const [opened] = await world.database.asService(
      (sql) => sql`select billing.open_dunning(${subject}, ${world.now}) as id`,
    );
    return `case ${opened?.id}`;
  },
};

/** Does what was planned and logs the outcome. Does nothing where the state no longer allows the action. */
export async function perform(
  customer: SimulatedCustomer,
  action: PlannedAction,
  world: DunningWorld,
): Promise<void> {
  const outcome = customer.isDeleted ? undefined : await tryAction(customer, action, world);
  if (outcome !== undefined) customer.log.push(`${world.now.toISOString()} ${action.kind}: ${outcome}`);
}

async function tryAction(
  customer: SimulatedCustomer,
  action: PlannedAction,
  world: DunningWorld,
): Promise<string | undefined> {
  try {
    return await ACTIONS[action.kind](customer, world, action.choice);
  } catch (error) {
    // Stripe refuses: a card is declined, a subscription is gone. Or there is no case to open or hold.
    if (error instanceof Stripe.errors.StripeError && (error.statusCode ?? 500) < 500)
      return `refused, ${error.code ?? error.message}`;
    if (error instanceof Error && /^DU04/.test(String((error as { code?: string }).code)))
      return `refused, ${error.message}`;
    throw error;
  }
}

async function openCase({ id }: SimulatedCustomer, world: DunningWorld): Promise<number | undefined> {
  const [found] = await world.database.sql<{ id: number }[]>`
    select id::integer from billing.dunning_cases where customer = ${id} and status = 'open' order by id limit 1`;
  return found?.id;
}
