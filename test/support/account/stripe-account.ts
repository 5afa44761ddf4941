import type Stripe from "stripe";
import { seededRandom } from "../../../scripts/local/service/random.ts";
import type { Settings } from "../../../scripts/local/stripe/core/settings.ts";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { clientOf } from "../../local-stripe/support/harness.ts";

const DAY_MS = 86_400_000;

/** How large an account is, and how long its history. */
export interface AccountSize {
  customers: number;
  months: number;
  seed?: number;
  /** When it begins. */
  start?: Date;
  /** Most of those who pay by the month leave after some months, as in an account of that age. Otherwise most stay. */
  areLeaving?: boolean;
}

/** A Stripe account with a history that nobody listened to. */
export interface StripeAccount {
  local: LocalStripe;
  stripe: Stripe;
  /** The time there. */
  now(): Date;
  /** Let time pass: renewals, retries, ends of trials. */
  pass(days: number): Promise<void>;
  customers: string[];
  close(): Promise<void>;
}

/** An account without any history, whose clock the caller turns. */
export async function startAccount(
  start = new Date("2023-11-06T09:00:00Z"),
  settings: Partial<Settings> = {},
): Promise<StripeAccount> {
  let now = start;
  const local = await startLocalStripe({ port: 0, now: () => now, settings });
  return {
    local,
    stripe: clientOf(local),
    now: () => now,
    customers: [],
    async pass(days) {
      now = new Date(now.getTime() + days * DAY_MS);
      local.tick();
      await local.settled();
    },
    close: () => local.close(),
  };
}

interface Catalogue {
  monthly: string;
  yearly: string;
  seats: string;
  retired: string;
}

async function makeCatalogue(stripe: Stripe): Promise<Catalogue> {
  const pro = await stripe.products.create({ name: "Pro", metadata: { features: "reports, export" } });
  const team = await stripe.products.create({ name: "Team", metadata: { features: "reports" } });
  const feature = await stripe.entitlements.features.create({ name: "API", lookup_key: "api" });
  await stripe.products.createFeature(team.id, { entitlement_feature: feature.id });
  const price = async (product: string, amount: number, interval: "month" | "year") =>
    (
      await stripe.prices.create({
        product,
        currency: "usd",
        unit_amount: amount,
        recurring: { interval },
      })
    ).id;
  const catalogue = {
    monthly: await price(pro.id, 2900, "month"),
    yearly: await price(pro.id, 29_000, "year"),
    seats: await price(team.id, 900, "month"),
    retired: await price(pro.id, 1900, "month"),
  };
  return catalogue;
}

/**
 * An account with a history of months: subscribers by month, by year and by seat, trials, checkouts, declined cards, invoices
 * that are sent, refunds, a dispute, cancellations; all in real time, under no test clock. Who does what follows from the seed.
 */
export async function startAccountWithHistory(size: AccountSize): Promise<StripeAccount> {
  const account = await startAccount(size.start);
  const { stripe } = account;
  const random = seededRandom(size.seed ?? 1);
  const leaving = seededRandom((size.seed ?? 1) + 1);
  const catalogue = await makeCatalogue(stripe);
  const arrivals = Array.from({ length: size.customers }, (_, index) =>
    index < size.customers / 2 ? 0 : Math.floor(random() * size.months),
  );
  for (let month = 0; month < size.months; month += 1) {
    for (const [index, arrival] of arrivals.entries()) {
      if (arrival !== month) continue;
      const stays = size.areLeaving && leaving() < 0.9 ? 1 + Math.floor(leaving() * 3) : undefined;
      const until =
        stays === undefined ? undefined : Math.floor(account.now().getTime() / 1000) + stays * 30 * 86_400;
      account.customers.push(await subscribe(stripe, catalogue, index, { month, until }));
    }
    if (month === 1) await stripe.prices.update(catalogue.retired, { active: false });
    // In parts, so that what is retried and what falls due happens in its own time.
    for (const days of [3, 9, 11, 7]) {
      await account.pass(days);
      await happen(stripe, account, random);
    }
  }
  return account;
}

/** Twelve ways of being a customer, one after the other. */
async function subscribe(
  stripe: Stripe,
  catalogue: Catalogue,
  index: number,
  { month, until }: { month: number; until: number | undefined },
): Promise<string> {
  const kind = index % 12;
  const card = [3, 7].includes(kind) ? "pm_card_chargeCustomerFail" : "pm_card_visa";
  const { id } = await stripe.customers.create({
    email: `customer${index}@example.com`,
    name: `Customer ${index}`,
    metadata: { number: String(index) },
    ...(kind === 8 ? {} : { payment_method: card, invoice_settings: { default_payment_method: card } }),
  });
  if (kind === 9) {
    await stripe.invoiceItems.create({ customer: id, amount: 4900, currency: "usd", description: "Set-up" });
    const invoice = await stripe.invoices.create({
      customer: id,
      collection_method: "send_invoice",
      days_until_due: 14,
      pending_invoice_items_behavior: "include",
    });
    await stripe.invoices.finalizeInvoice(invoice.id);
    return id;
  }
  if (kind === 10) {
    await stripe.paymentIntents.create({
      customer: id,
      amount: 1500,
      currency: "usd",
      confirm: true,
      payment_method: "pm_card_visa",
    });
    return id;
  }
  await stripe.subscriptions.create({
    customer: id,
    items: [
      {
        price: [
          catalogue.monthly,
          catalogue.monthly,
          catalogue.yearly,
          catalogue.monthly,
          catalogue.seats,
          month === 0 ? catalogue.retired : catalogue.monthly,
        ][kind % 6],
        quantity: kind % 6 === 4 ? 1 + (index % 5) : 1,
      },
    ],
    // A card that is declined must first get through the beginning.
    ...([3, 7, 11].includes(kind) ? { trial_period_days: 5 } : {}),
    ...(kind === 8 ? { collection_method: "send_invoice" as const, days_until_due: 20 } : {}),
    ...(until === undefined || kind % 6 === 2 ? {} : { cancel_at: until }),
    metadata: { plan: String(kind) },
  });
  return id;
}

/** What people do between two days, as the seed decides. */
async function happen(stripe: Stripe, account: StripeAccount, random: () => number): Promise<void> {
  const someone = account.customers[Math.floor(random() * account.customers.length)];
  if (someone === undefined) return;
  const [charge] = (await stripe.charges.list({ customer: someone, limit: 1 })).data;
  const [subscription] = (await stripe.subscriptions.list({ customer: someone, limit: 1 })).data;
  const deed = Math.floor(random() * 8);
  if (deed === 0 && charge?.paid && !charge.refunded) {
    await stripe.refunds.create({ charge: charge.id, amount: Math.floor(charge.amount / 2) }).catch(ignore);
  } else if (deed === 1 && subscription) {
    await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  } else if (deed === 2 && subscription) {
    await stripe.subscriptions.update(subscription.id, { metadata: { touched: "yes" } });
  } else if (deed === 3 && charge?.paid && !charge.disputed && !charge.refunded) {
    await stripe.rawRequest("POST", `/v1/test_helpers/duebase/charges/${charge.id}/dispute`, {
      kind: "fraudulent",
    });
  } else if (deed === 4 && subscription && random() < 0.3) {
    await stripe.subscriptions.cancel(subscription.id);
  } else if (deed === 5) {
    await stripe.checkout.sessions.create({
      mode: "setup",
      currency: "usd",
      customer: someone,
      success_url: "https://app.example/",
    });
  } else if (deed === 6) {
    const method = await stripe.paymentMethods.attach("pm_card_mastercard", { customer: someone });
    await stripe.customers.update(someone, { invoice_settings: { default_payment_method: method.id } });
  }
}

/** What the account refuses is part of life. */
function ignore(): void {}
