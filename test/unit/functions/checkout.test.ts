import { beforeEach, describe, expect, it } from "vitest";
import { type CheckoutFacts, createCheckoutHandler } from "../../../supabase/functions/checkout/handler.ts";
import { APP, answerOf, request, surroundings, USER_ID } from "./session-requests.ts";

const monthly = { type: "recurring", usage_type: "licensed" };
const order = { price: "price_1", success_url: "/welcome?s={CHECKOUT_SESSION_ID}", cancel_url: "/pricing" };

let around: ReturnType<typeof surroundings>;
let facts: CheckoutFacts;
let nowMs: number;
let handle: (request: Request) => Promise<Response>;

beforeEach(() => {
  around = surroundings();
  around.state.stripe = () => Response.json({ url: "https://checkout.stripe.com/c/pay/canary" });
  facts = { customer: null, account: null, price: monthly, subscribed: false };
  nowMs = 1_790_000_000_000;
  handle = createCheckoutHandler({
    ...around.common,
    callStripe: around.callStripe,
    prepare: async () => facts,
    now: () => nowMs,
  });
});

const formOf = async (body: object) => {
  expect((await handle(request(body))).status).toBe(200);
  return around.stripeCalls.at(-1)?.form;
};
const keyOf = async (body: object) => {
  await formOf(body);
  return around.stripeCalls.at(-1)?.headers["idempotency-key"];
};

describe("checkout", () => {
  it("sells a subscription in a session that says whose it is to be", async () => {
    expect(await formOf({ ...order, quantity: 3 })).toEqual({
      mode: "subscription",
      "line_items[0][price]": "price_1",
      "line_items[0][quantity]": "3",
      success_url: `${APP}/welcome?s={CHECKOUT_SESSION_ID}`,
      cancel_url: `${APP}/pricing`,
      client_reference_id: USER_ID,
      "metadata[user_id]": USER_ID,
      "subscription_data[metadata][user_id]": USER_ID,
      customer_email: "ada@example.com",
    });
  });

  it("sells to the customer the user is already, and not to a second one of the same address", async () => {
    facts.customer = "cus_1";
    const form = await formOf(order);
    expect(form).toMatchObject({ customer: "cus_1" });
    expect(form).not.toHaveProperty("customer_email");
  });

  it("sells a one-time price as a payment of a customer, never of a guest", async () => {
    facts.price = { type: "one_time", usage_type: null };
    expect(await formOf(order)).toMatchObject({
      mode: "payment",
      customer_creation: "always",
      "payment_intent_data[metadata][user_id]": USER_ID,
    });
  });

  it("names no quantity for a metered price", async () => {
    facts.price = { type: "recurring", usage_type: "metered" };
    expect(await formOf(order)).not.toHaveProperty("line_items[0][quantity]");
    expect(await answerOf(await handle(request({ ...order, quantity: 1 })))).toEqual([
      400,
      "invalid_request",
    ]);
  });

  it("leaves the address out for a user who has none", async () => {
    around.state.auth = () => Response.json({ id: USER_ID, email: "" });
    expect(await formOf(order)).not.toHaveProperty("customer_email");
  });

  it("puts the session's id also where the placeholder stands in the path", async () => {
    const form = await formOf({ ...order, success_url: `${APP}/done/{CHECKOUT_SESSION_ID}` });
    expect(form?.success_url).toBe(`${APP}/done/{CHECKOUT_SESSION_ID}`);
  });

  it.each([
    ["no price", { price: undefined }, 400, "invalid_request"],
    ["half a price", { quantity: 1.5 }, 400, "invalid_request"],
    ["nothing of it", { quantity: 0 }, 400, "invalid_request"],
    ["a number in a string", { quantity: "2" }, 400, "invalid_request"],
    ["more than there is", { quantity: 1e9 }, 400, "invalid_request"],
    ["set-up mode", { mode: "setup" }, 400, "invalid_request"],
    ["a mode the price is not for", { mode: "payment" }, 400, "invalid_request"],
    ["no way back", { success_url: undefined }, 400, "invalid_url"],
    ["another site after success", { success_url: "https://evil.example" }, 400, "invalid_url"],
    ["another site after giving up", { cancel_url: "//evil.example" }, 400, "invalid_url"],
    ["a key with blanks", { idempotency_key: "a b" }, 400, "invalid_request"],
    ["a trial of the caller's choice", { trial_period_days: 9999 }, 400, "invalid_request"],
    ["another customer", { customer: "cus_2" }, 400, "invalid_request"],
    ["a yes in words", { another: "yes" }, 400, "invalid_request"],
  ])("refuses %s and asks Stripe nothing", async (_what, change, status, code) => {
    expect(await answerOf(await handle(request({ ...order, ...change })))).toEqual([status, code]);
    expect(around.stripeCalls).toEqual([]);
  });

  it("refuses a price that is not for sale", async () => {
    facts.price = null;
    expect(await answerOf(await handle(request(order)))).toEqual([400, "unknown_price"]);
  });

  it("sells nobody the same subscription twice, unless another is asked for", async () => {
    facts.subscribed = true;
    expect(await answerOf(await handle(request(order)))).toEqual([409, "already_subscribed"]);
    expect(around.stripeCalls).toEqual([]);
    expect((await handle(request({ ...order, another: true }))).status).toBe(200);
  });

  it("gets one session for a button pressed twice, and others for other wishes and later minutes", async () => {
    const first = await keyOf(order);
    expect(await keyOf(order)).toBe(first);
    expect(await keyOf({ ...order, quantity: 2 })).not.toBe(first);
    expect(await keyOf({ ...order, cancel_url: "/elsewhere" })).not.toBe(first);
    nowMs += 60_000;
    expect(await keyOf(order)).not.toBe(first);
  });

  it("keeps a key of the caller's apart from other users'", async () => {
    const mine = await keyOf({ ...order, idempotency_key: "order-1" });
    nowMs += 600_000;
    expect(await keyOf({ ...order, idempotency_key: "order-1" })).toBe(mine);
    around.state.auth = () => Response.json({ id: "0c0ffee0-0000-4000-8000-000000000002" });
    expect(await keyOf({ ...order, idempotency_key: "order-1" })).not.toBe(mine);
  });

  it("says 409 when a key was used for something else", async () => {
    around.state.stripe = () => Response.json({ error: { type: "idempotency_error" } }, { status: 400 });
    const response = await handle(request({ ...order, idempotency_key: "order-1" }));
    expect(await answerOf(response)).toEqual([409, "idempotency_conflict"]);
  });
});
