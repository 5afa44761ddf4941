import { afterEach, beforeEach, expect, test } from "vitest";
import { errorOf, type Harness, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeEach(async () => {
  harness = await startHarness({ isConnected: true });
});
afterEach(() => harness.close());

test("what a connected account has is found with its Stripe-Account header and not without", async () => {
  const { stripe, local, endpoint } = harness;
  const as = { stripeAccount: local.account };
  const theirs = await stripe.customers.create({ name: "Theirs" }, as);
  const platforms = await stripe.customers.create({ name: "The platform's" });
  expect(await stripe.customers.retrieve(theirs.id, {}, as)).toMatchObject({ name: "Theirs" });
  for (const [id, options] of [
    [theirs.id, {}],
    [platforms.id, as],
  ] as const) {
    const missing = await errorOf(stripe.customers.retrieve(id, {}, options));
    expect(missing).toMatchObject({ statusCode: 404, code: "resource_missing", param: "id" });
  }
  expect((await stripe.customers.list({}, as)).data).toHaveLength(1);
  expect(local.ledger.requestsWhere({ path: "/v1/customers" }).map((it) => it.account)).toEqual([
    local.account,
    null,
    local.account,
  ]);
  await local.settled();
  expect(endpoint.received.map(({ event }) => event.account)).toEqual([local.account]);
});

test("GET /v1/account tells whose key or whose account it is, and others are none of the key's", async () => {
  const { stripe, local } = harness;
  const own = await stripe.accounts.retrieveCurrent();
  expect(own.id).not.toBe(local.account);
  const connected = await stripe.accounts.retrieveCurrent({}, { stripeAccount: local.account });
  expect(connected.id).toBe(local.account);
  const foreign = await errorOf(stripe.accounts.retrieveCurrent({}, { stripeAccount: "acct_Foreign" }));
  expect(foreign).toMatchObject({ statusCode: 403, code: "account_invalid" });
});

test("the account of another key is another account, and knows nothing of this one's objects", async () => {
  const other = await startHarness();
  const product = await other.stripe.products.create({ name: "There" });
  expect((await other.stripe.accounts.retrieveCurrent()).id).toBe(other.local.account);
  expect(other.local.account).not.toBe(harness.local.account);
  const missing = await errorOf(harness.stripe.products.retrieve(product.id));
  expect(missing).toMatchObject({ statusCode: 404, code: "resource_missing" });
  await other.close();
});
