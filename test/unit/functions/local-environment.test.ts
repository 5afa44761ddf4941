import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { functionEnvironment } from "../../../scripts/local/functions/environment.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { readDeliverEnvironment } from "../../../supabase/functions/_duebase/env.ts";

let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "duebase-env-"));
  mkdirSync(join(project, "supabase", "functions"), { recursive: true });
});

afterEach(() => rmSync(project, { recursive: true }));

/** The Stripe key that a function of the local stack reads where supabase/functions/.env holds this. */
function stripeKeyWith(dotenv: string): string {
  writeFileSync(join(project, "supabase", "functions", ".env"), dotenv);
  const url = "http://127.0.0.1:1";
  const environment = functionEnvironment(
    {
      API_URL: url,
      FUNCTIONS_URL: url,
      DB_URL: url,
      STUDIO_URL: url,
      INBOX_URL: url,
      STRIPE_API_URL: url,
      PUBLISHABLE_KEY: localKeys.publishable,
      SECRET_KEY: localKeys.secret,
      STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret,
      OWNER_PID: process.pid,
    },
    url,
    project,
  );
  return readDeliverEnvironment((name) => environment[name]).stripeSecretKey;
}

describe("the local stack gives a function the Stripe key", () => {
  it.each([
    ["of the local Stripe where the developer keeps none", "", localKeys.stripeSecretKey],
    ["that the developer keeps under our name", "DUEBASE_STRIPE_SECRET_KEY=sk_test_a", "sk_test_a"],
    ["that the developer keeps under the common name", "STRIPE_SECRET_KEY=sk_test_b", "sk_test_b"],
    [
      "under our name where the developer keeps both",
      "STRIPE_SECRET_KEY=sk_test_b\nDUEBASE_STRIPE_SECRET_KEY=sk_test_a",
      "sk_test_a",
    ],
  ])("%s", (_what, dotenv, key) => {
    expect(stripeKeyWith(dotenv)).toBe(key);
  });
});
