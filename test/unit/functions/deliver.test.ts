import { describe, expect, it } from "vitest";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import type { RunOptions } from "../../../supabase/functions/_duebase/cron-endpoint.ts";
import { createCallerCheck } from "../../../supabase/functions/_duebase/cron-signature.ts";
import { readDeliverEnvironment } from "../../../supabase/functions/_duebase/env.ts";
import { createDeliverHandler } from "../../../supabase/functions/duebase-deliver/handler.ts";

const secret = "cron-secret-example";

function createHandler({
  isLocal = false,
  run = async () => ({ delivered: 0 }) as Record<string, number>,
} = {}) {
  const asked: RunOptions[] = [];
  const background: Promise<unknown>[] = [];
  const handler = createDeliverHandler({
    checkCaller: createCallerCheck([secret], "duebase-deliver"),
    now: Date.now,
    isLocal,
    log: () => {},
    inBackground: (work) => background.push(work),
    report: async () => ({
      function: "duebase-deliver",
      project: "local",
      clock: "2026-11-01T00:00:00Z",
      database: { is: "ok" },
    }),
    run: (options) => {
      asked.push(options);
      return run();
    },
  });
  return { handler, asked, background };
}
/** Signed, unless it brings headers of its own. */
function call(headers?: Record<string, string>, body: object = {}, method = "POST") {
  const signed = cronCall("duebase-deliver", body, secret);
  return new Request("http://localhost/duebase-deliver", {
    method,
    headers: headers ?? signed.headers,
    body: method === "POST" ? signed.body : undefined,
  });
}

describe("duebase-deliver", () => {
  it("answers a probe with what it is set up with, and runs nothing", async () => {
    const { handler, asked, background } = createHandler();
    const response = await handler(call(undefined, { probe: true }));
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ probed: true, database: { is: "ok" } });
    expect([asked, background]).toEqual([[], []]);
    expect((await handler(call({}, { probe: true }))).status).toBe(401);
  });

  it.each([
    ["no signature", {}],
    ["another secret", cronCall("duebase-deliver", {}, "cron-secret-examplf").headers],
    ["a call for another function", cronCall("duebase-dunning", {}, secret).headers],
    ["the secret itself", { authorization: `Bearer ${secret}` }],
  ])("refuses %s with 401 and runs nothing", async (_what, headers) => {
    const { handler, asked } = createHandler();
    const response = await handler(call(headers));
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ error: { code: "unauthorized", message: expect.any(String) } });
    expect(asked).toEqual([]);
  });

  it("refuses everything but POST", async () => {
    const response = await createHandler().handler(call({}, {}, "GET"));
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
  });

  it("answers before it works, so that pg_net waits for nobody", async () => {
    let finish = () => {};
    const { handler, background } = createHandler({
      run: () =>
        new Promise((resolve) => {
          finish = () => resolve({ delivered: 1 });
        }),
    });
    const response = await handler(call());
    expect([response.status, await response.json()]).toEqual([202, { accepted: true }]);
    finish();
    await Promise.all(background);
  });

  it("answers with what came of it to a caller that waits", async () => {
    const { handler } = createHandler({ run: async () => ({ delivered: 3 }) });
    const response = await handler(call(undefined, { wait: true }));
    expect([response.status, await response.json()]).toEqual([200, { delivered: 3 }]);
  });

  it("runs once more after calls that come during a run, however many", async () => {
    const finish: (() => void)[] = [];
    const { handler, asked, background } = createHandler({
      run: () => new Promise((resolve) => finish.push(() => resolve({}))),
    });
    for (let calls = 0; calls < 5; calls++) await handler(call());
    expect(asked).toHaveLength(1);
    finish[0]?.();
    await expect.poll(() => asked.length).toBe(2);
    finish[1]?.();
    await Promise.all(background);
    expect(asked).toHaveLength(2);
  });

  it("takes a clock and a crash point from the local stack only", async () => {
    const options = { wait: true, now: "2026-12-01T00:00:00Z", stop_at: "claimed", stop_at_nth: 2 };
    const hosted = createHandler();
    await hosted.handler(call(undefined, options));
    expect(hosted.asked).toEqual([{ wait: true }]);
    const local = createHandler({ isLocal: true });
    await local.handler(call(undefined, options));
    expect(local.asked).toEqual([options]);
  });
});

describe("duebase-deliver's environment", () => {
  const complete: Record<string, string> = {
    SUPABASE_URL: "https://project.supabase.co",
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example"}',
    DUEBASE_CRON_SECRET: secret,
    DUEBASE_RESEND_API_KEY: "re_example",
    DUEBASE_STRIPE_SECRET_KEY: "sk_test_example",
    DUEBASE_RESEND_BASE_URL: "http://127.0.0.1:1",
    DUEBASE_STRIPE_API_URL: "http://127.0.0.1:2",
  };

  it.each(["DUEBASE_CRON_SECRET", "DUEBASE_RESEND_API_KEY", "DUEBASE_STRIPE_SECRET_KEY"])(
    "names %s where it is missing or blank",
    (name) => {
      for (const value of [undefined, " "]) {
        const read = (wanted: string) => (wanted === name ? value : complete[wanted]);
        expect(() => readDeliverEnvironment(read)).toThrow(name);
      }
    },
  );

  it("sends keys to other addresses than Stripe's and Resend's only where the local stack says so", () => {
    expect(readDeliverEnvironment((name) => complete[name])).toMatchObject({
      stripeUrl: undefined,
      resendUrl: undefined,
      isLocal: false,
    });
    const local = { ...complete, DUEBASE_LOCAL_STACK: "1" };
    expect(readDeliverEnvironment((name) => local[name as keyof typeof local])).toMatchObject({
      stripeUrl: "http://127.0.0.1:2",
      resendUrl: "http://127.0.0.1:1",
    });
  });
});
