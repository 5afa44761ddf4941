import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOf, errorOf, type Harness, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeEach(async () => {
  harness = await startHarness();
});
afterEach(() => harness.close());

test("a fault hits the next matching requests and no others", async () => {
  const { stripe, local } = harness;
  local.faults.add({ match: { path: /^\/v1\/customers/ }, times: 2, action: { kind: "error", status: 429 } });
  await stripe.products.create({ name: "Untouched" });
  expect(await errorOf(stripe.customers.create({}))).toMatchObject({ statusCode: 429, code: "rate_limit" });
  expect(await errorOf(stripe.customers.create({}))).toMatchObject({ statusCode: 429 });
  await stripe.customers.create({});
  expect(local.faults.pending).toBe(0);
});

test("a 500 under an idempotency key is answered again under that key, as Stripe does", async () => {
  const { stripe, local } = harness;
  local.faults.add({ action: { kind: "error", status: 500 } });
  const options = { idempotencyKey: "poisoned" };
  expect(await errorOf(stripe.customers.create({}, options))).toMatchObject({ statusCode: 500 });
  expect(await errorOf(stripe.customers.create({}, options))).toMatchObject({ statusCode: 500 });
  await stripe.customers.create({}, { idempotencyKey: "fresh" });
});

test("a cut connection does nothing; the SDK's retry does the work once", async () => {
  const { local, happened } = harness;
  const stripe = clientOf(local, { maxNetworkRetries: 1 });
  local.faults.add({ action: { kind: "reset" } });
  await stripe.customers.create({ name: "Retried" });
  expect(happened().filter((type) => type === "customer.created")).toHaveLength(1);
});

test("an effect whose answer was lost is found again under its key, not repeated", async () => {
  const { local, happened } = harness;
  const stripe = clientOf(local, { maxNetworkRetries: 1 });
  local.faults.add({ match: { path: "/v1/customers" }, action: { kind: "reset-after-effect" } });
  const customer = await stripe.customers.create({ name: "Done already" });
  expect(customer.name).toBe("Done already");
  expect(happened().filter((type) => type === "customer.created")).toHaveLength(1);
  expect(local.ledger.requestsWhere({ path: "/v1/customers", replayed: true })).toHaveLength(1);
});

test("a DELETE that was done but answered with an error finds nothing to do the second time", async () => {
  const { stripe, local, monthlyPrice, customerOnClock } = harness;
  const price = await monthlyPrice();
  const { customer } = await customerOnClock();
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  local.faults.add({ match: { method: "DELETE" }, action: { kind: "error-after-effect", status: 500 } });
  expect(await errorOf(stripe.subscriptions.cancel(subscription.id))).toMatchObject({ statusCode: 500 });
  expect(await errorOf(stripe.subscriptions.cancel(subscription.id))).toMatchObject({
    statusCode: 404,
    code: "resource_missing",
  });
  expect(local.ledger.count({ kind: "subscription.canceled" })).toBe(1);
});

test("a slow answer is a timeout to a caller who does not wait", async () => {
  const { local } = harness;
  const stripe = clientOf(local, { timeout: 50 });
  local.faults.add({ action: { kind: "delay", milliseconds: 200 } });
  const error = await errorOf(stripe.customers.create({}));
  expect(error.type).toBe("StripeConnectionError");
});

test("an answer that was long on its way says what was true when it was asked", async () => {
  const { stripe, local } = harness;
  const { id } = await stripe.customers.create({ name: "Before" });
  local.faults.add({ match: { method: "GET" }, action: { kind: "slow-answer", milliseconds: 150 } });
  const asked = Date.now();
  const slow = stripe.customers.retrieve(id);
  await expect.poll(() => local.faults.pending).toBe(0);
  await stripe.customers.update(id, { name: "After" });
  expect(await slow).toMatchObject({ name: "Before" });
  expect(Date.now() - asked).toBeGreaterThanOrEqual(150);
  expect(await stripe.customers.retrieve(id)).toMatchObject({ name: "After" });
});

test("a half-open connection is never answered, does nothing, and holds up neither others nor the end", async () => {
  const { local, happened } = harness;
  const impatient = clientOf(local, { timeout: 50 });
  local.faults.add({ action: { kind: "hang" }, times: 2 });
  const error = await errorOf(impatient.customers.create({ name: "Lost" }));
  expect(error.type).toBe("StripeConnectionError");
  const patient = harness.stripe.customers.create({ name: "Waiting" }).catch((it: Error) => it);
  await expect.poll(() => local.faults.pending).toBe(0);
  await harness.stripe.products.create({ name: "Untouched" });
  expect(happened()).not.toContain("customer.created");
  await local.close();
  expect(await patient).toMatchObject({ type: "StripeConnectionError" });
});

test("skip lets matching requests through first", async () => {
  const { stripe, local } = harness;
  local.faults.add({ skip: 1, action: { kind: "error", status: 503 } });
  await stripe.customers.create({});
  expect(await errorOf(stripe.customers.create({}))).toMatchObject({ statusCode: 503 });
});
