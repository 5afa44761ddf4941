import { describe, expect, it } from "vitest";
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

  it("serves with all of them: 401 without the secret, 202 with it, 503 for who waits while the database is away", {
    timeout: 30_000,
  }, async () => {
    const served = await serve("duebase-dunning", environment);
    if (!("stop" in served)) throw new Error(served.output);
    const call = async (authorization: string, body: object) => {
      const response = await fetch(served.url, {
        method: "POST",
        headers: { authorization },
        body: JSON.stringify(body),
      });
      await response.body?.cancel();
      return response.status;
    };
    expect(await call("Bearer another", {})).toBe(401);
    expect(await call("Bearer cron_canary", {})).toBe(202);
    expect(await call("Bearer cron_canary", { wait: true })).toBe(503);
    await served.stop();
    expect(served.output()).not.toContain("canary");
  });
});
