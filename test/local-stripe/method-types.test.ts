import Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorOf, type Harness, secretKey, startHarness } from "./support/harness.ts";

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

/** A call with parameters that the SDK's types no longer know. */
function post(path: string, params: object, apiVersion: string): Promise<Record<string, unknown>> {
  return harness.stripe.rawRequest("POST", path, params, { apiVersion }) as Promise<unknown> as Promise<
    Record<string, unknown>
  >;
}

async function sessionParams() {
  const price = await harness.monthlyPrice();
  return {
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://app.example/done",
    payment_method_types: ["card"],
  };
}

test("since 2026-09-30 intents refuse payment_method_types, and older versions take them", async () => {
  const intent = { amount: 500, currency: "usd", payment_method_types: ["card"] };
  const setup = { payment_method_types: ["card"] };
  for (const version of ["2026-09-30.endive", Stripe.API_VERSION]) {
    for (const [path, params] of [
      ["/v1/payment_intents", intent],
      ["/v1/setup_intents", setup],
    ] as const) {
      expect(await errorOf(post(path, params, version))).toMatchObject({
        statusCode: 400,
        code: "payment_method_types_no_longer_supported",
        param: "payment_method_types",
      });
    }
  }
  expect(await post("/v1/payment_intents", intent, "2026-08-26.dahlia")).toMatchObject({
    payment_method_types: ["card"],
  });
  expect(await post("/v1/setup_intents", setup, "2024-06-20")).toMatchObject({
    payment_method_types: ["card"],
  });
});

test("a caller who names no version asks by the account's own, which may be older", async () => {
  const response = await fetch(`${harness.local.url}/v1/payment_intents`, {
    method: "POST",
    headers: { authorization: `Bearer ${secretKey}` },
    body: new URLSearchParams({ amount: "500", currency: "usd", "payment_method_types[]": "card" }),
  });
  expect(response.status).toBe(200);
});

test("nor can they be given when an intent is changed or confirmed", async () => {
  const { id } = await harness.stripe.paymentIntents.create({ amount: 500, currency: "usd" });
  for (const path of [`/v1/payment_intents/${id}`, `/v1/payment_intents/${id}/confirm`]) {
    const call = post(path, { payment_method_types: ["card"] }, Stripe.API_VERSION);
    expect(await errorOf(call)).toMatchObject({ code: "payment_method_types_no_longer_supported" });
  }
});

test("Checkout no longer knows the parameter, and did before", async () => {
  const params = await sessionParams();
  const refused = await errorOf(post("/v1/checkout/sessions", params, Stripe.API_VERSION));
  expect(refused).toMatchObject({ statusCode: 400, param: "payment_method_types" });
  expect(await post("/v1/checkout/sessions", params, "2026-07-29.dahlia")).toMatchObject({ status: "open" });
});

test("allowed_payment_method_types takes their place, and both at once are refused", async () => {
  const { stripe } = harness;
  const intent = await stripe.paymentIntents.create({
    amount: 500,
    currency: "eur",
    allowed_payment_method_types: ["card", "sepa_debit"],
  });
  expect(intent.allowed_payment_method_types).toEqual(["card", "sepa_debit"]);
  expect(intent.payment_method_types).toEqual(["card", "sepa_debit"]);
  const { payment_method_types: _, ...params } = await sessionParams();
  const session = await post(
    "/v1/checkout/sessions",
    { ...params, allowed_payment_method_types: ["card"] },
    Stripe.API_VERSION,
  );
  expect(session).toMatchObject({
    allowed_payment_method_types: ["card"],
    payment_method_types: ["card"],
  });
  const both = { amount: 500, currency: "usd", payment_method_types: ["card"] };
  const call = post(
    "/v1/payment_intents",
    { ...both, allowed_payment_method_types: ["card"] },
    "2026-07-29.dahlia",
  );
  expect(await errorOf(call)).toMatchObject({ statusCode: 400 });
});
