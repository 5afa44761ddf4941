import Stripe from "stripe";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type DeliverParts, deliver } from "../../support/delivering.ts";

const secretKey = "sk_test_example_stripe_effects";
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
beforeEach(async () => {
  await database.sql`truncate billing.outbox`;
  local.ledger.effects.length = 0;
  local.ledger.requests.length = 0;
});
afterAll(async () => {
  await local.close();
  await database.drop();
});

async function enqueue(kind: string, key: string, payload: object, createdAt = new Date()) {
  await database.sql`
    select billing_private.enqueue(${kind}, ${key}, ${database.sql.json(payload as never)}, ${createdAt})
  `;
}
async function outbox() {
  return database.sql`
    select status, attempts, last_error ->> 'code' as problem from billing.outbox
    where kind <> 'alert' and dedupe_key not like 'unseen:%' order by id
  `;
}
async function subscribe() {
  const customer = await stripe.customers.create({
    email: "ada@example.com",
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const product = await stripe.products.create({ name: "Pro" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "eur",
    unit_amount: 1900,
    recurring: { interval: "month" },
  });
  return stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
}
const effects = (kind: string) => local.ledger.effects.filter((effect) => effect.kind === kind);
const later = (seconds: number) => new Date(Date.now() + seconds * 1000);

describe("a refresh", () => {
  it("reads the object and shows what Stripe has", async () => {
    const subscription = await subscribe();
    await enqueue("refresh", "refresh:1", { object: "subscription", id: subscription.id });
    expect((await deliver(parts)).counts.delivered).toBe(1);
    const [shown] =
      await database.sql`select status, customer from billing.subscriptions where id = ${subscription.id}`;
    expect(shown).toEqual({ status: "active", customer: subscription.customer });
  });

  it("reads what money went back by, what a customer pays with, and how a checkout ended", async () => {
    const card = await stripe.paymentMethods.attach("pm_card_createDispute", {
      customer: (await stripe.customers.create({})).id,
    });
    const paid = await stripe.charges.create({ amount: 900, currency: "eur", source: "tok_visa" });
    const refund = await stripe.refunds.create({ charge: paid.id, amount: 400 });
    await stripe.paymentIntents.create({
      amount: 900,
      currency: "eur",
      confirm: true,
      customer: String(card.customer),
      payment_method: card.id,
    });
    const [dispute] = (await stripe.disputes.list({ limit: 1 })).data;
    const session = await stripe.checkout.sessions.create({
      mode: "setup",
      currency: "eur",
      success_url: "https://app.example.com/welcome",
    });
    await stripe.checkout.sessions.expire(session.id);
    const tables = {
      refunds: refund.id,
      disputes: dispute?.id,
      payment_methods: card.id,
      checkout_sessions: session.id,
    };
    const kinds = ["refund", "dispute", "payment_method", "checkout.session"];
    for (const [index, id] of Object.values(tables).entries())
      await enqueue("refresh", `refresh:kinds:${index}`, { object: kinds[index], id });
    expect((await deliver(parts, later(60))).counts.delivered).toBe(kinds.length);
    for (const [table, id] of Object.entries(tables))
      expect(await database.sql`select id from billing.${database.sql(table)}`).toEqual([{ id }]);
  });

  it("of a customer deleted at Stripe leaves a tombstone", async () => {
    const customer = await stripe.customers.create({ email: "gone@example.com" });
    await enqueue("refresh", "refresh:2", { object: "customer", id: customer.id });
    await deliver(parts, later(60));
    await stripe.customers.del(customer.id);
    await enqueue("refresh", "refresh:3", { object: "customer", id: customer.id });
    await deliver(parts, later(60));
    const [shown] =
      await database.sql`select email, deleted_at is not null as gone from billing.customers where id = ${customer.id}`;
    expect(shown).toEqual({ email: "gone@example.com", gone: true });
  });

  it("of what Stripe never had is dead, and Stripe being down is not its fault", async () => {
    await enqueue("refresh", "refresh:4", { object: "subscription", id: "sub_never" });
    await deliver(parts);
    expect(await outbox()).toMatchObject([{ status: "dead", problem: "resource_missing" }]);
    await enqueue("refresh", "refresh:5", { object: "subscription", id: "sub_down" });
    await deliver({ database });
    expect((await outbox())[1]).toMatchObject({ status: "pending", attempts: 1, problem: "no_answer" });
  });
});

describe("a call at Stripe", () => {
  it("cancels a subscription once, marked with its reason, and shows Stripe's answer at once", async () => {
    const { id } = await subscribe();
    await enqueue("stripe", "cancel:1", { call: "cancel_subscription", id, mark: { duebase_case: "7" } });
    await deliver(parts, later(60));
    expect(effects("subscription.canceled")).toHaveLength(1);
    const read = await stripe.subscriptions.retrieve(id);
    expect(read).toMatchObject({ status: "canceled", metadata: { duebase_case: "7" } });
    expect(local.ledger.requests.find(({ method }) => method === "DELETE")?.idempotencyKey).toBeNull();
    expect(await outbox()).toMatchObject([{ status: "delivered" }]);
  });

  it("that somebody else has made already is delivered without being made", async () => {
    const { id } = await subscribe();
    await stripe.subscriptions.cancel(id);
    local.ledger.requests.length = 0;
    await enqueue("stripe", "cancel:2", { call: "cancel_subscription", id });
    await deliver(parts, later(60));
    const asked = local.ledger.requestsWhere({ path: `/v1/subscriptions/${id}` });
    expect(asked.map(({ method }) => method)).toEqual(["GET"]);
    expect(await outbox()).toMatchObject([{ status: "delivered" }]);
  });

  it("whose answer was lost is made once: the same key, and what Stripe did is answered again", async () => {
    const invoice = await openInvoice();
    await enqueue("stripe", "void:1", { call: "void_invoice", id: invoice });
    local.faults.add({ match: { path: /void$/ }, action: { kind: "reset-after-effect" } });
    await deliver(parts, later(60));
    expect(await outbox()).toMatchObject([{ status: "pending", problem: "no_answer" }]);
    await deliver(parts, later(300));
    expect(await outbox()).toMatchObject([{ status: "delivered", attempts: 2 }]);
    expect(effects("invoice.voided")).toHaveLength(1);
    const keys = local.ledger.requests
      .filter(({ method }) => method === "POST")
      .map(({ idempotencyKey }) => idempotencyKey);
    expect(keys.slice(-2)).toEqual(["void:1", "void:1"]);
  });

  it("older than its key is read first, and made under a new key only if it is still needed", async () => {
    for (const happened of [true, false]) {
      const invoice = await openInvoice();
      const key = `old:${happened}`;
      await enqueue("stripe", key, { call: "void_invoice", id: invoice });
      local.faults.add({
        match: { path: /void$/ },
        action: { kind: happened ? "reset-after-effect" : "reset" },
      });
      await deliver(parts, later(60));
      local.ledger.requests.length = 0;
      await deliver(parts, later(25 * 3600));
      const asked = local.ledger.requests.map(({ method, idempotencyKey }) => [method, idempotencyKey]);
      expect(asked).toEqual(
        happened
          ? [["GET", null]]
          : [
              ["GET", null],
              ["POST", `${key}:2`],
            ],
      );
      expect((await stripe.invoices.retrieve(invoice)).status).toBe("void");
    }
    expect(effects("invoice.voided")).toHaveLength(2);
  });

  it("that failed with a 500 Stripe keeps under the key is made under another", async () => {
    const invoice = await openInvoice();
    await enqueue("stripe", "stored:1", { call: "void_invoice", id: invoice });
    local.faults.add({ match: { path: /void$/ }, action: { kind: "error", status: 500 } });
    await deliver(parts, later(60));
    await deliver(parts, later(300));
    expect(await outbox()).toMatchObject([{ status: "delivered" }]);
    const posts = local.ledger.requests.filter(
      ({ method, path }) => method === "POST" && path.endsWith("void"),
    );
    expect(posts.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["stored:1", "stored:1:2"]);
    expect(effects("invoice.voided")).toHaveLength(1);
  });

  it("that is none of ours is dead at once", async () => {
    await enqueue("stripe", "unknown:1", { call: "delete_everything", id: "acct_1" });
    await deliver(parts, later(60));
    expect(await outbox()).toMatchObject([{ status: "dead", problem: "unknown_call" }]);
    expect(local.ledger.requests).toEqual([]);
  });
});

async function openInvoice(): Promise<string> {
  const customer = await stripe.customers.create({ email: "open@example.com" });
  const invoice = await stripe.invoices.create({
    customer: customer.id,
    collection_method: "send_invoice",
    days_until_due: 7,
    auto_advance: false,
  });
  await stripe.invoiceItems.create({
    customer: customer.id,
    invoice: invoice.id ?? "",
    amount: 500,
    currency: "eur",
  });
  const open = await stripe.invoices.finalizeInvoice(invoice.id ?? "");
  return open.id ?? "";
}
