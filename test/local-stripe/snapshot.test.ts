import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLocalStripe } from "../../scripts/local/stripe/server.ts";
import { clientOf, day, start, startEndpoint, webhookSecret } from "./support/harness.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "local-stripe-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("a restart keeps objects, clocks, keys and what was not delivered, and renewals go on", async () => {
  const stateFile = join(folder, "state", "stripe.json");
  const endpoint = await startEndpoint();
  const webhooks = [{ url: endpoint.url, secret: webhookSecret }];
  const first = await startLocalStripe({ port: 0, stateFile, webhooks });
  let stripe = clientOf(first);
  const product = await stripe.products.create({ name: "Pro" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2000,
    recurring: { interval: "month" },
  });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
  const customer = await stripe.customers.create(
    {
      test_clock: clock.id,
      payment_method: "pm_card_visa",
      invoice_settings: { default_payment_method: "pm_card_visa" },
    },
    { idempotencyKey: "kept" },
  );
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  await first.settled();
  first.webhooks.hold();
  await stripe.products.create({ name: "Undelivered" });
  const before = endpoint.received.length;
  await first.close();
  expect(await readdir(join(folder, "state"))).toEqual(["stripe.json"]);

  const second = await startLocalStripe({ port: 0, stateFile, webhooks });
  stripe = clientOf(second);
  await second.settled();
  expect(endpoint.types().slice(before)).toEqual(["product.created"]);
  expect((await stripe.webhookEndpoints.list()).data).toHaveLength(1);
  const replay = await stripe.customers.create(
    {
      test_clock: clock.id,
      payment_method: "pm_card_visa",
      invoice_settings: { default_payment_method: "pm_card_visa" },
    },
    { idempotencyKey: "kept" },
  );
  expect(replay.id).toBe(customer.id);
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: start + 32 * day });
  await second.settled();
  const invoices = await stripe.invoices.list({ subscription: subscription.id });
  expect(invoices.data.map((invoice) => invoice.status)).toEqual(["paid", "paid"]);
  await second.close();
  await endpoint.close();
});

test("a restart on other ports moves the endpoint it was given, and the links in what it kept", async () => {
  const stateFile = join(folder, "moved.json");
  const [before, after] = [await startEndpoint(), await startEndpoint()];
  const first = await startLocalStripe({
    port: 0,
    stateFile,
    webhooks: [{ url: before.url, secret: webhookSecret }],
  });
  let stripe = clientOf(first);
  const customer = await stripe.customers.create({});
  await stripe.invoiceItems.create({ customer: customer.id, amount: 100, currency: "usd" });
  const invoice = await stripe.invoices.create({
    customer: customer.id,
    pending_invoice_items_behavior: "include",
  });
  await stripe.invoices.finalizeInvoice(invoice.id);
  await first.settled();
  await first.close();
  const sent = before.received.length;

  const second = await startLocalStripe({
    port: 0,
    stateFile,
    webhooks: [{ url: after.url, secret: webhookSecret }],
  });
  stripe = clientOf(second);
  const endpoints = await stripe.webhookEndpoints.list();
  expect(endpoints.data.map((it) => it.url)).toEqual([after.url]);
  const kept = await stripe.invoices.retrieve(invoice.id);
  expect(kept.hosted_invoice_url?.startsWith(second.url)).toBe(true);
  await stripe.products.create({ name: "After" });
  await second.settled();
  expect(after.types()).toEqual(["product.created"]);
  expect(before.received.length).toBe(sent);
  await second.close();
  await Promise.all([before.close(), after.close()]);
});

test("the file is written soon after a change, without waiting for a stop", async () => {
  const stateFile = join(folder, "soon.json");
  const local = await startLocalStripe({ port: 0, stateFile });
  const { id } = await clientOf(local).customers.create({ name: "Kept" });
  await expect.poll(() => readFile(stateFile, "utf8").catch(() => ""), { timeout: 10_000 }).toContain(id);
  await local.close();
});

test("a file of another version is refused in words that say what to do", async () => {
  const stateFile = join(folder, "other.json");
  await writeFile(stateFile, JSON.stringify({ version: 99, state: {} }));
  await expect(startLocalStripe({ port: 0, stateFile })).rejects.toThrow(/delete it to start afresh/);
});

test("a port that is taken is an error, not a hang", async () => {
  const local = await startLocalStripe({ port: 0 });
  await expect(startLocalStripe({ port: local.port })).rejects.toThrow(/EADDRINUSE/);
  await local.close();
});
