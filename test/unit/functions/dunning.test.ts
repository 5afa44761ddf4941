import { describe, expect, it } from "vitest";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import type { RunOptions } from "../../../supabase/functions/_duebase/cron-endpoint.ts";
import { createCallerCheck } from "../../../supabase/functions/_duebase/cron-signature.ts";
import { readDunningEnvironment } from "../../../supabase/functions/_duebase/env.ts";
import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import { createDunningHandler } from "../../../supabase/functions/duebase-dunning/handler.ts";

const secret = "cron-secret-example";

function createHandler(isLocal = false, problem?: Error) {
  const logged: object[] = [];
  const asked: RunOptions[] = [];
  const background: Promise<unknown>[] = [];
  const handler = createDunningHandler({
    checkCaller: createCallerCheck([secret], "duebase-dunning"),
    now: Date.now,
    isLocal,
    log: (_level, fields) => logged.push(fields),
    inBackground: (work) => background.push(work),
    report: async () => ({
      function: "duebase-dunning",
      project: "local",
      clock: "2026-11-01T00:00:00Z",
      database: { is: "ok" },
    }),
    run: async (options) => {
      asked.push(options);
      if (problem) throw problem;
      return { customers: 3, mails: 2 };
    },
  });
  return { handler, asked, background, logged };
}
function call({ signedWith = secret, body = {}, method = "POST" } = {}) {
  const signed = cronCall("duebase-dunning", body, signedWith);
  return new Request("http://localhost/duebase-dunning", {
    method,
    headers: signed.headers,
    body: method === "POST" ? signed.body : undefined,
  });
}

describe("duebase-dunning", () => {
  it("refuses a call signed with another secret with 401, and runs nothing", async () => {
    const { handler, asked } = createHandler();
    const response = await handler(call({ signedWith: "cron-secret-examplf" }));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: "unauthorized" } });
    expect(asked).toEqual([]);
  });

  it("refuses everything but POST", async () => {
    const response = await createHandler().handler(call({ method: "GET" }));
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
  });

  it("answers cron at once, and runs", async () => {
    const { handler, asked, background } = createHandler();
    const response = await handler(call());
    expect([response.status, await response.json()]).toEqual([202, { accepted: true }]);
    await Promise.all(background);
    expect(asked).toHaveLength(1);
  });

  it("answers with counts a caller that waits", async () => {
    const response = await createHandler().handler(call({ body: { wait: true } }));
    expect([response.status, await response.json()]).toEqual([200, { customers: 3, mails: 2 }]);
  });

  it.each([
    [400, "Stripe refused a call."],
    [500, "Stripe did not answer, or reported a failure."],
  ])(
    "logs a call that failed at Stripe with %s by Stripe's code, and not what it says",
    async (status, reason) => {
      const refusal = new StripeCallError({ code: "parameter_unknown", message: "in_example", status });
      const { handler, background, logged } = createHandler(false, refusal);
      await handler(call());
      await Promise.all(background);
      expect(logged).toEqual([
        { outcome: "parameter_unknown", reason, upstream_status: status, duration_ms: expect.any(Number) },
      ]);
    },
  );

  it("takes a clock from the local stack only", async () => {
    const body = { wait: true, now: "2026-12-01T00:00:00Z" };
    const [hosted, local] = [createHandler(), createHandler(true)];
    await hosted.handler(call({ body }));
    await local.handler(call({ body }));
    expect(hosted.asked).toEqual([{ wait: true }]);
    expect(local.asked).toEqual([body]);
  });
});

describe("duebase-dunning's environment", () => {
  const complete: Record<string, string> = {
    SUPABASE_URL: "https://project.supabase.co",
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example"}',
    DUEBASE_CRON_SECRET: secret,
    DUEBASE_STRIPE_SECRET_KEY: "sk_test_example",
    DUEBASE_STRIPE_API_URL: "http://127.0.0.1:2",
  };

  it.each(["SUPABASE_URL", "DUEBASE_CRON_SECRET", "DUEBASE_STRIPE_SECRET_KEY"])(
    "names %s where it is missing or blank",
    (name) => {
      for (const value of [undefined, " "]) {
        const read = (wanted: string) => (wanted === name ? value : complete[wanted]);
        expect(() => readDunningEnvironment(read)).toThrow(name);
      }
    },
  );

  it("sends its key to another address than Stripe's only where the local stack says so", () => {
    expect(readDunningEnvironment((name) => complete[name])).toMatchObject({
      stripeUrl: undefined,
      isLocal: false,
    });
    const local: Record<string, string> = { ...complete, DUEBASE_LOCAL_STACK: "1" };
    expect(readDunningEnvironment((name) => local[name])).toMatchObject({ stripeUrl: "http://127.0.0.1:2" });
  });
});
