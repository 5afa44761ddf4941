import type { DeliverEnvironment } from "../_duebase/env.ts";
import type { StripeIdentity } from "../_duebase/outbox.ts";
import { signProbe } from "../_duebase/probe-event.ts";
import {
  type Finding,
  findingOf,
  PART_TIMEOUT_MS,
  reportDatabase,
  type SelfReport,
} from "../_duebase/self-report.ts";
import { type CallStripe, modeOfKey } from "../_duebase/stripe.ts";
import { StripeAccess } from "./stripe-access.ts";

export type ReportDependencies = {
  callStripe: CallStripe;
  readIdentity: () => Promise<StripeIdentity>;
  /** Of `duebase-stripe-webhook`: secrets are the same for all functions of a project. */
  webhookSecrets: readonly string[];
  fetch?: typeof fetch;
};

/**
 * What `duebase-deliver` is set up with, and how it gets on with the database, Stripe, Resend and the way in. Reads only;
 * of the probe event that it signs nothing stays.
 */
export async function reportDelivery(
  environment: DeliverEnvironment,
  dependencies: ReportDependencies,
): Promise<SelfReport> {
  // Asked once, for all parts.
  const identity = dependencies.readIdentity();
  identity.catch(() => {});
  const [report, webhook, stripe, resend] = await Promise.all([
    reportDatabase({ function: "duebase-deliver", project: environment.projectRef }, () => identity),
    findingOf(() => tryWayIn(environment, dependencies, identity)),
    findingOf(() => tryStripe(environment, dependencies, identity)),
    findingOf(() => tryResend(environment, dependencies)),
  ]);
  return {
    ...report,
    local_stack: environment.isLocal,
    webhook,
    stripe: { ...stripe, mode: modeOfKey(environment.stripeSecretKey) ?? "unknown" },
    resend,
    email_from: environment.emailFrom ?? null,
    alerts: {
      email: environment.alertEmail !== undefined,
      webhook: environment.alertWebhookUrl !== undefined,
    },
  };
}

async function tryWayIn(
  { supabaseUrl }: DeliverEnvironment,
  { webhookSecrets, fetch: send = fetch }: ReportDependencies,
  identity: Promise<StripeIdentity>,
): Promise<Finding> {
  // The first one is the newest while a secret is being rotated.
  const [secret] = webhookSecrets;
  if (secret === undefined)
    return { is: "no_secret", says: "DUEBASE_STRIPE_WEBHOOK_SECRET is missing or blank." };
  const probe = await signProbe(secret, await identity, Date.now());
  const response = await send(`${supabaseUrl}/functions/v1/duebase-stripe-webhook`, {
    method: "POST",
    headers: probe.headers,
    body: probe.body,
    redirect: "manual",
    signal: AbortSignal.timeout(PART_TIMEOUT_MS),
  });
  const answer = (await response.json().catch(() => ({}))) as {
    outcome?: string;
    error?: { code?: string; message?: string };
  };
  if (answer.outcome === "probed") return { is: "ok" };
  return {
    is: answer.outcome ?? answer.error?.code ?? `http_${response.status}`,
    says: answer.error?.message ?? `duebase-stripe-webhook answered ${response.status}.`,
  };
}

/** How one that may be wrong is told from one that is right: see StripeAccess. */
async function tryStripe(
  { stripeSecretKey }: DeliverEnvironment,
  { callStripe }: ReportDependencies,
  identity: Promise<StripeIdentity>,
): Promise<Finding> {
  const access = new StripeAccess({
    call: callStripe,
    readIdentity: () => identity,
    keyMode: modeOfKey(stripeSecretKey),
    limits: { failures: 1, waitedMs: PART_TIMEOUT_MS },
  });
  await access.call({ method: "GET", path: "/v1/customers", params: { limit: "1" } });
  return access.isProven
    ? { is: "ok" }
    : { is: "unproven", says: "Nothing is known yet that the key could be tried on." };
}

const RESEND_URL = "https://api.resend.com";

async function tryResend(
  { resendApiKey, resendUrl = RESEND_URL }: DeliverEnvironment,
  { fetch: send = fetch }: ReportDependencies,
): Promise<Finding> {
  const response = await send(`${resendUrl}/domains`, {
    headers: { authorization: `Bearer ${resendApiKey}`, "user-agent": "duebase" },
    redirect: "manual",
    signal: AbortSignal.timeout(PART_TIMEOUT_MS),
  });
  const answer = (await response.json().catch(() => ({}))) as { name?: string; message?: string };
  // Who is asked to come back later was let in.
  if (response.ok || response.status === 429) return { is: "ok" };
  // A key that may only send mail is the right one to give a function.
  if (answer.name === "restricted_api_key") return { is: "ok", says: "The key may only send mail." };
  return {
    is: answer.name ?? `http_${response.status}`,
    says: answer.message ?? `Resend answered ${response.status}.`,
  };
}
