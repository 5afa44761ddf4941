import { beforeEach, describe, expect, it } from "vitest";
import { createAddressReader } from "../../../supabase/functions/_duebase/app-addresses.ts";
import { readSessionEnvironment } from "../../../supabase/functions/_duebase/env.ts";
import { DatabaseUnavailableError } from "../../../supabase/functions/_duebase/errors.ts";
import {
  createPortalHandler,
  type PortalCustomer,
} from "../../../supabase/functions/duebase-portal/handler.ts";
import { APP, answerOf, request, surroundings, USER_ID } from "./session-requests.ts";

let around: ReturnType<typeof surroundings>;
let found: () => PortalCustomer;
let asked: [string, string | undefined][];
let handle: (request: Request) => Promise<Response>;

beforeEach(() => {
  around = surroundings();
  found = () => ({ customer: "cus_1", account: null });
  asked = [];
  handle = createPortalHandler({
    ...around.common,
    callStripe: around.callStripe,
    findCustomer: async (...args) => {
      asked.push([args[0], args[1]]);
      return found();
    },
  });
});

describe("duebase-portal, asked by a signed-in user", () => {
  it("answers with the address of their portal, which leads back to the application", async () => {
    const response = await handle(request());
    expect([response.status, await response.json()]).toEqual([
      200,
      { url: "https://billing.stripe.com/p/session/canary-url" },
    ]);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(asked).toEqual([[USER_ID, undefined]]);
    expect(around.stripeCalls).toMatchObject([
      { path: "/v1/billing_portal/sessions", form: { customer: "cus_1", return_url: `${APP}/` } },
    ]);
  });

  it("leads to the card at once when that is what is asked for, and back afterwards", async () => {
    await handle(request({ flow: "payment_method_update", return_url: "/account" }));
    expect(around.stripeCalls[0]?.form).toEqual({
      customer: "cus_1",
      return_url: `${APP}/account`,
      "flow_data[type]": "payment_method_update",
      "flow_data[after_completion][type]": "redirect",
      "flow_data[after_completion][redirect][return_url]": `${APP}/account`,
    });
  });

  it("asks for the customer that has the subscription it is about", async () => {
    await handle(request({ flow: "subscription_cancel", subscription: "sub_1" }));
    expect(asked).toEqual([[USER_ID, "sub_1"]]);
    expect(around.stripeCalls[0]?.form).toMatchObject({
      "flow_data[type]": "subscription_cancel",
      "flow_data[subscription_cancel][subscription]": "sub_1",
    });
  });

  it("acts for the connected account that settings name", async () => {
    found = () => ({ customer: "cus_1", account: "acct_1" });
    await handle(request());
    expect(around.stripeCalls[0]?.headers).toMatchObject({ "stripe-account": "acct_1" });
  });

  it("says 404 no_customer to a user who is none, and asks Stripe nothing", async () => {
    found = () => ({ customer: null, account: null });
    expect(await answerOf(await handle(request()))).toEqual([404, "no_customer"]);
    const theirs = await handle(request({ subscription: "sub_of_somebody_else" }));
    expect(await answerOf(theirs)).toEqual([404, "unknown_subscription"]);
    expect(around.stripeCalls).toEqual([]);
  });

  it.each([
    ["another site to go back to", { return_url: "https://evil.example" }, "invalid_url"],
    ["a flow nobody knows", { flow: "toString" }, "invalid_request"],
    ["a flow without its subscription", { flow: "subscription_cancel" }, "invalid_request"],
    ["no id of a subscription", { subscription: "sub_1/../x" }, "invalid_request"],
    ["a customer of the caller's choice", { customer: "cus_2" }, "invalid_request"],
    ["an array", [], "invalid_request"],
    ["no JSON", "{", "invalid_json"],
    ["deep nesting", "[".repeat(200), "too_deeply_nested"],
  ])("refuses %s with 400 and asks Stripe nothing", async (_what, body, code) => {
    expect(await answerOf(await handle(request(body)))).toEqual([400, code]);
    expect(around.stripeCalls).toEqual([]);
  });

  it("refuses a body over 16 KiB with 413, before it asks Auth", async () => {
    const response = await handle(request({ return_url: "x".repeat(20_000) }));
    expect(await answerOf(response)).toEqual([413, "payload_too_large"]);
    expect(around.state.authCalls).toBe(0);
  });
});

describe("duebase-portal, asked by somebody else", () => {
  it.each([
    ["no token", { authorization: "" }],
    ["the publishable key", { authorization: "Bearer sb_publishable_example" }],
    ["another scheme", { authorization: "Basic a.b.c" }],
    ["two tokens", { authorization: "Bearer a.b.c, Bearer d.e.f" }],
    ["an endless token", { authorization: `Bearer a.${"b".repeat(20_000)}.c` }],
  ])("refuses %s with 401 without asking Auth", async (_what, headers) => {
    const response = await handle(request({}, headers));
    expect(await answerOf(response)).toEqual([401, "not_signed_in"]);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(around.state.authCalls).toBe(0);
  });

  it.each([
    [403, { code: 403, error_code: "bad_jwt", msg: "invalid JWT" }],
    [403, { code: 403, error_code: "session_not_found", msg: "gone" }],
    [401, { code: "no_authorization", message: "in the newer form" }],
    [404, { code: 404, error_code: "user_not_found", msg: "gone" }],
  ])("refuses with 401 a token of which Auth says %i %j", async (status, body) => {
    around.state.auth = () => Response.json(body, { status });
    expect(await answerOf(await handle(request()))).toEqual([401, "not_signed_in"]);
    expect(asked).toEqual([]);
  });

  it.each([
    [
      "the gateway refuses the key",
      () => Response.json({ message: "Invalid API key" }, { status: 401 }),
      "auth_misconfigured",
    ],
    ["there is no Auth", () => new Response("<html>", { status: 404 }), "auth_misconfigured"],
    ["a page answers", () => new Response("<html>"), "auth_misconfigured"],
    ["the answer is no user", () => Response.json({ id: "me" }), "auth_misconfigured"],
    ["Auth fails", () => new Response("", { status: 502 }), "auth_unavailable"],
    ["Auth is asked too often", () => Response.json({ code: 429 }, { status: 429 }), "auth_unavailable"],
    ["Auth is away", () => Promise.reject(new TypeError("fetch failed")), "auth_unavailable"],
  ])("lets nobody in when %s: 503", async (_what, auth, code) => {
    around.state.auth = auth;
    const response = await handle(request());
    expect(await answerOf(response)).toEqual([503, code]);
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(asked).toEqual([]);
  });

  it.each(["GET", "PUT", "DELETE", "HEAD"])("answers %s with 405", async (method) => {
    const response = await handle(request(undefined, {}, method));
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  });
});

describe("duebase-portal, when Stripe does not play along", () => {
  const stripeError = (status: number, error: object, headers = {}) =>
    Response.json({ error }, { status, headers });

  it.each([
    ["is away", () => Promise.reject(new TypeError("fetch failed")), 503, "stripe_unavailable"],
    ["fails", () => stripeError(500, { type: "api_error" }), 503, "stripe_unavailable"],
    [
      "refuses the key",
      () => stripeError(401, { type: "invalid_request_error" }),
      503,
      "stripe_misconfigured",
    ],
    [
      "knows no such customer",
      () => stripeError(404, { code: "resource_missing" }),
      503,
      "stripe_misconfigured",
    ],
    ["has no portal", () => stripeError(400, { type: "invalid_request_error" }), 400, "stripe_refused"],
    ["says nothing of a page", () => Response.json({}), 503, "stripe_misconfigured"],
  ])("says so when it %s", async (_what, stripe, status, code) => {
    around.state.stripe = stripe;
    const response = await handle(request());
    expect(await answerOf(response)).toEqual([status, code]);
    if (status === 503) expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(JSON.parse(around.logged.at(-1) ?? "").reason).toMatch(/Stripe/);
  });

  it("passes on how long Stripe wants to be left alone", async () => {
    around.state.stripe = () => stripeError(429, { type: "rate_limit_error" }, { "retry-after": "7" });
    const response = await handle(request());
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "7"]);
  });

  it("says 503 when the database is away", async () => {
    found = () => {
      throw new DatabaseUnavailableError({ reason: "down" });
    };
    expect(await answerOf(await handle(request()))).toEqual([503, "database_unavailable"]);
  });

  it("logs one line a request with no token, key, address or message of Stripe's in it", async () => {
    around.state.stripe = () =>
      stripeError(400, { type: "invalid_request_error", message: "canary-message" });
    await handle(request({ return_url: "/canary-path" }));
    around.state.stripe = () => Response.json({ url: "https://billing.stripe.com/canary-url" });
    await handle(request({ return_url: "/canary-path" }));
    expect(around.logged).toHaveLength(2);
    expect(around.logged.join()).not.toContain("canary");
    expect(JSON.parse(around.logged[1] ?? "")).toMatchObject({
      level: "info",
      outcome: "created",
      status: 200,
      user: USER_ID,
      customer: "cus_1",
    });
  });
});

describe("duebase-portal, called by a browser", () => {
  const preflight = (origin: string) =>
    request(undefined, { origin, "access-control-request-method": "POST" }, "OPTIONS");

  it("lets the application's pages call, and read the answer whatever it is", async () => {
    const allowed = await handle(preflight(APP));
    expect(allowed.status).toBe(204);
    expect(Object.fromEntries(allowed.headers)).toMatchObject({
      "access-control-allow-origin": APP,
      "access-control-allow-methods": "POST, OPTIONS",
      vary: "origin",
    });
    const names = allowed.headers.get("access-control-allow-headers")?.split(", ");
    expect(names).toEqual(
      expect.arrayContaining(["authorization", "apikey", "content-type", "x-client-info"]),
    );
    expect(allowed.headers.has("access-control-allow-credentials")).toBe(false);

    const created = await handle(request({}, { origin: APP }));
    expect(created.headers.get("access-control-allow-origin")).toBe(APP);
    const refused = await handle(request({}, { origin: APP, authorization: "" }));
    expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, APP]);
  });

  it.each(["https://evil.example", "null", "http://app.example.com", "https://app.example.com.evil.example"])(
    "lets no page of %s",
    async (origin) => {
      const refused = await handle(preflight(origin));
      expect(await answerOf(refused)).toEqual([403, "origin_not_allowed"]);
      for (const response of [refused, await handle(request({}, { origin }))]) {
        expect(response.headers.has("access-control-allow-origin")).toBe(false);
        expect(response.headers.get("vary")).toBe("origin");
      }
    },
  );

  it("reads the addresses once a minute, and makes do with the old ones while the database is away", async () => {
    let now = 0;
    let reads = 0;
    let isAway = false;
    const read = createAddressReader(
      async () => {
        reads++;
        if (isAway) throw new DatabaseUnavailableError({});
        return { app_url: `https://app${reads}.example.com`, billing_url: null } as never;
      },
      () => now,
    );
    await read();
    now = 59_000;
    expect(await read()).toMatchObject({ app_url: "https://app1.example.com" });
    now = 61_000;
    expect(await read()).toMatchObject({ app_url: "https://app2.example.com" });
    now = 200_000;
    isAway = true;
    expect(await read()).toMatchObject({ app_url: "https://app2.example.com" });
    expect(reads).toBe(3);
    const never = createAddressReader(async () => Promise.reject(new DatabaseUnavailableError({})));
    await expect(never()).rejects.toMatchObject({ code: "database_unavailable" });
  });
});

describe("the environment of duebase-portal and duebase-checkout", () => {
  const complete: Record<string, string> = {
    SUPABASE_URL: "https://example.supabase.co",
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example"}',
    DUEBASE_STRIPE_SECRET_KEY: "sk_test_example",
    DUEBASE_STRIPE_API_URL: "https://evil.example",
  };

  it.each(["SUPABASE_URL", "SUPABASE_SECRET_KEYS", "DUEBASE_STRIPE_SECRET_KEY"])(
    "is refused without %s",
    (name) => {
      for (const value of [undefined, " "]) {
        const read = (wanted: string) => (wanted === name ? value : complete[wanted]);
        expect(() => readSessionEnvironment(read)).toThrow(`Missing ${name}`);
      }
    },
  );

  it("takes another address of Stripe's from the local stack alone", () => {
    expect(readSessionEnvironment((name) => complete[name]).stripeUrl).toBeUndefined();
    const local: Record<string, string> = { ...complete, DUEBASE_LOCAL_STACK: "1" };
    expect(readSessionEnvironment((name) => local[name]).stripeUrl).toBe("https://evil.example");
  });
});
