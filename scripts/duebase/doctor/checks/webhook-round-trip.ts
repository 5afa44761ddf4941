import { signProbe } from "../../../../supabase/functions/_duebase/probe-event.ts";
import { type Check, type Finding, mayBeWrong, right, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { roundTripReport } from "../round-trip.ts";

/** A signed event through duebase-stripe-webhook into the database, of which nothing stays. */
export const webhookRoundTrip: Check = {
  name: "webhook_round_trip",
  title: "webhook to database",
  timeout: 20_000,
  async look(context) {
    return [await withOwnSecret(context), await withFunctionsSecret(context)].filter(
      (finding) => finding !== undefined,
    );
  },
};

/** With the secret that this machine has, which says whether the two agree. */
async function withOwnSecret(context: DoctorContext): Promise<Finding | undefined> {
  const { url } = await context.functions();
  if (context.webhookSecret === undefined || url === null) return undefined;
  const { livemode, stripe_account } = await context.settings();
  const [secret = ""] = context.webhookSecret.split(",").map((one) => one.trim());
  const probe = await signProbe(secret, { livemode, account: stripe_account }, Date.now());
  const response = await fetch(`${url}/duebase-stripe-webhook`, {
    method: "POST",
    headers: probe.headers,
    body: probe.body,
    redirect: "manual",
    signal: AbortSignal.any([context.signal, AbortSignal.timeout(10_000)]),
  }).catch(() => undefined);
  if (response === undefined) {
    return wrong("duebase-stripe-webhook did not answer", "supabase functions deploy duebase-stripe-webhook");
  }
  const answer = (await response.json().catch(() => ({}))) as { outcome?: string; error?: { code?: string } };
  const is = answer.outcome ?? answer.error?.code ?? `http_${response.status}`;
  return meaningOf(is, "this command\u2019s DUEBASE_STRIPE_WEBHOOK_SECRET");
}

/** With the secret that the functions have: the way in works, whoever signs with it. */
async function withFunctionsSecret(context: DoctorContext): Promise<Finding | undefined> {
  const { report, instead } = await roundTripReport(context, "whether a signed event gets through");
  if (!report?.webhook) return instead;
  const { is, says } = report.webhook;
  return meaningOf(is === "ok" ? "probed" : is, "the functions\u2019 own secret", says);
}

function meaningOf(is: string, signedWith: string, says?: string): Finding {
  if (is === "probed") return right(`an event signed with ${signedWith} gets to the database and back`);
  if (is === "no_secret") {
    return wrong(
      "the functions have no DUEBASE_STRIPE_WEBHOOK_SECRET",
      "supabase secrets set DUEBASE_STRIPE_WEBHOOK_SECRET=whsec_… (Stripe shows it at the endpoint), or: npx duebase connect",
    );
  }
  if (is === "signature_mismatch") {
    return wrong(
      `duebase-stripe-webhook does not take what is signed with ${signedWith}`,
      "supabase secrets set DUEBASE_STRIPE_WEBHOOK_SECRET=whsec_…, the signing secret that Stripe shows at the endpoint",
    );
  }
  if (is === "signature_too_old" || is === "signature_too_new") {
    return wrong(
      "the clock of who signed and that of the function are minutes apart",
      "see \u201cclocks\u201d",
    );
  }
  if (is === "http_401" || is.startsWith("UNAUTHORIZED")) {
    return wrong(
      "the platform refuses webhooks before the function sees them (verify_jwt)",
      "verify_jwt = false under [functions.duebase-stripe-webhook] in supabase/config.toml, then deploy it",
    );
  }
  if (is === "database_unavailable")
    return mayBeWrong("the database did not answer the webhook in time", "try again");
  if (is === "http_404") {
    return wrong(
      "duebase-stripe-webhook is not deployed",
      "supabase functions deploy duebase-stripe-webhook",
    );
  }
  return wrong(
    `an event signed with ${signedWith} does not get through: ${says ?? is}`,
    is === "database_misconfigured"
      ? "add billing to the exposed schemas (dashboard: Settings, Data API), or: npx duebase connect"
      : "the log of duebase-stripe-webhook says why",
  );
}
