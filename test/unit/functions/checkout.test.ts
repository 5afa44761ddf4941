import { beforeEach, describe, expect, it } from "vitest";
import type { Verdict, Wish } from "../../../supabase/functions/duebase-checkout/attempts.ts";
import {
  type CheckoutFacts,
  createCheckoutHandler,
} from "../../../supabase/functions/duebase-checkout/handler.ts";
import { APP, answerOf, request, surroundings, TEAM_ID, USER_ID } from "./session-requests.ts";

const monthly = { type: "recurring", usage_type: "licensed", product: "prod_1", trial_days: null };
const OPEN = {
  id: "cs_test_1",
  status: "open",
  url: "https://checkout.stripe.com/c/pay/canary",
  expires_at: 1_790_086_400,
};
const order = { price: "price_1", success_url: "/welcome?s={CHECKOUT_SESSION_ID}", cancel_url: "/pricing" };

let around: ReturnType<typeof surroundings>;
let facts: CheckoutFacts;
let verdicts: Verdict[];
let begun: Wish[];
let closed: string[];
let prepared: string[];
let isCurrent: boolean;
let handle: (request: Request) => Promise<Response>;

beforeEach(() => {
  around = surroundings();
  around.state.stripe = () => Response.json(OPEN);
  facts = { customer: null, account: null, price: monthly, subscribed: false };
  verdicts = [];
  begun = [];
  closed = [];
  prepared = [];
  isCurrent = true;
  handle = createCheckoutHandler({
    ...around.common,
    callStripe: around.callStripe,
    prepare: async (owner) => {
      prepared.push(owner);
      return facts;
    },
    begin: async (wish) => {
      begun.push(wish);
      const { request } = wish;
      return (
        verdicts.shift() ?? { outcome: "make", is_new: true, attempt: "attempt-1", request, session: null }
      );
    },
    record: async () => isCurrent,
    close: async (attempt, status) => {
      closed.push(`${attempt} ${status}`);
    },
    wait: async () => {},
  });
});

const formOf = async (body: object) => {
  expect((await handle(request(body))).status).toBe(200);
  return around.stripeCalls.at(-1)?.form;
};
describe("duebase-checkout", () => {
  it("sells a subscription in a session that says whose it is to be", async () => {
    expect(await formOf({ ...order, quantity: 3 })).toEqual({
      mode: "subscription",
      "line_items[0][price]": "price_1",
      "line_items[0][quantity]": "3",
      success_url: `${APP}/welcome?s={CHECKOUT_SESSION_ID}`,
      cancel_url: `${APP}/pricing`,
      client_reference_id: USER_ID,
      "metadata[owner_id]": USER_ID,
      "subscription_data[metadata][owner_id]": USER_ID,
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
    facts.price = { type: "one_time", usage_type: null, product: "prod_1", trial_days: null };
    expect(await formOf(order)).toMatchObject({
      mode: "payment",
      customer_creation: "always",
      "payment_intent_data[metadata][owner_id]": USER_ID,
    });
  });

  it("names no quantity for a metered price", async () => {
    facts.price = { ...monthly, usage_type: "metered" };
    expect(await formOf(order)).not.toHaveProperty("line_items[0][quantity]");
    expect(await answerOf(await handle(request({ ...order, quantity: 1 })))).toEqual([
      400,
      "invalid_request",
    ]);
  });

  it("sells to a team the user manages: it owns all that comes of it, and Stripe gets the user's address", async () => {
    around.state.owners = [{ owner_id: TEAM_ID, can_manage: true }];
    const form = await formOf({ ...order, owner_id: TEAM_ID });
    expect(form).toMatchObject({
      client_reference_id: TEAM_ID,
      "metadata[owner_id]": TEAM_ID,
      "subscription_data[metadata][owner_id]": TEAM_ID,
      customer_email: "ada@example.com",
    });
    expect(JSON.stringify(form)).not.toContain(USER_ID);
    expect(prepared).toEqual([TEAM_ID]);
    expect(begun[0]).toMatchObject({ ownerId: TEAM_ID, userId: USER_ID });
    expect(JSON.stringify(begun[0]?.wish)).not.toContain(TEAM_ID);
  });

  it("sells nothing to an owner the user does not manage", async () => {
    around.state.owners = [{ owner_id: TEAM_ID, can_manage: false }];
    for (const body of [order, { ...order, owner_id: TEAM_ID }]) {
      expect(await answerOf(await handle(request(body)))).toEqual([403, "not_a_manager"]);
    }
    expect([prepared, begun, around.stripeCalls]).toEqual([[], [], []]);
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

  it("begins with the trial that the price offers", async () => {
    expect(await formOf(order)).not.toHaveProperty("subscription_data[trial_period_days]");
    facts.price = { ...monthly, trial_days: 14 };
    expect(await formOf(order)).toMatchObject({ "subscription_data[trial_period_days]": "14" });
  });

  it("marks a second subscription that was asked for, so that nobody is alerted of it", async () => {
    expect(await formOf({ ...order, another: true })).toMatchObject({
      "subscription_data[metadata][duebase_another]": "true",
    });
  });

  it("has one open session per product to subscribe to, and one per exact one-time purchase", async () => {
    await formOf(order);
    await formOf({ ...order, price: "price_2", quantity: 2 });
    expect(begun.map(({ scope }) => scope)).toEqual(["subscription:prod_1", "subscription:prod_1"]);
    facts.price = { type: "one_time", usage_type: null, product: "prod_1", trial_days: null };
    await formOf(order);
    await formOf({ ...order, quantity: 2 });
    const [first, second] = begun.slice(2).map(({ scope }) => scope);
    expect(first).toMatch(/^payment:[\da-f]{32}$/);
    expect(second).not.toBe(first);
  });

  it("asks Stripe under a key that nobody can name, and hands the caller's own to the database", async () => {
    await formOf({ ...order, idempotency_key: "order-1" });
    expect(around.stripeCalls[0]?.headers["idempotency-key"]).toBe("checkout:attempt-1");
    expect(begun[0]).toMatchObject({ ownerId: USER_ID, userId: USER_ID, key: "order-1" });
    expect(JSON.stringify(begun[0]?.wish)).not.toContain("order-1");
  });

  it("says 409 when a key was used for something else, and answers the same page when it was bought", async () => {
    verdicts = [{ outcome: "conflict" }, { outcome: "done", url: "https://checkout.stripe.com/done" }];
    const wanted = { ...order, idempotency_key: "order-1" };
    expect(await answerOf(await handle(request(wanted)))).toEqual([409, "idempotency_conflict"]);
    const again = await handle(request(wanted));
    expect(await again.json()).toEqual({ url: "https://checkout.stripe.com/done" });
    expect(around.stripeCalls).toEqual([]);
  });

  it("says 409 for an owner that was deleted, and asks Stripe for nothing", async () => {
    verdicts = [{ outcome: "no_owner" }];
    expect(await answerOf(await handle(request(order)))).toEqual([409, "owner_deleted"]);
    expect(around.stripeCalls).toEqual([]);
  });
});

describe("a session that is open already", () => {
  const held = (outcome: "make" | "reuse" | "replace", session: string | null = "cs_test_0"): Verdict => ({
    outcome,
    is_new: false,
    attempt: "attempt-0",
    request: { mode: "subscription", price: "price_0" },
    session,
  });
  /** What Stripe answers to each call, by method and path. */
  const answers = (of: Record<string, object | Response>) => {
    around.state.stripe = () => {
      const call = around.stripeCalls.at(-1);
      const answer = of[call?.path.replace("/v1/checkout/sessions", "") ?? ""] ?? OPEN;
      return answer instanceof Response ? answer.clone() : Response.json(answer);
    };
  };
  const paths = () => around.stripeCalls.map(({ path }) => path.replace("/v1/checkout/sessions", ""));
  const no = (status: number, code: string) => Response.json({ error: { code } }, { status });

  it("is answered again", async () => {
    verdicts = [held("reuse")];
    answers({ "/cs_test_0": { ...OPEN, id: "cs_test_0", url: "https://checkout.stripe.com/c/pay/first" } });
    const response = await handle(request(order));
    expect(await response.json()).toEqual({ url: "https://checkout.stripe.com/c/pay/first" });
    expect(paths()).toEqual(["/cs_test_0"]);
  });

  it("that was completed a moment ago is a subscription already, before any webhook says so", async () => {
    verdicts = [held("reuse")];
    answers({ "/cs_test_0": { id: "cs_test_0", status: "complete", url: null } });
    expect(await answerOf(await handle(request(order)))).toEqual([409, "already_subscribed"]);
    expect(closed).toEqual(["attempt-0 complete"]);
  });

  it("that was completed while this was being asked is one too", async () => {
    verdicts = [{ outcome: "subscribed" }];
    expect(await answerOf(await handle(request(order)))).toEqual([409, "already_subscribed"]);
    expect(paths()).toEqual([]);
  });

  it("that expired, or that Stripe does not know, makes room for a new one", async () => {
    for (const gone of [{ id: "cs_test_0", status: "expired", url: null }, no(404, "resource_missing")]) {
      around.stripeCalls.length = 0;
      verdicts = [held("reuse")];
      answers({ "/cs_test_0": gone });
      expect((await handle(request(order))).status).toBe(200);
      expect(paths()).toEqual(["/cs_test_0", ""]);
    }
    expect(closed).toEqual(["attempt-0 expired", "attempt-0 expired"]);
  });

  it("for something else of the product is expired before another one is made", async () => {
    verdicts = [held("replace")];
    answers({ "/cs_test_0/expire": { id: "cs_test_0", status: "expired", url: null } });
    expect((await handle(request(order))).status).toBe(200);
    expect(paths()).toEqual(["/cs_test_0/expire", ""]);
    expect(closed).toEqual(["attempt-0 expired"]);
  });

  it("for something else that was completed in the meantime ends the matter, unless another is wanted", async () => {
    const done = {
      "/cs_test_0/expire": no(400, "invalid"),
      "/cs_test_0": { id: "cs_test_0", status: "complete" },
    };
    verdicts = [held("replace")];
    answers(done);
    expect(await answerOf(await handle(request(order)))).toEqual([409, "already_subscribed"]);
    verdicts = [held("replace")];
    expect((await handle(request({ ...order, another: true }))).status).toBe(200);
  });

  it("is not replaced while Stripe cannot be asked to expire it", async () => {
    verdicts = [held("replace")];
    answers({ "/cs_test_0/expire": no(500, "api_error") });
    expect(await answerOf(await handle(request(order)))).toEqual([503, "stripe_unavailable"]);
    expect(paths()).toEqual(["/cs_test_0/expire"]);
  });

  it("of which nobody knows whether it was made is made again under its key, and looked at", async () => {
    verdicts = [held("make", null)];
    answers({ "/cs_test_1": { ...OPEN, url: "https://checkout.stripe.com/c/pay/found" } });
    const response = await handle(request(order));
    expect(await response.json()).toEqual({ url: "https://checkout.stripe.com/c/pay/found" });
    expect(paths()).toEqual(["", "/cs_test_1"]);
    expect(around.stripeCalls[0]?.headers["idempotency-key"]).toBe("checkout:attempt-0");
  });

  it("of which nobody knows whether it was made is found the same way when it is in the way", async () => {
    verdicts = [held("replace", null)];
    answers({ "/cs_test_1/expire": { id: "cs_test_1", status: "expired", url: null } });
    expect((await handle(request(order))).status).toBe(200);
    expect(paths()).toEqual(["", "/cs_test_1/expire", ""]);
    expect(around.stripeCalls[0]?.form).toEqual({ mode: "subscription", price: "price_0" });
  });

  it("is waited for while another tab's call makes it", async () => {
    let busy = 2;
    around.state.stripe = () => (busy-- > 0 ? no(409, "idempotency_key_in_use") : Response.json(OPEN));
    expect((await handle(request(order))).status).toBe(200);
    busy = 99;
    const response = await handle(request(order));
    expect(await answerOf(response)).toEqual([503, "stripe_unavailable"]);
    expect(closed).toEqual([]);
  });

  it("is not kept where Stripe says no, so that the next attempt has a key of its own", async () => {
    around.state.stripe = () => no(400, "customer_currency_mismatch");
    expect(await answerOf(await handle(request(order)))).toEqual([400, "stripe_refused"]);
    around.state.stripe = () => no(500, "api_error");
    expect(await answerOf(await handle(request(order)))).toEqual([503, "stripe_unavailable"]);
    expect(closed).toEqual(["attempt-1 expired", "attempt-1 expired"]);
  });

  it("is left alone where Stripe's answer never came: the same call finds it", async () => {
    around.state.stripe = () => Promise.reject(new Error("cut"));
    expect(await answerOf(await handle(request(order)))).toEqual([503, "stripe_unavailable"]);
    expect(closed).toEqual([]);
  });

  it("that another tab replaced while it was made is not answered", async () => {
    isCurrent = false;
    expect(await answerOf(await handle(request(order)))).toEqual([409, "checkout_replaced"]);
  });
});
