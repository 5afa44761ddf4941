import { describe, expect, it } from "vitest";
import { serve } from "./served-function.ts";

const environment = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example_canary"}',
  DUEBASE_STRIPE_SECRET_KEY: "sk_test_canary",
};

describe.each(["duebase-portal", "duebase-checkout"])("%s under Deno", (slug) => {
  it("refuses to serve without a setting, and says which", { timeout: 30_000 }, async () => {
    const ended = await serve(slug, { ...environment, DUEBASE_STRIPE_SECRET_KEY: " " });
    if ("stop" in ended) await ended.stop();
    expect(ended).toMatchObject({
      code: 1,
      output: expect.stringContaining("Missing DUEBASE_STRIPE_SECRET_KEY"),
    });
    expect(ended).not.toMatchObject({ output: expect.stringContaining("canary") });
  });

  it("serves with all of them, and says 503 while the project is away", { timeout: 30_000 }, async () => {
    const served = await serve(slug, environment);
    if (!("stop" in served)) throw new Error(served.output);
    const response = await fetch(served.url, { method: "POST" });
    expect([response.status, response.headers.get("retry-after")]).toEqual([
      503,
      expect.stringMatching(/^\d+$/),
    ]);
    await response.body?.cancel();
    await served.stop();
    expect(served.output()).not.toContain("canary");
  });
});
