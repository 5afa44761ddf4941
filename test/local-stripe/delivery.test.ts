import Stripe from "stripe";
import { afterEach, beforeEach, expect, test } from "vitest";
import { errorOf, type Harness, startEndpoint, startHarness, webhookSecret } from "./support/harness.ts";

let harness: Harness;

beforeEach(async () => {
  harness = await startHarness();
});
afterEach(() => harness.close());

/** Make a few events. */
async function customers(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await harness.stripe.customers.create({ name: `c${n}` })).id);
  return ids;
}

function receivedIds(): string[] {
  return harness.endpoint.received.map((it) => it.event.id);
}

test("an event arrives signed with real time, in Stripe's envelope, at the API version of the SDK", async () => {
  const { stripe, local, endpoint } = harness;
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: 1_600_000_000 });
  await stripe.customers.create({ test_clock: clock.id }, { idempotencyKey: "key-envelope" });
  await local.settled();
  const received = endpoint.received.find((it) => it.event.type === "customer.created");
  expect(received?.event).toMatchObject({
    object: "event",
    api_version: Stripe.API_VERSION,
    livemode: false,
    created: 1_600_000_000,
    pending_webhooks: 1,
    request: { idempotency_key: "key-envelope" },
  });
  const signedAt = Number(/t=(\d+)/.exec(received?.signature ?? "")?.[1]);
  expect(Math.abs(signedAt - Date.now() / 1000)).toBeLessThan(30);
});

test("an endpoint gets the types it asked for, and none while it is disabled", async () => {
  const { stripe, local } = harness;
  const other = await startEndpoint();
  const endpoint = await stripe.webhookEndpoints.create({
    url: other.url,
    enabled_events: ["product.created"],
  });
  expect(endpoint.secret).toMatch(/^whsec_/);
  expect((await stripe.webhookEndpoints.retrieve(endpoint.id)).secret).toBeUndefined();
  other.secret = endpoint.secret ?? "";
  await stripe.products.create({ name: "A" });
  await customers(1);
  await local.settled();
  expect(other.types()).toEqual(["product.created"]);
  await stripe.webhookEndpoints.update(endpoint.id, { disabled: true });
  await stripe.products.create({ name: "B" });
  await stripe.webhookEndpoints.del(endpoint.id);
  await local.settled();
  expect(other.types()).toEqual(["product.created"]);
  expect(await errorOf(stripe.webhookEndpoints.retrieve(endpoint.id))).toMatchObject({
    code: "resource_missing",
  });
  await other.close();
});

test("an answer other than 2xx is tried again with a fresh signature until it is taken", async () => {
  const { stripe, local, endpoint } = harness;
  endpoint.answer = (_, attempt) => (attempt < 3 ? 503 : 200);
  await customers(1);
  await local.settled();
  expect(endpoint.received).toHaveLength(3);
  expect(new Set(receivedIds()).size).toBe(1);
  expect(local.webhooks.attempts.map((it) => it.status)).toEqual([503, 503, 200]);
  const event = await stripe.events.retrieve(receivedIds()[0] ?? "");
  expect(event.pending_webhooks).toBe(0);
});

test("an event that is never taken is given up, stays pending, and is found in the event list", async () => {
  const { stripe, local, endpoint } = harness;
  endpoint.answer = (event) => (event.type === "customer.created" ? 500 : 200);
  await customers(1);
  await stripe.products.create({ name: "Fine" });
  await local.settled();
  expect(endpoint.types().filter((type) => type === "customer.created")).toHaveLength(4);
  const missed = await stripe.events.list({ delivery_success: false });
  expect(missed.data.map((event) => event.type)).toEqual(["customer.created"]);
  expect(missed.data[0]?.pending_webhooks).toBe(1);
});

test("held events wait, and come released in an order that the seed decides, as often as wanted", async () => {
  const { local } = harness;
  const orders: string[][] = [];
  for (const seed of [7, 7, 8]) {
    const from = harness.endpoint.received.length;
    local.webhooks.options.concurrency = 1;
    local.webhooks.hold();
    await customers(6);
    expect(harness.endpoint.received.length).toBe(from);
    expect(local.webhooks.held).toHaveLength(6);
    const happened = local.webhooks.held.map((event) => event.id);
    local.webhooks.release({ shuffle: seed, copies: 2 });
    await local.settled();
    const order = receivedIds().slice(from);
    expect([...order].sort()).toEqual([...happened, ...happened].sort());
    orders.push(order.map((id) => String(happened.indexOf(id))));
  }
  expect(orders[0]).toEqual(orders[1]);
  expect(orders[0]).not.toEqual(orders[2]);
});

test("a dropped event is missed by the endpoint and kept by Stripe; resending brings it", async () => {
  const { stripe, local, endpoint } = harness;
  local.webhooks.drop((event) => event.type === "customer.created", 1);
  const [first] = await customers(2);
  await local.settled();
  expect(endpoint.received).toHaveLength(1);
  const missed = await stripe.events.list({ delivery_success: false });
  expect(missed.data).toHaveLength(1);
  expect(missed.data[0]?.data.object).toMatchObject({ id: first });
  local.webhooks.resend(missed.data[0]?.id ?? "");
  await local.settled();
  expect(endpoint.received).toHaveLength(2);
  expect((await stripe.events.list({ delivery_success: false })).data).toEqual([]);
});

test("no more deliveries are under way than allowed", async () => {
  const { local, endpoint } = harness;
  local.webhooks.options.concurrency = 2;
  local.webhooks.hold();
  await customers(8);
  let now = 0;
  let most = 0;
  endpoint.answer = async () => {
    now += 1;
    most = Math.max(most, now);
    // Long enough for all that may come at once to come.
    await new Promise((resolve) => setTimeout(resolve, 5));
    now -= 1;
    return 200;
  };
  local.webhooks.release();
  await local.settled();
  expect(endpoint.received).toHaveLength(8);
  expect(most).toBe(2);
});

test("the event list filters by types, by time and by delivery, and runs forwards with ending_before", async () => {
  const { stripe, local } = harness;
  await customers(3);
  await stripe.products.create({ name: "P" });
  await local.settled();
  const typed = await stripe.events.list({ types: ["product.created", "customer.created"], limit: 2 });
  expect(typed.has_more).toBe(true);
  expect(typed.data[0]?.type).toBe("product.created");
  expect((await stripe.events.list({ type: "customer.*" })).data).toHaveLength(3);
  const all = await stripe.events.list();
  const oldest = all.data.at(-1);
  const forward = await stripe.events.list({ ending_before: oldest?.id, limit: 1 });
  expect(forward.data[0]?.id).toBe(all.data.at(-2)?.id);
  expect((await stripe.events.list({ created: { gt: Math.floor(Date.now() / 1000) + 10 } })).data).toEqual(
    [],
  );
  const many = Array.from({ length: 21 }, (_, n) => `type.${n}`);
  expect(await errorOf(stripe.events.list({ types: many }))).toMatchObject({ statusCode: 400 });
});

test("events older than 30 days are no longer listed", async () => {
  let now = Date.now();
  const other = await startHarness({ now: () => new Date(now) });
  await other.stripe.customers.create({});
  now += 29 * 86_400_000;
  expect((await other.stripe.events.list()).data).toHaveLength(1);
  now += 2 * 86_400_000;
  expect((await other.stripe.events.list()).data).toEqual([]);
  await other.close();
});

test("a secret that is not the endpoint's does not verify", async () => {
  const { local, endpoint } = harness;
  await customers(1);
  await local.settled();
  const received = endpoint.received[0];
  const payload = JSON.stringify(received?.event);
  expect(() =>
    Stripe.webhooks.constructEvent(payload, received?.signature ?? "", `${webhookSecret}x`),
  ).toThrow();
});
