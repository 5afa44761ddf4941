import { describe, expect, it } from "vitest";
import {
  COMMON_NAMES,
  readDeliverEnvironment,
  readWebhookEnvironment,
} from "../../../supabase/functions/_duebase/env.ts";
import { ConfigurationError } from "../../../supabase/functions/_duebase/errors.ts";

const COMPLETE = {
  SUPABASE_URL: "https://example.supabase.co",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_example"}',
  DUEBASE_STRIPE_WEBHOOK_SECRET: "whsec_example",
};

const read = (variables: Record<string, string | undefined>) =>
  readWebhookEnvironment((name) => variables[name]);

describe("the environment of duebase-stripe-webhook", () => {
  it("is read from the names the platform sets", () => {
    expect(read(COMPLETE)).toEqual({
      supabaseUrl: "https://example.supabase.co",
      secretKey: "sb_secret_example",
      webhookSecrets: ["whsec_example"],
      projectRef: "example.supabase.co",
    });
  });

  it.each(["SUPABASE_URL", "SUPABASE_SECRET_KEYS", "DUEBASE_STRIPE_WEBHOOK_SECRET"])(
    "is refused without %s, or with a blank one, by that name",
    (name) => {
      for (const value of [undefined, "", "  ", "\n"]) {
        expect(() => read({ ...COMPLETE, [name]: value })).toThrow(ConfigurationError);
        expect(() => read({ ...COMPLETE, [name]: value })).toThrow(new RegExp(`Missing ${name}`));
      }
    },
  );

  it("names everything that is missing at once", () => {
    expect(() => read({})).toThrow(/SUPABASE_URL.*SUPABASE_SECRET_KEYS.*DUEBASE_STRIPE_WEBHOOK_SECRET/);
  });

  it("takes several webhook secrets, separated by commas", () => {
    const DUEBASE_STRIPE_WEBHOOK_SECRET = " whsec_example_old , whsec_example_new,\n";
    expect(read({ ...COMPLETE, DUEBASE_STRIPE_WEBHOOK_SECRET }).webhookSecrets).toEqual([
      "whsec_example_old",
      "whsec_example_new",
    ]);
  });

  it("takes commas without a secret between them for a missing secret", () => {
    expect(() => read({ ...COMPLETE, DUEBASE_STRIPE_WEBHOOK_SECRET: " , ,," })).toThrow(
      "Missing DUEBASE_STRIPE_WEBHOOK_SECRET",
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

describe("a setting of ours", () => {
  const ours: Record<string, string> = {
    ...COMPLETE,
    DUEBASE_CRON_SECRET: "cron-example",
    DUEBASE_STRIPE_SECRET_KEY: "sk_test_ours",
    DUEBASE_STRIPE_WEBHOOK_SECRET: "whsec_ours",
    DUEBASE_RESEND_API_KEY: "re_ours",
    DUEBASE_RESEND_REQUESTS_PER_SECOND: "5",
    DUEBASE_EMAIL_FROM: "ours@example.com",
    DUEBASE_ALERT_EMAIL: "ours@example.com",
    DUEBASE_ALERT_WEBHOOK_URL: "https://ours.example.com",
  };
  const common: Record<string, string> = {
    STRIPE_SECRET_KEY: "sk_test_common",
    STRIPE_WEBHOOK_SECRET: "whsec_common",
    RESEND_API_KEY: "re_common",
    RESEND_REQUESTS_PER_SECOND: "3",
    EMAIL_FROM: "common@example.com",
    ALERT_EMAIL: "common@example.com",
    ALERT_WEBHOOK_URL: "https://common.example.com",
  };
  const withoutOurs = Object.fromEntries(
    Object.entries({ ...ours, ...common }).filter(([name]) => !(name in COMMON_NAMES)),
  );
  const readAll = (variables: Record<string, string>) => {
    const variable = (name: string) => variables[name];
    return { ...readWebhookEnvironment(variable), ...readDeliverEnvironment(variable) };
  };

  it("wins over the common name", () => {
    expect(readAll({ ...common, ...ours })).toEqual(readAll(ours));
  });

  it("is read under the common name where ours is not set", () => {
    expect(readAll(withoutOurs)).toMatchObject({
      stripeSecretKey: "sk_test_common",
      webhookSecrets: ["whsec_common"],
      resendApiKey: "re_common",
      resendRequestsPerSecond: 3,
      emailFrom: "common@example.com",
      alertEmail: "common@example.com",
      alertWebhookUrl: "https://common.example.com",
    });
  });

  it("is missing where ours is blank, whatever the common name holds", () => {
    const blank = { ...ours, ...common, DUEBASE_STRIPE_SECRET_KEY: " ", DUEBASE_RESEND_API_KEY: "" };
    expect(() => readAll(blank)).toThrow(/Missing DUEBASE_RESEND_API_KEY\./);
    expect(() => readAll(blank)).toThrow(/Missing DUEBASE_STRIPE_SECRET_KEY\./);
    expect(readAll({ ...ours, ...common, DUEBASE_ALERT_EMAIL: " " }).alertEmail).toBeUndefined();
  });

  it("is missed by our name where neither is set, and where the common one is blank", () => {
    const { STRIPE_WEBHOOK_SECRET: _, ...neither } = withoutOurs;
    for (const variables of [neither, { ...neither, STRIPE_WEBHOOK_SECRET: " " }]) {
      expect(() => readAll(variables)).toThrow("Missing DUEBASE_STRIPE_WEBHOOK_SECRET.");
    }
  });

  it("has no common name for what cron shares with the functions", () => {
    const { DUEBASE_CRON_SECRET, ...others } = ours;
    expect(() => readAll({ ...others, CRON_SECRET: DUEBASE_CRON_SECRET ?? "" })).toThrow(
      "Missing DUEBASE_CRON_SECRET.",
    );
  });
});
