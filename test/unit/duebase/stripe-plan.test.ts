import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Found, Wanted } from "../../../scripts/duebase/connect/plan.ts";
import { planStripeEndpoint } from "../../../scripts/duebase/connect/stripe-plan.ts";
import { secretDigest } from "../../../scripts/duebase/connections/management.ts";
import { RESEND_EVENTS } from "../../../scripts/duebase/connections/resend.ts";
import type { WebhookEndpoint } from "../../../scripts/duebase/connections/stripe.ts";
import { projectRoot } from "../../../scripts/local/project.ts";

const functionsUrl = "https://abcdefghijklmnopqrst.supabase.co/functions/v1";
const old = secretDigest("whsec_old_example");

const wanted: Wanted = {
  functionsUrl,
  given: new Map(),
  stripeAccount: undefined,
  renew: new Set(),
  slugs: [],
};
const found: Found = {
  projectRef: "abcdefghijklmnopqrst",
  exposedSchemas: [],
  digests: new Map([["DUEBASE_STRIPE_WEBHOOK_SECRET", old]]),
  deployed: new Set(),
  database: {
    vault: new Map(),
    livemode: false,
    stripeAccount: null,
    eventTypes: ["invoice.paid"],
    hasEvents: false,
  },
};

function endpoint(id: string, metadata: Record<string, string>): WebhookEndpoint {
  const url = `${functionsUrl}/duebase-stripe-webhook`;
  return { id, url, status: "enabled", enabled_events: ["*"], livemode: false, metadata };
}

const steps = (endpoints: WebhookEndpoint[], want = wanted): string[] =>
  planStripeEndpoint(found, want, { endpoints, destinations: undefined }).steps.map(({ id }) => id);

test("an endpoint whose secret was not stored is made anew, though the project has an older secret", () => {
  expect(steps([endpoint("we_lost", { duebase_project: found.projectRef })])).toEqual(["stripe-endpoint"]);
});

test("beside one whose secret is stored, an interrupted one is deleted and the other kept", () => {
  const right = endpoint("we_right", { duebase_project: found.projectRef, duebase_secret_sha256: old });
  const lost = endpoint("we_lost", { duebase_project: found.projectRef });
  const plan = planStripeEndpoint(found, wanted, { endpoints: [lost, right], destinations: undefined });
  expect(plan.steps.map(({ what }) => what)).toEqual(["delete we_lost, which sends to the same address"]);
});

test("a secret that a person changed since is kept and told of, as it may hold several", () => {
  const made = endpoint("we_made", { duebase_project: "x", duebase_secret_sha256: secretDigest("other") });
  const plan = planStripeEndpoint(found, wanted, { endpoints: [made], destinations: undefined });
  expect(plan.steps).toEqual([]);
  expect(plan.notes.join()).toContain("--renew stripe");
});

test("what connect stored is kept, whatever this machine's environment has of another endpoint", () => {
  const right = endpoint("we_right", { duebase_project: found.projectRef, duebase_secret_sha256: old });
  const given = new Map([["DUEBASE_STRIPE_WEBHOOK_SECRET", "whsec_of_stripe_listen_example"]]);
  expect(steps([right], { ...wanted, given })).toEqual([]);
});

test("Resend is asked for exactly the events that the database records", () => {
  const sql = readFileSync(join(projectRoot, "supabase/schemas/08_emails/080_email_reports.sql"), "utf8");
  const recorded = [...sql.matchAll(/when '(email\.\w+)' then '/g)].map(([, type]) => type);
  expect(new Set(RESEND_EVENTS)).toEqual(new Set(recorded));
});
