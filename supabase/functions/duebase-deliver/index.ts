import { connectAlerts } from "../_duebase/alert-webhook.ts";
import { keepAliveFor } from "../_duebase/background.ts";
import { passThrough, stopAt } from "../_duebase/crash-points.ts";
import { createCallerCheck } from "../_duebase/cron-signature.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readDeliverEnvironment, readSecretsOfStripesWebhook } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { connectOutbox } from "../_duebase/outbox.ts";
import { namingRelease } from "../_duebase/release.ts";
import { connectResend } from "../_duebase/resend.ts";
import { connectStripe, modeOfKey } from "../_duebase/stripe.ts";
import { drain } from "./drain.ts";
import { createDeliverHandler } from "./handler.ts";
import { DEFAULT_BUDGET, Run } from "./run.ts";
import { reportDelivery } from "./self-report.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readDeliverEnvironment((name) => Deno.env.get(name));
const { isLocal, alertEmail, emailFrom } = environment;

const callBilling = connectDatabase({
  url: environment.supabaseUrl,
  secretKey: environment.secretKey,
  projectRef: environment.projectRef,
});
const sendMails = connectResend({ apiKey: environment.resendApiKey, baseUrl: environment.resendUrl });
const callStripe = connectStripe({ secretKey: environment.stripeSecretKey, baseUrl: environment.stripeUrl });
const postAlert = environment.alertWebhookUrl ? connectAlerts(environment.alertWebhookUrl) : undefined;
const log = createLogger("duebase-deliver");
const budget = { ...DEFAULT_BUDGET, sendIntervalMs: 1000 / environment.resendRequestsPerSecond };

const handler = createDeliverHandler({
  checkCaller: createCallerCheck(environment.cronSecrets, "duebase-deliver"),
  now: Date.now,
  isLocal,
  log,
  inBackground: keepAliveFor,
  report: () =>
    reportDelivery(environment, {
      callStripe,
      readIdentity: () => connectOutbox(callBilling, { worker: "probe" }).stripeIdentity(),
      webhookSecrets: readSecretsOfStripesWebhook((name) => Deno.env.get(name)),
    }),
  async run({ now, stop_at, stop_at_nth }) {
    const startedAt = performance.now();
    const worker = `deliver-${crypto.randomUUID().slice(0, 8)}`;
    const run = new Run({
      outbox: connectOutbox(callBilling, { worker, defaultSender: emailFrom, now }),
      reach: stop_at === undefined ? passThrough : stopAt(stop_at, stop_at_nth ?? 1, console.log),
      sendMails,
      callStripe,
      keyMode: modeOfKey(environment.stripeSecretKey),
      postAlert,
      log,
      budget,
    });
    await drain(run, {
      alertMail: alertEmail && emailFrom ? { from: emailFrom, to: alertEmail } : undefined,
      now: () => (now === undefined ? Date.now() : Date.parse(now)),
    });
    log("info", {
      outcome: "drained",
      counts: run.counts,
      duration_ms: Math.round(performance.now() - startedAt),
    });
    return run.counts;
  },
});

Deno.serve(namingRelease(handler));
