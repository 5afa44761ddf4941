import { describe, expect, it } from "vitest";
import { readWebhookEnvironment } from "../../../supabase/functions/_shared/env.ts";
import { ConfigurationError } from "../../../supabase/functions/_shared/errors.ts";

const COMPLETE = {
  SUPABASE_URL: "https://example.supabase.co",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example"}',
  STRIPE_WEBHOOK_SECRET: "whsec_example",
};

const read = (variables: Record<string, string | undefined>) =>
  readWebhookEnvironment((name) => variables[name]);

describe("the environment of stripe-webhook", () => {
  it("is read from the names the platform sets", () => {
    expect(read(COMPLETE)).toEqual({
      supabaseUrl: "https://example.supabase.co",
      secretKey: "sb_secret_example",
      webhookSecrets: ["whsec_example"],
    });
  });

  it.each(["SUPABASE_URL", "SUPABASE_SECRET_KEYS", "STRIPE_WEBHOOK_SECRET"])(
    "is refused without %s, or with a blank one, by that name",
    (name) => {
      for (const value of [undefined, "", "  ", "\n"]) {
        expect(() => read({ ...COMPLETE, [name]: value })).toThrow(ConfigurationError);
        expect(() => read({ ...COMPLETE, [name]: value })).toThrow(new RegExp(`Missing ${name}`));
      }
    },
  );

  it("names everything that is missing at once", () => {
    expect(() => read({})).toThrow(/SUPABASE_URL.*SUPABASE_SECRET_KEYS.*STRIPE_WEBHOOK_SECRET/);
  });

  it("takes several webhook secrets, separated by commas", () => {
    const STRIPE_WEBHOOK_SECRET = " whsec_example_old , whsec_example_new,\n";
    expect(read({ ...COMPLETE, STRIPE_WEBHOOK_SECRET }).webhookSecrets).toEqual([
      "whsec_example_old",
      "whsec_example_new",
    ]);
  });

  it("takes commas without a secret between them for a missing secret", () => {
    expect(() => read({ ...COMPLETE, STRIPE_WEBHOOK_SECRET: " , ,," })).toThrow(
      "Missing STRIPE_WEBHOOK_SECRET",
    );
  });

  it.each([
    [
      "the default key",
      { SUPABASE_SECRET_KEYS: '{"other":"sb_secret_b","default":"sb_secret_a"}' },
      "sb_secret_a",
    ],
    ["the only key there is", { SUPABASE_SECRET_KEYS: '{"billing":"sb_secret_b"}' }, "sb_secret_b"],
    ["a single key", { SUPABASE_SECRET_KEYS: "", SUPABASE_SECRET_KEY: "sb_secret_c" }, "sb_secret_c"],
    [
      "the older service_role key",
      { SUPABASE_SECRET_KEYS: undefined, SUPABASE_SERVICE_ROLE_KEY: "a.b.c" },
      "a.b.c",
    ],
    ["the new key where both are set", { SUPABASE_SERVICE_ROLE_KEY: "a.b.c" }, "sb_secret_example"],
  ])("uses %s", (_what, variables, key) => {
    expect(read({ ...COMPLETE, ...variables }).secretKey).toBe(key);
  });

  it.each(["sb_secret_canary", '"sb_secret_canary"', "{}", '{"default":""}', "[]", "null", "{canary"])(
    "refuses %s as SUPABASE_SECRET_KEYS without repeating it",
    (value) => {
      const attempt = () => read({ ...COMPLETE, SUPABASE_SECRET_KEYS: value });
      expect(attempt).toThrow(/SUPABASE_SECRET_KEYS is not a JSON dictionary/);
      expect(attempt).not.toThrow(/canary/);
    },
  );

  it.each(["example.supabase.co", "postgresql://example", "://"])("refuses %s as SUPABASE_URL", (url) => {
    expect(() => read({ ...COMPLETE, SUPABASE_URL: url })).toThrow(/SUPABASE_URL/);
  });

  it("forgives a slash at the end of SUPABASE_URL", () => {
    expect(read({ ...COMPLETE, SUPABASE_URL: "http://127.0.0.1:54321/" }).supabaseUrl).toBe(
      "http://127.0.0.1:54321",
    );
  });
});
