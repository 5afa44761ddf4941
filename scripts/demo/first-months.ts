import type { SupabaseClient } from "@supabase/supabase-js";
import { completeCheckout } from "../local/stripe/buyer.ts";
import { finnFollowsAfter, trialDays } from "./calendar.ts";
import { type Cast, type Name, opening, type Person, person } from "./cast.ts";
import { advance, everythingDelivered } from "./clock.ts";
import { date, day, hour, money } from "./format.ts";

/** Ada and Grace become users of the application. */
export async function signUp(cast: Cast): Promise<string> {
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

/** A plan is sold, and Ada takes it on trial. */
export async function checkOut(cast: Cast): Promise<string> {
  const { stripe, sql } = cast.world;
  // The clock of the story is turned by hand, and so is the daily run.
  await sql`select cron.unschedule('duebase-dunning')`;
  await sql`delete from billing.tick_parts where part = 'dunning-watchdog'`;
  const product = await stripe.products.create({ name: "Pro" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2000,
    recurring: { interval: "month" },
  });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: opening, name: "demo" });
  cast.price = price.id;
  cast.clock = clock.id;

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
  cast.people.set("Ada", {
    name: "Ada",
    email: "ada@example.com",
    customer: customer.id,
    card: idOf(subscription.default_payment_method),
    subscription: subscription.id,
  });
  await everythingDelivered(cast);
  return subscriptionLine(cast, "Ada");
}

export async function trialWillEnd(cast: Cast): Promise<string> {
  await advance(cast, opening + (trialDays - 3) * day + hour);
  const [heard] = await cast.world.sql<{ created: Date }[]>`
    select created from billing.webhook_events
    where type = 'customer.subscription.trial_will_end' and object_id = ${person(cast, "Ada").subscription}`;
  return heard ? `Stripe announced it on ${date(heard.created)}` : "Stripe did not announce it";
}

/** The trial's end, on which Bo, Cleo and Dan subscribe too: they all renew on the same day. */
export async function firstPayment(cast: Cast): Promise<string> {
  await advance(cast, opening + trialDays * day + 2 * hour);
  return newestInvoice(cast, "Ada");
}

export async function othersSubscribe(cast: Cast): Promise<string> {
  const { sql } = cast.world;
  for (const name of ["Bo", "Cleo", "Dan"] as const) await subscribe(cast, name);
  // What a support person would do in Studio's SQL editor.
  await sql`
    select billing.define_dunning_policy(
      'patient',
      '[{"day": 0, "kind": "notice"}, {"day": 4, "kind": "final_warning"}, {"day": 8, "kind": "end"}]',
      p_end_action => 'pause',
      p_description => 'Pauses instead of canceling.'
    )`;
  await sql`select billing.assign_dunning_policy('customer', ${person(cast, "Cleo").customer}, 'patient')`;
  await everythingDelivered(cast);
  return "three subscriptions active; Cleo's policy pauses on day 8 instead of canceling on day 10";
}

export async function refundEve(cast: Cast): Promise<string> {
  await advance(cast, cast.now + finnFollowsAfter * day);
  await subscribe(cast, "Eve");
  await subscribe(cast, "Finn");
  const { stripe, sql } = cast.world;
  const { customer } = person(cast, "Eve");
  const { data } = await stripe.charges.list({ customer });
  const charge = data[0];
  if (!charge) throw new Error("Eve has paid nothing");
  await stripe.refunds.create({ charge: charge.id });
  await stripe.subscriptions.cancel(person(cast, "Eve").subscription, { prorate: false });
  await everythingDelivered(cast);
  const [row] = await sql<{ amount_refunded: string }[]>`
    select amount_refunded::text from billing.payments where customer = ${customer}`;
  return `${money(row?.amount_refunded ?? 0, "usd")} returned to Eve, subscription ended at her wish`;
}

async function subscribe(cast: Cast, name: Name): Promise<void> {
  const { stripe } = cast.world;
  const email = `${name.toLowerCase()}@example.com`;
  const customer = await stripe.customers.create({ email, name: `${name} Example`, test_clock: cast.clock });
  const card = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: card.id } });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: cast.price }],
  });
  const somebody: Person = {
    name,
    email,
    customer: customer.id,
    card: card.id,
    subscription: subscription.id,
  };
  cast.people.set(name, somebody);
}

/** How somebody's subscription stands in the database. */
export async function subscriptionLine(cast: Cast, name: Name): Promise<string> {
  const [row] = await cast.world.sql<{ status: string; trial_end: Date | null; canceled_at: Date | null }[]>`
    select status, trial_end, canceled_at from billing.subscriptions
    where id = ${person(cast, name).subscription}`;
  if (!row) return "no subscription in the database";
  if (row.status === "trialing") return `subscription trialing until ${date(row.trial_end)}`;
  return row.canceled_at ? `subscription canceled on ${date(row.canceled_at)}` : `subscription ${row.status}`;
}

/** Somebody's newest invoice, as the database has it. */
export async function newestInvoice(cast: Cast, name: Name): Promise<string> {
  const [row] = await cast.world.sql<
    { status: string; total: bigint; currency: string; at: Date; subscription_status: string }[]
  >`
    select i.status, i.total, i.currency, coalesce(i.paid_at, i.first_payment_failed_at, i.created) as at,
      s.status as subscription_status
    from billing.invoices as i
    join billing.subscriptions as s on s.id = i.subscription
    where i.subscription = ${person(cast, name).subscription}
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
