import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { JsonObject } from "../../scripts/local/stripe/core/wire.ts";
import { inShapeOf, linksOf } from "../support/old-shapes.ts";
import type { StripeObject } from "../support/stripe/events.ts";
import { clientOf, day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";

let harness: Harness;
let stripe: Stripe;
let now = new Date(start * 1000);
let customer: string;
let subscription: string;

/** Let real time pass: nothing here lives under a test clock. */
async function pass(days: number): Promise<void> {
  for (let passed = 0; passed < days; passed += 1) {
    now = new Date(now.getTime() + day * 1000);
    harness.local.tick();
  }
  await harness.local.settled();
}

beforeAll(async () => {
  harness = await startHarness({ webhooks: [], now: () => now });
  stripe = harness.stripe;
  const price = await harness.monthlyPrice();
  const made = await stripe.customers.create({
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  customer = made.id;
  subscription = (await stripe.subscriptions.create({ customer, items: [{ price: price.id }] })).id;
  await pass(95);
  const [charge] = (await stripe.charges.list({ customer })).data;
  await stripe.refunds.create({ charge: charge?.id ?? "", amount: 100 });
  await stripe.checkout.sessions.create({
    mode: "setup",
    currency: "usd",
    customer,
    success_url: "https://app.example/",
  });
});
afterAll(() => harness.close());

const idsOf = (page: { data: { id: string }[] }): string[] => page.data.map(({ id }) => id);

describe("every list", () => {
  const lists: [
    name: string,
    list: (params: object) => Promise<{ data: { id: string; created: number }[] }>,
  ][] = [
    ["products", (params) => stripe.products.list(params)],
    ["prices", (params) => stripe.prices.list(params)],
    ["customers", (params) => stripe.customers.list(params)],
    ["subscriptions", (params) => stripe.subscriptions.list({ status: "all", ...params })],
    ["invoices", (params) => stripe.invoices.list(params)],
    ["invoice payments", (params) => stripe.invoicePayments.list(params)],
    ["payment intents", (params) => stripe.paymentIntents.list(params)],
    ["charges", (params) => stripe.charges.list(params)],
    ["refunds", (params) => stripe.refunds.list(params)],
    ["checkout sessions", (params) => stripe.checkout.sessions.list(params)],
    ["events", (params) => stripe.events.list(params)],
  ];

  test.each(lists)(
    "of %s holds what was made in the range that created gives, and no more",
    async (_, list) => {
      const [newest] = (await list({ limit: 1 })).data;
      const made = newest?.created ?? 0;
      expect(idsOf(await list({ created: { gte: made } }))).toContain(newest?.id);
      expect(idsOf(await list({ created: { gt: made } }))).toEqual([]);
      expect(idsOf(await list({ created: { lt: made }, limit: 100 }))).not.toContain(newest?.id);
    },
  );

  test("goes on after an object that no longer passes the filter, as it is open no more", async () => {
    const items = await Promise.all([1, 2, 3].map(() => stripe.customers.create({ name: "Owes" })));
    for (const { id } of items) {
      await stripe.invoiceItems.create({ customer: id, amount: 900, currency: "usd" });
      const invoice = await stripe.invoices.create({
        customer: id,
        collection_method: "send_invoice",
        days_until_due: 5,
        pending_invoice_items_behavior: "include",
      });
      await stripe.invoices.finalizeInvoice(invoice.id);
    }
    const open = idsOf(await stripe.invoices.list({ status: "open" }));
    expect(open).toHaveLength(3);
    await stripe.invoices.voidInvoice(open[0] ?? "");
    const rest = await stripe.invoices.list({ status: "open", starting_after: open[0] });
    expect(idsOf(rest)).toEqual(open.slice(1));
  });

  test("refuses a cursor that was deleted", async () => {
    const gone = await stripe.customers.create({});
    await stripe.customers.del(gone.id);
    const error = await errorOf(stripe.customers.list({ starting_after: gone.id }));
    expect(error).toMatchObject({ statusCode: 400, code: "resource_missing", param: "starting_after" });
  });

  test("expands what it is asked to in each of its objects", async () => {
    const expand = ["data.invoice_settings.default_payment_method"];
    const listed = await stripe.customers.list({ expand, limit: 100 });
    const found = listed.data.find(({ id }) => id === customer);
    expect(found?.invoice_settings.default_payment_method).toMatchObject({
      object: "payment_method",
      customer,
    });
  });
});

test("customers and subscriptions under a test clock are listed only to who names the clock", async () => {
  const { clock, customer: clocked } = await harness.customerOnClock();
  const price = await harness.monthlyPrice();
  const made = await stripe.subscriptions.create({ customer: clocked.id, items: [{ price: price.id }] });
  expect(idsOf(await stripe.customers.list({ limit: 100 }))).not.toContain(clocked.id);
  expect(idsOf(await stripe.customers.list({ test_clock: clock.id }))).toEqual([clocked.id]);
  expect(idsOf(await stripe.subscriptions.list({ status: "all", limit: 100 }))).toEqual([subscription]);
  expect(idsOf(await stripe.subscriptions.list({ test_clock: clock.id }))).toEqual([made.id]);
  expect(idsOf(await stripe.subscriptions.list({ customer: clocked.id }))).toEqual([made.id]);
});

test("subscriptions are found by status: all, ended, one of their own, and all but the canceled without one", async () => {
  const price = await harness.monthlyPrice();
  const { id } = await stripe.subscriptions.create({ customer, items: [{ price: price.id }] });
  await stripe.subscriptions.cancel(id);
  expect(idsOf(await stripe.subscriptions.list({ status: "all" }))).toEqual([id, subscription]);
  expect(idsOf(await stripe.subscriptions.list({ status: "ended" }))).toEqual([id]);
  expect(idsOf(await stripe.subscriptions.list({ status: "active" }))).toEqual([subscription]);
  expect(idsOf(await stripe.subscriptions.list())).toEqual([subscription]);
});

test("prices and products are listed active or not, unless one of the two is asked for", async () => {
  const price = await harness.monthlyPrice();
  await stripe.prices.update(price.id, { active: false });
  expect(idsOf(await stripe.prices.list({ limit: 100 }))).toContain(price.id);
  expect(idsOf(await stripe.prices.list({ active: true, limit: 100 }))).not.toContain(price.id);
});

describe("events", () => {
  test("go back thirty days and no further", async () => {
    const limit = now.getTime() / 1000 - 30 * day;
    // What happened under a test clock carries the clock's time.
    const isOurs = ({ data }: { data: object }): boolean =>
      (data as { object: { customer?: string } }).object.customer === customer;
    const renewals = harness.local.events.all().filter((it) => it.type === "invoice.paid" && isOurs(it));
    const listed = (await stripe.events.list({ type: "invoice.paid", limit: 100 })).data.filter(isOurs);
    expect(renewals.filter(({ created }) => created <= limit).length).toBeGreaterThan(0);
    expect(idsOf({ data: listed }).reverse()).toEqual(
      renewals.filter(({ created }) => created > limit).map(({ id }) => id),
    );
  });

  test("run from the oldest of a range to the newest with ending_before", async () => {
    const all = idsOf(await stripe.events.list({ limit: 100 })).reverse();
    const next = await stripe.events.list({ ending_before: all[0], limit: 2 });
    expect(idsOf(next).reverse()).toEqual(all.slice(1, 3));
    expect(next.has_more).toBe(true);
  });

  test("that an endpoint has not taken are those without delivery_success, and others were never meant for one", async () => {
    const undelivered = idsOf(await stripe.events.list({ delivery_success: false }));
    expect(undelivered).toEqual([]);
    const url = "http://127.0.0.1:9/none";
    const endpoint = await stripe.webhookEndpoints.create({ url, enabled_events: ["customer.created"] });
    harness.local.webhooks.drop();
    const lost = await stripe.customers.create({});
    harness.local.webhooks.stopDropping();
    await stripe.webhookEndpoints.del(endpoint.id);
    const missed = (await stripe.events.list({ delivery_success: false })).data;
    expect(missed.map(({ type, data }) => [type, (data.object as { id: string }).id])).toEqual([
      ["customer.created", lost.id],
    ]);
  });

  test("keep the version they were made with, whatever version asks", async () => {
    const version = "2024-09-30.acacia";
    harness.local.settings.eventShape = (event) => {
      const object = inShapeOf(version, event.data.object as StripeObject, linksOf([]));
      return { ...event, api_version: version, data: { ...event.data, object: object as JsonObject } };
    };
    const old = await stripe.subscriptions.update(subscription, { metadata: { made: "then" } });
    harness.local.settings.eventShape = null;
    const [event] = (await stripe.events.list({ type: "customer.subscription.updated", limit: 1 })).data;
    expect(event?.api_version).toBe(version);
    expect(event?.data.object).toHaveProperty("current_period_end");
    expect(old).not.toHaveProperty("current_period_end");
  });
});

test("a restricted key is told which permission it lacks, and nothing is read", async () => {
  harness.local.faults.add({
    match: { method: "GET", path: "/v1/invoices" },
    action: { kind: "forbidden", permission: "rak_invoice_read" },
  });
  const error = await errorOf(stripe.invoices.list());
  expect(error).toMatchObject({ type: "StripePermissionError", statusCode: 403 });
  expect(error.message).toContain("Having the 'rak_invoice_read' permission would allow this request");
});

test("an account with a limit answers that many calls a second, and the others with 429", async () => {
  harness.local.settings.callsPerSecond = 5;
  const patient = clientOf(harness.local);
  const calls = Array.from({ length: 30 }, () =>
    patient.customers.list({ limit: 1 }).then(
      () => 200,
      (it) => it.statusCode,
    ),
  );
  const answers = await Promise.all(calls);
  expect(answers.filter((status) => status === 429).length).toBeGreaterThan(0);
  expect([...new Set(answers)].filter((status) => status !== 200 && status !== 429)).toEqual([]);
  // What was asked for before counts in the same second; the next one has room again.
  await vi.waitFor(() => patient.customers.list({ limit: 1 }), { timeout: 10_000, interval: 300 });
  harness.local.settings.callsPerSecond = null;
});
