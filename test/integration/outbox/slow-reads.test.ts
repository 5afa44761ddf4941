import Stripe from "stripe";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type DeliverParts, deliver } from "../../support/delivering.ts";

const secretKey = "sk_test_example_slow_reads";
let database: TestDatabase;
let local: LocalStripe;
let stripe: Stripe;
let parts: DeliverParts;
let received = 0;

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

async function arrive() {
  const events = local.events.all();
  for (const event of events.slice(received)) await database.receive(event);
  received = events.length;
}
async function openInvoice(): Promise<string> {
  const customer = await stripe.customers.create({
    email: "ada@example.com",
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const invoice = await stripe.invoices.create({ customer: customer.id, auto_advance: false });
  const id = invoice.id ?? "";
  await stripe.invoiceItems.create({ customer: customer.id, invoice: id, amount: 500, currency: "eur" });
  await stripe.invoices.finalizeInvoice(id);
  return id;
}

it("a read that is answered late is as old as its question: what was paid meanwhile stays paid", async () => {
  const id = await openInvoice();
  await arrive();
  await database.sql`
    select billing_private.enqueue('refresh', 'slow:read', ${database.sql.json({ object: "invoice", id })}, now())
  `;
  local.faults.add({
    match: { method: "GET", path: `/v1/invoices/${id}` },
    action: { kind: "slow-answer", milliseconds: 3_200 },
  });
  const delivering = deliver(parts);
  await expect
    .poll(() => local.ledger.requestsWhere({ method: "GET", path: `/v1/invoices/${id}` }).length, {
      timeout: 10_000,
    })
    .toBe(1);
  await stripe.invoices.pay(id);
  await arrive();
  expect((await delivering).counts.delivered).toBeGreaterThan(0);
  expect(await database.sql`select status from billing.invoices where id = ${id}`).toEqual([
    { status: "paid" },
  ]);
}, 30_000);

it("a call that is answered late is so too: what happened meanwhile stays", async () => {
  const id = await openInvoice();
  await arrive();
  await database.sql`
    select billing_private.enqueue('stripe', 'slow:call', ${database.sql.json({ call: "mark_uncollectible", id })}, now())
  `;
  local.faults.add({
    match: { method: "POST", path: /mark_uncollectible$/ },
    action: { kind: "slow-answer", milliseconds: 3_200 },
  });
  const delivering = deliver(parts);
  await expect
    .poll(
      () => local.ledger.requestsWhere({ method: "POST", path: `/v1/invoices/${id}/mark_uncollectible` }),
      { timeout: 10_000 },
    )
    .toHaveLength(1);
  await stripe.invoices.pay(id);
  await arrive();
  await delivering;
  expect(await database.sql`select status from billing.invoices where id = ${id}`).toEqual([
    { status: "paid" },
  ]);
}, 30_000);
