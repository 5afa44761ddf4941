import type Stripe from "stripe";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startInbox } from "../../../scripts/local/inbox/server.ts";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { clientOf } from "../../local-stripe/support/harness.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";

// The emails that are off by default, from what a Stripe does and says of it to the inbox.

let database: TestDatabase;
let local: LocalStripe;
let stripe: Stripe;
let inbox: Awaited<ReturnType<typeof startInbox>>;
let told: Set<string>;
/** Stripe's time, and everybody's. It stands until it is moved, ms since the epoch. */
let clock: number;

beforeEach(async () => {
  database = await createTestDatabase();
  await database.sql`
    update billing.settings
    set emails_on = billing_private.emails_off_by_default(), emails_off = '{payment-receipt}', app_name = 'Northlight' where id
  `;
  clock = Date.parse("2026-10-01T09:00:00Z");
  local = await startLocalStripe({ port: 0, now: () => new Date(clock) });
  stripe = clientOf(local);
  inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
  told = new Set();
});
afterEach(async () => {
  await inbox.close();
  await local.close();
  await database.drop();
});

/** Brings what Stripe has said since the last time, in its order or backwards. */
async function bring(order: "forwards" | "backwards" = "forwards"): Promise<void> {
  const events: StripeEvent[] = [];
  for await (const event of stripe.events.list({ limit: 100 })) {
    if (!told.has(event.id)) events.push(event as unknown as StripeEvent);
  }
  for (const event of order === "forwards" ? events.reverse() : events) {
    told.add(event.id);
    await database.receive(event, new Date(clock));
  }
}
/** Lets so many seconds pass and delivers what is due; returns subjects and texts of all there ever was. */
async function mailsIn(seconds: number) {
  clock += seconds * 1000;
  await deliver(
    {
      database,
      resend: { url: inbox.apiUrl },
      alertMail: { from: "Billing <billing@example.com>", to: "ops@example.com" },
    },
    new Date(clock),
  );
  const plain = (text: string | null | undefined) => (text ?? "").replaceAll("\u00a0", " ");
  return inbox.emails().map(({ subject, text }) => ({ subject: plain(subject), text: plain(text) }));
}
const subjects = async (seconds: number) => (await mailsIn(seconds)).map(({ subject }) => subject);

/** A subscriber of Studio by Visa, and the price of Atelier. */
async function subscribe() {
  const price = async (name: string, unit_amount: number) => {
    const product = await stripe.products.create({ name });
    return stripe.prices.create({
      product: product.id,
      currency: "eur",
      unit_amount,
      recurring: { interval: "month" },
    });
  };
  const studio = await price("Studio", 4900);
  const atelier = await price("Atelier", 9900);
  const customer = await stripe.customers.create({
    email: "ada@example.com",
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: studio.id }],
  });
  await bring();
  return {
    customer: customer.id,
    subscription: subscription.id,
    item: subscription.items.data[0]?.id,
    atelier,
  };
}

it.each(["forwards", "backwards"] as const)(
  "a plan that is changed and charged at once is told with what was charged, told %s",
  async (order) => {
    const { subscription, item, atelier } = await subscribe();
    await stripe.subscriptions.update(subscription, { metadata: { seat: "window" } });
    await stripe.subscriptions.update(subscription, {
      items: [{ id: item, price: atelier.id }],
      proration_behavior: "always_invoice",
    });
    await bring(order);
    const [mail, ...more] = await mailsIn(180);
    expect(more).toEqual([]);
    expect(mail?.subject).toBe("Your plan is now Atelier");
    expect(mail?.text).toContain("It now costs €99.00 per month instead of €49.00 per month.");
    const [invoice] = (await stripe.invoices.list({ subscription, limit: 1 })).data;
    expect(invoice?.billing_reason).toBe("subscription_update");
    expect(mail?.text).toContain(
      `For the change we charged €${((invoice?.amount_paid ?? 0) / 100).toFixed(2)}.`,
    );
  },
);

it("a cancellation that is undone, and a card that is removed, get one email each", async () => {
  const { subscription, customer } = await subscribe();
  await stripe.subscriptions.update(subscription, { cancel_at_period_end: true });
  await bring();
  await mailsIn(5);
  await stripe.subscriptions.update(subscription, { cancel_at_period_end: false });
  await bring();
  await mailsIn(90);
  const [method] = (await stripe.customers.listPaymentMethods(customer)).data;
  await stripe.paymentMethods.detach(String(method?.id));
  await bring();
  const said = await subjects(700);
  expect(said).toEqual([
    expect.stringMatching(/^Your Studio subscription is canceled/),
    "Your Studio subscription continues",
    "Please add a payment method for Studio",
  ]);
});

it("a card that is exchanged for another gets no email", async () => {
  const { customer } = await subscribe();
  const [old] = (await stripe.customers.listPaymentMethods(customer)).data;
  await stripe.paymentMethods.detach(String(old?.id));
  const next = await stripe.paymentMethods.attach("pm_card_mastercard", { customer });
  await stripe.customers.update(customer, { invoice_settings: { default_payment_method: next.id } });
  await bring();
  expect(await subjects(700)).toEqual([]);
});

it("a dispute that is opened is mailed to the operator", async () => {
  await stripe.paymentIntents.create({
    amount: 2000,
    currency: "eur",
    payment_method: "pm_card_createDispute",
    confirm: true,
  });
  await bring();
  expect(await subjects(5)).toEqual(["A payment of €20.00 is disputed"]);
});
