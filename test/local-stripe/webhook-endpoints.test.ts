import { afterEach, beforeEach, expect, test } from "vitest";
import { errorOf, type Harness, startEndpoint, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeEach(async () => {
  harness = await startHarness({ webhooks: [] });
});
afterEach(() => harness.close());

test("an endpoint's secret is shown when it is made and never again, and signs what the endpoint gets", async () => {
  const { stripe, endpoint, local } = harness;
  const made = await stripe.webhookEndpoints.create({
    url: endpoint.url,
    enabled_events: ["customer.created"],
    api_version: "2026-10-28.endive",
    metadata: { made_by: "test" },
  });
  endpoint.secret = made.secret ?? "";
  expect(endpoint.secret).toMatch(/^whsec_/);
  expect(await stripe.webhookEndpoints.retrieve(made.id)).not.toHaveProperty("secret");
  const listed = (await stripe.webhookEndpoints.list()).data;
  expect(listed).toMatchObject([{ id: made.id, status: "enabled", api_version: "2026-10-28.endive" }]);
  expect(listed[0]).not.toHaveProperty("secret");

  await stripe.customers.create({});
  await stripe.products.create({ name: "Pro" });
  await local.settled();
  expect(endpoint.types()).toEqual(["customer.created"]);

  await stripe.webhookEndpoints.update(made.id, { disabled: true });
  await stripe.customers.create({});
  await local.settled();
  expect(endpoint.types()).toHaveLength(1);
});

test("an account has sixteen endpoints at most", async () => {
  const { stripe } = harness;
  const make = (number: number) =>
    stripe.webhookEndpoints.create({ url: `https://example.com/${number}`, enabled_events: ["*"] });
  for (let number = 1; number <= 16; number += 1) await make(number);
  const error = await errorOf(make(17));
  expect(error).toMatchObject({ statusCode: 400 });
  expect(error.message).toContain("maximum of 16");
});

test("all events and some events exclude each other", async () => {
  const error = await errorOf(
    harness.stripe.webhookEndpoints.create({
      url: "https://example.com/",
      enabled_events: ["*", "customer.created"],
    }),
  );
  expect(error).toMatchObject({ statusCode: 400, param: "enabled_events" });
});

test("event destinations tell which payload each gets, and the first API does not know thin ones", async () => {
  const { stripe, endpoint, local } = harness;
  const snapshot = await stripe.webhookEndpoints.create({
    url: "http://127.0.0.1:1/snapshot",
    enabled_events: ["*"],
    connect: true,
  });
  const thin = await stripe.v2.core.eventDestinations.create({
    name: "by hand",
    type: "webhook_endpoint",
    event_payload: "thin",
    enabled_events: ["*"],
    webhook_endpoint: { url: endpoint.url },
    include: ["webhook_endpoint.url"],
  });
  expect(thin).toMatchObject({ event_payload: "thin", webhook_endpoint: { url: endpoint.url } });
  const pages = [];
  for await (const it of stripe.v2.core.eventDestinations.list({
    limit: 1,
    include: ["webhook_endpoint.url"],
  })) {
    pages.push([it.id, it.event_payload, it.webhook_endpoint?.url, it.events_from?.[0]]);
  }
  expect(pages).toEqual([
    [thin.id, "thin", endpoint.url, "@self"],
    [snapshot.id, "snapshot", "http://127.0.0.1:1/snapshot", "@accounts"],
  ]);
  expect((await stripe.webhookEndpoints.list()).data.map(({ id }) => id)).toEqual([snapshot.id]);

  const plain = await stripe.v2.core.eventDestinations.retrieve(thin.id);
  expect(plain.webhook_endpoint).toBeNull();

  local.webhooks.options.retryMilliseconds = [];
  const seen = await startEndpoint();
  await stripe.webhookEndpoints.update(thin.id, { url: seen.url });
  await stripe.customers.create({});
  await local.settled();
  await seen.close();
  // Signed with a secret that nobody asked for: all that can be said is that it was sent.
  expect(local.webhooks.attempts.map(({ endpointId }) => endpointId)).toEqual([thin.id]);
});

test("a destination's own account's events go to no endpoint for connected accounts", async () => {
  const { stripe, endpoint, local } = harness;
  await stripe.webhookEndpoints.create({ url: endpoint.url, enabled_events: ["*"], connect: true });
  await stripe.customers.create({});
  await local.settled();
  expect(local.webhooks.attempts).toEqual([]);
});
