import { describe, expect, it } from "vitest";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import { serve } from "./served-function.ts";

const environment = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example_canary"}',
  DUEBASE_CRON_SECRET: "cron_canary",
  DUEBASE_STRIPE_SECRET_KEY: "sk_test_canary",
};

describe("dunning under Deno", () => {
  it("refuses to serve without a setting, and says which", { timeout: 30_000 }, async () => {
    const ended = await serve("duebase-dunning", { ...environment, DUEBASE_CRON_SECRET: " " });
    if ("stop" in ended) await ended.stop();
    expect(ended).toMatchObject({ code: 1, output: expect.stringContaining("Missing DUEBASE_CRON_SECRET") });
    expect(ended).not.toMatchObject({ output: expect.stringContaining("canary") });
  });

  it("serves with all of them: 401 for another secret, 202 for the right one, 503 for who waits while the database is away", {
    timeout: 30_000,
  }, async () => {
    const served = await serve("duebase-dunning", environment);
    if (!("stop" in served)) throw new Error(served.output);
    const call = async (secret: string, options: object) => {
      const response = await fetch(served.url, cronCall("duebase-dunning", options, secret));
      await response.body?.cancel();
      return response.status;
    };
    expect(await call("another", {})).toBe(401);
    expect(await call("cron_canary", {})).toBe(202);
    expect(await call("cron_canary", { wait: true })).toBe(503);
    await served.stop();
    expect(served.output()).not.toContain("canary");
  });
});
