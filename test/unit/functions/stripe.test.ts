import { describe, expect, it } from "vitest";
import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import { connectStripe, modeOfKey } from "../../../supabase/functions/_duebase/stripe.ts";
import { Breaker } from "../../../supabase/functions/duebase-deliver/breaker.ts";

const DATE = "Thu, 01 Oct 2026 09:00:10 GMT";

/** Stripe's answer, after so many milliseconds. */
function answering(status: number, body: object, afterMs = 0): typeof fetch {
  return async () => {
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    return new Response(JSON.stringify(body), { status, headers: { date: DATE } });
  };
}
const request = { method: "GET", path: "/v1/customers/cus_1" } as const;

describe("an answer of Stripe's", () => {
  it("is as old as its date, less the whole duration of the call, less the second that the date leaves out", async () => {
    const call = connectStripe({ secretKey: "sk_test_example", fetch: answering(200, { id: "cus_1" }, 120) });
    const { asOf } = await call(request);
    const before = Date.parse(DATE) - asOf;
    expect(before).toBeGreaterThanOrEqual(1_115);
    expect(before).toBeLessThan(6_000);
  });

  it("that something is missing has an age too", async () => {
    const call = connectStripe({
      secretKey: "sk_test_example",
      fetch: answering(404, { error: { code: "resource_missing" } }),
    });
    const error = await call(request).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StripeCallError);
    expect((error as StripeCallError).asOf).toBeLessThanOrEqual(Date.parse(DATE) - 1_000);
  });

  it.each([
    [429, true],
    [401, true],
    [403, true],
    [503, true],
    [500, false],
    [404, false],
    [409, false],
  ])("with status %i says nothing about what was asked: %s", async (status, isOutage) => {
    const call = connectStripe({ secretKey: "sk_test_example", fetch: answering(status, {}) });
    expect(await call(request).catch((reason: unknown) => reason)).toMatchObject({ isOutage });
  });
});

it.each([
  ["sk_test_example", "test"],
  ["rk_live_example", "live"],
  [" sk_live_example\n", "live"],
  ["sk_org_test_example", "test"],
  ["mk_example", undefined],
])("the mode of key %j is %s", (key, mode) => {
  expect(modeOfKey(key)).toBe(mode);
});

describe("a breaker", () => {
  const limits = { failures: 3, waitedMs: 1_000 };

  it("opens after failures in a row, and not where answers lie between them", () => {
    const breaker = new Breaker(limits);
    for (const _ of [1, 2, 3, 4]) {
      breaker.failed(1);
      breaker.failed(1);
      breaker.answered();
    }
    expect(breaker.isOpen).toBe(false);
    for (const _ of [1, 2, 3]) breaker.failed(1);
    expect(breaker.isOpen).toBe(true);
  });

  it("opens when its share of waiting is spent, answers between or not", () => {
    const breaker = new Breaker(limits);
    breaker.failed(600);
    breaker.answered();
    expect(breaker.isOpen).toBe(false);
    breaker.failed(600);
    expect(breaker.isOpen).toBe(true);
  });

  it("keeps the pause that was asked for", () => {
    const breaker = new Breaker(limits);
    breaker.open(90);
    breaker.open();
    expect(breaker.pauseSeconds).toBe(90);
  });
});
