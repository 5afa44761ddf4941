import type Stripe from "stripe";
import { afterEach, expect, it } from "vitest";
import { giveCardInPortal } from "../../../scripts/local/stripe/buyer.ts";
import { DunningWorld, HOUR } from "../../support/dunning-world.ts";

const open: DunningWorld[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

it("everything that is read and done for a connected account names it: other accounts do not find its objects", async () => {
  const world = await DunningWorld.open(undefined, undefined, { isConnected: true });
  open.push(world);
  const { sql } = world.database;
  const who = await world.subscribe();
  await world.arrive();
  expect(await sql`select distinct account from billing.webhook_events`).toEqual([
    { account: world.local.account },
  ]);
  await world.breakCard(who);
  await world.renew(who);
  for (let day = 1; day <= 10; day++) await world.nextDay();
  world.now = new Date(world.now.getTime() + 6 * HOUR);
  await world.run();
  expect(world.mailsTo(who.email)).toEqual([
    "payment-receipt",
    "payment-failed-notice",
    "payment-failed-urgent",
    "payment-failed-final",
    "subscription-canceled",
  ]);
  expect((await world.stripe.subscriptions.retrieve(who.subscription)).status).toBe("canceled");
  expect(await sql`select kind, last_error from billing.outbox where status = 'dead'`).toEqual([]);
  // Each call as such: of another account, all of them would have been refused.
  for (const [call, id] of [
    ["void_invoice", (await sql`select id from billing.invoices where status = 'open'`)[0]?.id],
    ["cancel_subscription", who.subscription],
  ]) {
    await sql`select billing_private.enqueue('stripe', ${`call:${call}`}, ${sql.json({ call, id })}, ${world.now})`;
  }
  await world.deliver();
  expect(await sql`select status, last_error from billing.outbox where kind = 'stripe'`).toEqual(
    Array(2).fill({ status: "delivered", last_error: null }),
  );
  expect(world.local.ledger.requests.filter(({ status }) => status === 404 || status === 403)).toEqual([]);
}, 120_000);

it("a card given in the portal is charged for the connected account, and kept there", async () => {
  const world = await DunningWorld.open(undefined, undefined, { isConnected: true });
  open.push(world);
  const who = await world.subscribe();
  await world.stripe.subscriptions.update(who.subscription, { default_payment_method: who.card });
  await world.arrive();
  await world.breakCard(who);
  await world.renew(who);
  await giveCardInPortal(world.stripe, who.customer, "pm_card_mastercard");
  await world.arrive();
  await world.deliver();
  expect(await world.database.sql`select outcome from billing.dunning_cases`).toEqual([
    { outcome: "recovered" },
  ]);
  const { invoice_settings: given } = (await world.stripe.customers.retrieve(
    who.customer,
  )) as Stripe.Customer;
  const { default_payment_method: kept } = await world.stripe.subscriptions.retrieve(who.subscription);
  expect(kept).toBe(given.default_payment_method);
  expect(world.local.ledger.requests.filter(({ status }) => status === 404 || status === 403)).toEqual([]);
});

it("an account that the key may not act for is said to be so, and nothing is taken for deleted", async () => {
  const world = await DunningWorld.open(undefined, undefined, { isConnected: true });
  open.push(world);
  const { sql } = world.database;
  await world.subscribe();
  await world.arrive();
  const [product] = await sql`select id from billing.products`;
  await sql`update billing.settings set stripe_account = 'acct_somebody_else' where true`;
  await sql`select billing_private.enqueue('refresh', 'read', ${sql.json({ object: "product", id: product?.id })}, ${world.now})`;
  await world.deliver();
  expect(
    await sql`select status, last_error ->> 'code' as problem from billing.outbox where dedupe_key = 'read'`,
  ).toEqual([{ status: "pending", problem: "account_invalid" }]);
  expect(await sql`select deleted_at from billing.products`).toEqual([{ deleted_at: null }]);
});
