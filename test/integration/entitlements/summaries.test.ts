import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type DeliverParts, deliver } from "../../support/delivering.ts";
import { readsOwed } from "../../support/orders.ts";
import { featuresOf, Story, tell } from "./story.ts";

// Entitlements that Stripe keeps: what it tells of them, and what it has to be asked for.

const secretKey = "sk_test_example_entitlements";
let database: TestDatabase;
let local: LocalStripe;
let stripe: Stripe;
let parts: DeliverParts;

beforeAll(async () => {
  database = await createTestDatabase();
  local = await startLocalStripe({ port: 0, apiKey: secretKey });
  const { hostname, port } = new URL(local.url);
  stripe = new Stripe(secretKey, { host: hostname, port, protocol: "http", maxNetworkRetries: 0 });
  parts = { database, stripe: { url: local.url, secretKey } };
});
afterAll(async () => {
  await local.close();
  await database.drop();
});

const SUMMARY = "entitlements.active_entitlement_summary.updated";
const keys = (count: number) =>
  Array.from({ length: count }, (_, index) => `feature_${String(index).padStart(3, "0")}`);

/** A product that grants so many features, and a subscriber of it. Returns the customer and the summaries it was told. */
async function subscribe(granted: string[], userId: string, clock?: string) {
  const customer = await stripe.customers.create({
    email: "ada@example.com",
    metadata: { owner_id: userId },
    test_clock: clock,
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const product = await stripe.products.create({ name: "Everything" });
  for (const lookup_key of granted) {
    const known = (await stripe.entitlements.features.list({ lookup_key })).data[0];
    const feature = known ?? (await stripe.entitlements.features.create({ lookup_key, name: lookup_key }));
    await stripe.products.createFeature(product.id, { entitlement_feature: feature.id });
  }
  const price = await stripe.prices.create({
    product: product.id,
    currency: "eur",
    unit_amount: 1900,
    recurring: { interval: "month" },
  });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  return { customer: customer.id, product: product.id, subscription: subscription.id };
}

/**
 * Everything the local Stripe reported of a customer, as webhooks would bring it; a minute old, because a read of the
 * second of an event would have to be repeated.
 */
async function eventsOf(customer: string): Promise<Stripe.Event[]> {
  const events: Stripe.Event[] = [];
  for await (const event of stripe.events.list({ limit: 100 })) events.push(event);
  return events
    .reverse()
    .filter((event) => JSON.stringify(event.data).includes(customer))
    .map((event) => ({ ...event, created: event.created - 60 }));
}

const later = (seconds: number) => new Date(Date.now() + seconds * 1000);

describe("a summary of more entitlements than fit", () => {
  it.each([
    ["by our clock", undefined],
    ["under a test clock far ahead", 4_000_000_000],
  ])("has the rest read from Stripe, page by page (%s)", async (_what, frozen_time) => {
    const clock = frozen_time ? (await stripe.testHelpers.testClocks.create({ frozen_time })).id : undefined;
    const user = await database.signUp();
    const { customer } = await subscribe(keys(130), user, clock);
    const events = await eventsOf(customer);
    expect(events.filter(({ type }) => type === SUMMARY)).toHaveLength(1);
    for (const event of events) await database.receive(event);
    expect(await featuresOf(database, user)).toHaveLength(10);

    local.ledger.requests.length = 0;
    await deliver(parts, later(10));
    expect(await featuresOf(database, user)).toEqual(keys(130));
    const pages = local.ledger.requests.filter(({ path }) => path.includes("active_entitlements"));
    expect(pages).toHaveLength(2);
  });

  it("takes nothing away while the rest is being read", async () => {
    const story = new Story();
    const user = await database.signUp();
    const all = keys(14);
    await tell(database, story.customer(user), story.summary(all), story.summary(all.slice(0, 10), true));
    expect(await featuresOf(database, user)).toEqual(all);
    const name = `${story.id("cus")}/entitlements`;
    expect(await readsOwed(database, name)).toEqual([
      {
        key: `refresh:${name}:${story.now}`,
        payload: { object: "entitlements.active_entitlement_summary", id: name },
      },
    ]);
    await tell(database, story.summary(["feature_000"]));
    expect(await featuresOf(database, user)).toEqual(["feature_000"]);
  });

  it.each([
    ["event", "first"],
    ["event", "last"],
    ["read", "first"],
    ["read", "last"],
  ])("goes by the newest whole list before it, an %s that comes %s", async (kind, comes) => {
    const story = new Story();
    const user = await database.signUp();
    const all = keys(14);
    await tell(database, story.customer(user));
    const whole = story.summary(all);
    const object = { ...whole.data.object, id: `${story.id("cus")}/entitlements` };
    const tellWhole = async () => {
      if (kind === "event") return await tell(database, whole);
      await database.asService(
        (sql) =>
          sql`select billing.apply_refresh(${sql.json(object as never)}, to_timestamp(${whole.created}))`,
      );
    };
    const cutOff = story.summary(all.slice(0, 10), true);
    if (comes === "first") await tellWhole();
    await tell(database, cutOff);
    if (comes === "last") await tellWhole();
    expect(await featuresOf(database, user)).toEqual(all);
  });

  it("of a customer who is deleted by then is read as empty", async () => {
    const user = await database.signUp();
    const { customer, subscription } = await subscribe(keys(12), user);
    const events = await eventsOf(customer);
    await stripe.subscriptions.cancel(subscription);
    await stripe.customers.del(customer);
    for (const event of events) await database.receive(event);
    expect((await featuresOf(database, user)).length).toBeGreaterThan(0);
    await deliver(parts, later(20));
    expect(await featuresOf(database, user)).toEqual([]);
  });
});

it("a feature taken from a product at Stripe is taken from its subscribers when the summary says so", async () => {
  const user = await database.signUp();
  const { customer, product } = await subscribe(keys(3), user);
  for (const event of await eventsOf(customer)) await database.receive(event);
  expect(await featuresOf(database, user)).toEqual(keys(3));
  const attached = (await stripe.products.listFeatures(product)).data;
  const last = attached.find(({ entitlement_feature }) => entitlement_feature.lookup_key === "feature_002");
  await stripe.products.deleteFeature(product, last?.id ?? "");
  for (const event of await eventsOf(customer)) await database.receive(event);
  expect(await featuresOf(database, user)).toEqual(keys(2));
});
