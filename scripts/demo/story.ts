import type { SupabaseClient } from "@supabase/supabase-js";
import { advanceClock, completeCheckout, setCardOutcome } from "../local/stripe/buyer.ts";
import { date, day, hour, money } from "./format.ts";
import { mailsDelivered } from "./mail.ts";
import type { DemoWorld } from "./world.ts";

/** Everybody and everything in the story, filled in as it goes. */
export interface Cast {
  world: DemoWorld;
  /** Where the subscriber's clock stands; Unix seconds. */
  now: number;
  clock: string;
  /** The subscriber's browser, signed in. */
  ada: SupabaseClient;
  /** Somebody else's browser, signed in. */
  grace: SupabaseClient;
  adaId: string;
  customer: string;
  card: string;
  price: string;
  subscription: string;
}

/** One thing that happens; `play` answers what came of it, as the database tells it. */
export interface Act {
  title: string;
  play(cast: Cast): Promise<string>;
}

const opening = Date.UTC(2026, 2, 2, 9) / 1000;
const trialDays = 14;

/** A cast before the curtain rises. */
export function newCast(world: DemoWorld): Cast {
  return {
    world,
    now: opening,
    clock: "",
    ada: world.browser(),
    grace: world.browser(),
    adaId: "",
    customer: "",
    card: "",
    price: "",
    subscription: "",
  };
}

/** The story in order: a subscriber signs up, tries, pays, renews, fails, pays again and leaves. */
export const acts: Act[] = [
  { title: "Ada signs up, and so does Grace", play: signUp },
  { title: "Ada checks out: Pro, $20.00 a month after a 14-day trial", play: checkOut },
  { title: "Three days before the trial ends", play: trialWillEnd },
  { title: "The trial ends and the first payment is taken", play: firstPayment },
  { title: "A month later it renews", play: renew },
  { title: "Another month, and the card has no money", play: fail },
  { title: "Three days later there is money again", play: payAgain },
  { title: "Ada leaves", play: leave },
];

async function signUp(cast: Cast): Promise<string> {
  cast.adaId = await register(cast.ada, "ada@example.com");
  await register(cast.grace, "grace@example.com");
  return "two users, no customer yet";
}

async function register(browser: SupabaseClient, email: string): Promise<string> {
  const { data, error } = await browser.auth.signUp({ email, password: "an example of a password" });
  if (error) throw new Error(`${email} could not sign up: ${error.message}`);
  if (!data.user || !data.session) throw new Error(`${email} was not signed in by signing up`);
  return data.user.id;
}

async function checkOut(cast: Cast): Promise<string> {
  const { stripe } = cast.world;
  const product = await stripe.products.create({ name: "Pro" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2000,
    recurring: { interval: "month" },
  });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: opening, name: "demo" });
  const customer = await stripe.customers.create({
    email: "ada@example.com",
    name: "Ada Example",
    test_clock: clock.id,
  });
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    customer: customer.id,
    client_reference_id: cast.adaId,
    line_items: [{ price: price.id, quantity: 1 }],
    subscription_data: { trial_period_days: trialDays },
    success_url: "http://localhost:3000/welcome",
  });
  const done = await completeCheckout(stripe, session.id, { paymentMethod: "pm_card_visa" });
  if (typeof done.subscription !== "string") throw new Error(`checkout ${session.id} made no subscription`);
  const subscription = await stripe.subscriptions.retrieve(done.subscription);

  cast.price = price.id;
  cast.clock = clock.id;
  cast.customer = customer.id;
  cast.subscription = subscription.id;
  cast.card = idOf(subscription.default_payment_method);
  await settled(cast);
  return subscriptionLine(cast);
}

async function trialWillEnd(cast: Cast): Promise<string> {
  await advance(cast, opening + (trialDays - 3) * day + hour);
  const [heard] = await cast.world.sql<{ created: Date }[]>`
    select created from billing.webhook_events
    where type = 'customer.subscription.trial_will_end' and object_id = ${cast.subscription}`;
  return heard ? `Stripe announced it on ${date(heard.created)}` : "Stripe did not announce it";
}

async function firstPayment(cast: Cast): Promise<string> {
  await advance(cast, opening + trialDays * day + 2 * hour);
  return newestInvoice(cast);
}

async function renew(cast: Cast): Promise<string> {
  await advance(cast, (await periodEnd(cast)) + 2 * hour);
  return newestInvoice(cast);
}

async function fail(cast: Cast): Promise<string> {
  await setCardOutcome(cast.world.stripe, cast.card, "insufficient_funds");
  return renew(cast);
}

async function payAgain(cast: Cast): Promise<string> {
  await advance(cast, cast.now + 3 * day - hour);
  await setCardOutcome(cast.world.stripe, cast.card, "succeed");
  const { data } = await cast.world.stripe.invoices.list({ subscription: cast.subscription, status: "open" });
  const open = data[0];
  if (open?.id) await cast.world.stripe.invoices.pay(open.id);
  await settled(cast);
  return newestInvoice(cast);
}

async function leave(cast: Cast): Promise<string> {
  await cast.world.stripe.subscriptions.cancel(cast.subscription, { prorate: false });
  await settled(cast);
  return subscriptionLine(cast);
}

/** The mails all of this causes. */
export const mailsOfTheStory: readonly string[] = [
  "trial-ending ada@example.com",
  "payment-receipt ada@example.com",
  "payment-receipt ada@example.com",
  "payment-failed-notice ada@example.com",
  "payment-recovered ada@example.com",
  "payment-receipt ada@example.com",
  "subscription-canceled ada@example.com",
];

/** Turns the clock, and waits until everything that happened meanwhile has arrived in the database. */
async function advance(cast: Cast, to: number): Promise<void> {
  await advanceClock(cast.world.stripe, cast.clock, to);
  cast.now = to;
  await settled(cast);
}

async function settled(cast: Cast): Promise<void> {
  await cast.world.stack.stripe.settled();
  await mailsDelivered(cast.world);
}

async function periodEnd(cast: Cast): Promise<number> {
  const { items } = await cast.world.stripe.subscriptions.retrieve(cast.subscription);
  const end = items.data[0]?.current_period_end;
  if (end === undefined) throw new Error(`subscription ${cast.subscription} has no item`);
  return end;
}

async function subscriptionLine(cast: Cast): Promise<string> {
  const [row] = await cast.world.sql<{ status: string; trial_end: Date | null; canceled_at: Date | null }[]>`
    select status, trial_end, canceled_at from billing.subscriptions where id = ${cast.subscription}`;
  if (!row) return "no subscription in the database";
  if (row.status === "trialing") return `subscription trialing until ${date(row.trial_end)}`;
  return row.canceled_at ? `subscription canceled on ${date(row.canceled_at)}` : `subscription ${row.status}`;
}

async function newestInvoice(cast: Cast): Promise<string> {
  const [row] = await cast.world.sql<
    { status: string; total: bigint; currency: string; at: Date; subscription_status: string }[]
  >`
    select i.status, i.total, i.currency, coalesce(i.paid_at, i.first_payment_failed_at, i.created) as at,
      s.status as subscription_status
    from billing.invoices as i
    join billing.subscriptions as s on s.id = i.subscription
    where i.subscription = ${cast.subscription}
    order by i.created desc, i.id desc
    limit 1`;
  if (!row) return "no invoice in the database";
  const said = row.status === "open" ? "payment failed" : row.status;
  return `invoice of ${money(row.total, row.currency)} ${said} on ${date(row.at)}, subscription ${row.subscription_status}`;
}

function idOf(reference: string | { id: string } | null): string {
  if (reference === null) throw new Error("the subscription has no payment method");
  return typeof reference === "string" ? reference : reference.id;
}
