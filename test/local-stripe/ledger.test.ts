import { afterAll, beforeAll, expect, test } from "vitest";
import {
  advanceClock,
  authenticatePayment,
  completeCheckout,
  decideDispute,
  replaceCard,
  setCardOutcome,
} from "../../scripts/local/stripe/buyer.ts";
import { day, errorOf, type Harness, start, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

test("effects say what was done to whom, by which request, or by Stripe itself", async () => {
  const { stripe, local } = harness;
  const price = await harness.monthlyPrice();
  const { clock, customer } = await harness.customerOnClock();
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  await harness.advance(clock, start + 32 * day);
  const invoice = await stripe.invoices.create({ customer: customer.id });
  await stripe.invoices.finalizeInvoice(invoice.id);
  await stripe.subscriptions.cancel(subscription.id);
  const effects = local.ledger.effectsWhere({ customer: customer.id });
  expect(effects.map((effect) => effect.kind)).toEqual([
    "charge.succeeded",
    "invoice.paid",
    "subscription.created",
    "charge.succeeded",
    "invoice.paid",
    "invoice.paid",
    "subscription.canceled",
  ]);
  expect(effects.map((effect) => effect.seq)).toEqual(
    effects.map((effect) => effect.seq).sort((a, b) => a - b),
  );
  const [byRequest, , , byStripe] = effects;
  expect(byRequest).toMatchObject({ amount: 2000, currency: "usd", at: start });
  const request = local.ledger.requests.find((it) => it.id === byRequest?.request);
  expect(request).toMatchObject({ method: "POST", path: "/v1/subscriptions", status: 200 });
  expect(byStripe).toMatchObject({ request: null, at: Date.UTC(2026, 1, 15, 10) / 1000 });
  expect(local.ledger.count({ kind: "subscription.canceled", object: subscription.id })).toBe(1);
});

test("every request is kept with its key, its answer, and the parameters that were ignored", async () => {
  const { stripe, local } = harness;
  await stripe.rawRequest("POST", "/v1/customers", { name: "N", nonsense: "1", address: { planet: "x" } });
  const [request] = local.ledger.requestsWhere({ method: "POST", path: "/v1/customers" }).slice(-1);
  expect(request).toMatchObject({ status: 200, ignored: ["nonsense", "address[planet]"] });
  await errorOf(stripe.customers.retrieve("cus_missing"));
  expect(local.ledger.requests.at(-1)).toMatchObject({
    method: "GET",
    path: "/v1/customers/cus_missing",
    status: 404,
    errorCode: "resource_missing",
  });
  local.ledger.clear();
  expect(local.ledger.effects).toEqual([]);
});

test("the helpers for demos and tests do what their names say", async () => {
  const { stripe } = harness;
  const price = await harness.monthlyPrice();
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://app.example/done",
  });
  const done = await completeCheckout(stripe, session.id, {
    paymentMethod: "4000002760003184",
    email: "ada@example.com",
    name: "Ada",
  });
  expect(done).toMatchObject({
    status: "complete",
    customer_details: { email: "ada@example.com", name: "Ada" },
  });
  const subscription = await stripe.subscriptions.retrieve(String(done.subscription));
  const card = String(subscription.default_payment_method);
  await replaceCard(stripe, card, { last4: "1881" });
  expect((await stripe.paymentMethods.retrieve(card)).card?.last4).toBe("1881");
  await setCardOutcome(stripe, card, "do_not_honor");
  const payment = {
    amount: 500,
    currency: "usd",
    customer: String(done.customer),
    payment_method: card,
    confirm: true,
  };
  expect(await errorOf(stripe.paymentIntents.create(payment))).toMatchObject({
    decline_code: "do_not_honor",
  });
  await setCardOutcome(stripe, card, "authenticate");
  const waiting = await stripe.paymentIntents.create(payment);
  expect(await authenticatePayment(stripe, waiting.id)).toMatchObject({ status: "succeeded" });
  const disputed = await stripe.paymentIntents.create({
    ...payment,
    customer: undefined,
    payment_method: "pm_card_createDispute",
  });
  const dispute = (await stripe.disputes.list({ payment_intent: disputed.id })).data[0];
  await decideDispute(stripe, dispute?.id ?? "", "lost");
  expect(await stripe.disputes.retrieve(dispute?.id ?? "")).toMatchObject({ status: "lost" });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
  await advanceClock(stripe, clock.id, start + day);
  expect(await stripe.testHelpers.testClocks.retrieve(clock.id)).toMatchObject({ frozen_time: start + day });
});

test("real time does by itself what a clock does when it is moved", async () => {
  let now = start * 1000;
  const other = await startHarness({ now: () => new Date(now) });
  const price = await other.monthlyPrice();
  const customer = await other.stripe.customers.create({
    payment_method: "pm_card_visa",
    invoice_settings: { default_payment_method: "pm_card_visa" },
  });
  const { id } = await other.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
  });
  now += 32 * day * 1000;
  other.local.tick();
  await other.local.settled();
  const invoices = await other.stripe.invoices.list({ subscription: id });
  expect(invoices.data.map((invoice) => invoice.status)).toEqual(["paid", "paid"]);
  expect(invoices.data[0]?.created).toBe(Date.UTC(2026, 1, 15, 9) / 1000);
  await other.close();
});
