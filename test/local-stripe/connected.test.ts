import Stripe from "stripe";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type LocalStripe, startLocalStripe } from "../../scripts/local/stripe/server.ts";

let local: LocalStripe;
const clientFor = (stripeAccount?: string) => {
  const { hostname, port } = new URL(local.url);
  return new Stripe("sk_test_example_platform", {
    host: hostname,
    port,
    protocol: "http",
    maxNetworkRetries: 0,
    ...(stripeAccount ? { stripeAccount } : {}),
  });
};
beforeEach(async () => {
  local = await startLocalStripe({ port: 0, isConnected: true });
});
afterEach(() => local.close());

test("what a connected account has is found by who names it, and by nobody else", async () => {
  const connected = clientFor(local.account);
  const customer = await connected.customers.create({ email: "ada@example.com" });
  expect((await connected.customers.retrieve(customer.id)).id).toBe(customer.id);
  expect(local.events.all().map(({ account }) => account)).toEqual([local.account]);

  const platform = clientFor();
  await expect(platform.customers.retrieve(customer.id)).rejects.toMatchObject({
    statusCode: 404,
    code: "resource_missing",
  });
  expect((await platform.customers.list()).data).toEqual([]);
  await expect(clientFor("acct_somebody_else").customers.retrieve(customer.id)).rejects.toMatchObject({
    statusCode: 403,
    code: "account_invalid",
  });
});

test("each account tells its own id", async () => {
  const own = await clientFor().accounts.retrieveCurrent();
  const connected = await clientFor(local.account).accounts.retrieveCurrent();
  expect(connected.id).toBe(local.account);
  expect(own.id).not.toBe(local.account);
});

test("a slow answer shows what was there when it was asked for", async () => {
  const stripe = clientFor(local.account);
  const { id } = await stripe.customers.create({ name: "before" });
  local.faults.add({ match: { method: "GET" }, action: { kind: "slow-answer", milliseconds: 200 } });
  const reading = stripe.customers.retrieve(id);
  await expect.poll(() => local.ledger.requestsWhere({ method: "GET" }).length).toBe(1);
  await stripe.customers.update(id, { name: "after" });
  expect(await reading).toMatchObject({ name: "before" });
});

test("a call that is never answered has done nothing", async () => {
  local.faults.add({ match: { method: "POST" }, action: { kind: "hang" } });
  const asking = fetch(`${local.url}/v1/customers`, {
    method: "POST",
    headers: { authorization: "Bearer sk_test_example_platform", "stripe-account": local.account },
    signal: AbortSignal.timeout(200),
  });
  await expect(asking).rejects.toThrow();
  expect(local.events.all()).toEqual([]);
});
