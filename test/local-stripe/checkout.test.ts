import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { day, errorOf, type Harness, startHarness } from "./support/harness.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

async function session(params: Partial<Stripe.Checkout.SessionCreateParams> = {}) {
  const price = await harness.monthlyPrice();
  return stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://app.example/done",
    client_reference_id: "6f0f7c1e-0000-4000-8000-000000000001",
    ...params,
  });
}

/** The buyer fills in the page. */
async function complete(id: string, buyer: Record<string, string> = {}): Promise<Stripe.Checkout.Session> {
  await stripe.rawRequest("POST", `/v1/test_helpers/duebase/checkout/sessions/${id}/complete`, {
    email: "ada@example.com",
    ...buyer,
  });
  return stripe.checkout.sessions.retrieve(id);
}

function eventsSince(count: number): string[] {
  return harness.happened().slice(count);
}

test("a completed session leaves a customer, a card, an active subscription and a paid invoice", async () => {
  const open = await session({
    metadata: { plan: "pro" },
    subscription_data: { metadata: { owner_id: "u1" } },
  });
  expect(open).toMatchObject({
    status: "open",
    payment_status: "unpaid",
    amount_total: 2000,
    subscription: null,
  });
  expect(open.url).toContain(`/c/pay/${open.id}`);
  const before = harness.happened().length;
  const done = await complete(open.id);
  expect(done).toMatchObject({
    status: "complete",
    payment_status: "paid",
    client_reference_id: "6f0f7c1e-0000-4000-8000-000000000001",
    customer_details: { email: "ada@example.com" },
    metadata: { plan: "pro" },
    url: null,
  });
  const subscription = await stripe.subscriptions.retrieve(String(done.subscription));
  expect(subscription).toMatchObject({
    status: "active",
    customer: done.customer,
    metadata: { owner_id: "u1" },
  });
  expect(subscription.default_payment_method).toMatch(/^pm_/);
  expect(await stripe.invoices.retrieve(String(done.invoice))).toMatchObject({
    status: "paid",
    amount_paid: 2000,
  });
  const types = eventsSince(before);
  const place = (type: string): number => types.indexOf(type);
  expect(types).toEqual(
    expect.arrayContaining(["customer.created", "payment_method.attached", "charge.succeeded"]),
  );
  expect(place("customer.subscription.created")).toBeLessThan(place("customer.subscription.updated"));
  expect(place("customer.subscription.updated")).toBeLessThan(place("checkout.session.completed"));
});

test("a trial asks for no money yet", async () => {
  const open = await session({ subscription_data: { trial_period_days: 14 } });
  expect(open).toMatchObject({ amount_total: 0, payment_status: "no_payment_required" });
  const done = await complete(open.id);
  expect(done).toMatchObject({ status: "complete", payment_status: "no_payment_required" });
  expect(await stripe.subscriptions.retrieve(String(done.subscription))).toMatchObject({
    status: "trialing",
  });
});

test("a declined card keeps the session open, and another card completes the same subscription", async () => {
  const open = await session();
  const declined = stripe.rawRequest(
    "POST",
    `/v1/test_helpers/duebase/checkout/sessions/${open.id}/complete`,
    {
      payment_method: "pm_card_chargeCustomerFail",
    },
  );
  expect(await errorOf(declined)).toMatchObject({ statusCode: 402, code: "card_declined" });
  const waiting = await stripe.checkout.sessions.retrieve(open.id);
  expect(waiting.status).toBe("open");
  const done = await complete(open.id, { payment_method: "pm_card_visa" });
  expect(done).toMatchObject({ status: "complete", subscription: waiting.subscription });
  expect(await stripe.subscriptions.retrieve(String(done.subscription))).toMatchObject({ status: "active" });
});

test("3-D Secure is answered on the page: passed, failed, or left", async () => {
  const card = { payment_method: "pm_card_authenticationRequired" };
  const passed = await complete((await session()).id, card);
  expect(passed.status).toBe("complete");
  const failed = stripe.rawRequest(
    "POST",
    `/v1/test_helpers/duebase/checkout/sessions/${(await session()).id}/complete`,
    { ...card, authenticate: "fail" },
  );
  expect(await errorOf(failed)).toMatchObject({ code: "payment_intent_authentication_failure" });
  const left = await complete((await session()).id, { ...card, authenticate: "leave" });
  expect(left.status).toBe("open");
  expect(await stripe.subscriptions.retrieve(String(left.subscription))).toMatchObject({
    status: "incomplete",
  });
});

test("under a test clock the session's customer keeps the clock's time", async () => {
  const { customer, clock } = await harness.customerOnClock(null);
  const done = await complete((await session({ customer: customer.id })).id);
  expect(await stripe.subscriptions.retrieve(String(done.subscription))).toMatchObject({
    test_clock: clock.id,
  });
  const completed = harness.local.events
    .all()
    .find((event) => event.type === "checkout.session.completed" && event.data.object.id === done.id);
  expect(completed?.created).toBe(clock.frozen_time);
});

test("a payment of one amount, and a card saved without one", async () => {
  const product = await stripe.products.create({ name: "Once" });
  const price = await stripe.prices.create({ product: product.id, currency: "usd", unit_amount: 900 });
  const paying = await session({ mode: "payment", line_items: [{ price: price.id, quantity: 2 }] });
  const paid = await complete(paying.id);
  expect(paid).toMatchObject({ payment_status: "paid", amount_total: 1800, subscription: null });
  expect(await stripe.paymentIntents.retrieve(String(paid.payment_intent))).toMatchObject({ amount: 1800 });
  const lines = await stripe.checkout.sessions.listLineItems(paid.id);
  expect(lines.data[0]).toMatchObject({ quantity: 2, amount_total: 1800, description: "Once" });

  const customer = await stripe.customers.create({});
  const saving = await session({
    mode: "setup",
    line_items: undefined,
    customer: customer.id,
    currency: "usd",
  });
  const saved = await complete(saving.id);
  expect(saved).toMatchObject({ status: "complete", payment_status: "no_payment_required" });
  expect((await stripe.customers.listPaymentMethods(customer.id)).data).toHaveLength(1);
});

test("a session expires when it is told to, or after a day, and cannot be completed then", async () => {
  const { customer, clock } = await harness.customerOnClock(null);
  const told = await session();
  expect(await stripe.checkout.sessions.expire(told.id)).toMatchObject({ status: "expired", url: null });
  expect(await errorOf(stripe.checkout.sessions.expire(told.id))).toMatchObject({ statusCode: 400 });
  const forgotten = await session({ customer: customer.id });
  await harness.advance(clock, clock.frozen_time + 2 * day);
  expect(await stripe.checkout.sessions.retrieve(forgotten.id)).toMatchObject({ status: "expired" });
  await expect(complete(forgotten.id)).rejects.toMatchObject({ statusCode: 400 });
});

test("what makes no sense is refused", async () => {
  const price = await harness.monthlyPrice();
  const line_items = [{ price: price.id, quantity: 1 }];
  expect(await errorOf(session({ mode: "payment", line_items }))).toMatchObject({ param: "mode" });
  expect(await errorOf(session({ line_items: [] }))).toMatchObject({ code: "parameter_missing" });
  expect(await errorOf(session({ success_url: undefined }))).toMatchObject({ param: "success_url" });
});

test("a portal session has a link and a configuration", async () => {
  const customer = await stripe.customers.create({});
  const portal = await stripe.billingPortal.sessions.create({
    customer: customer.id,
    return_url: "https://app.example/account",
  });
  expect(portal).toMatchObject({ customer: customer.id, return_url: "https://app.example/account" });
  expect(portal.url).toContain("/p/session/");
  expect(await stripe.billingPortal.configurations.retrieve(String(portal.configuration))).toMatchObject({
    is_default: true,
  });
});
