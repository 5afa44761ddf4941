import { createAlarmTeller } from "../_duebase/alarms.ts";
import { connectAlerts } from "../_duebase/alert-webhook.ts";
import { keepAliveFor } from "../_duebase/background.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readWebhookEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { namingRelease } from "../_duebase/release.ts";
import { createSignatureVerifier } from "../_duebase/stripe-signature.ts";
import { createGatherer } from "./gather.ts";
import { handleStripeWebhook, type WebhookDependencies } from "./handler.ts";
import { createTurns } from "./turns.ts";

// Throws, and so never serves, when a setting is missing.
const { supabaseUrl, secretKey, projectRef, webhookSecrets, alertWebhookUrl } = readWebhookEnvironment(
  (name) => Deno.env.get(name),
);
const callBilling = connectDatabase({ url: supabaseUrl, secretKey, projectRef });

const log = createLogger("duebase-stripe-webhook");

const tellAlarms = createAlarmTeller("duebase-stripe-webhook", {
  callBilling,
  postAlert: alertWebhookUrl ? connectAlerts(alertWebhookUrl) : undefined,
  log,
  now: Date.now,
});

const dependencies: WebhookDependencies = {
  verifySignature: createSignatureVerifier(webhookSecrets),
  storeEvent: createGatherer({
    receiveEvent: (event) => callBilling("receive_event", `{"event":${event}}`),
    receiveEvents: (events) => callBilling("receive_events", `{"events":${events}}`),
    takeTurn: createTurns(),
  }),
  tellAlarms: () => keepAliveFor(tellAlarms()),
  log,
  now: Date.now,
};

Deno.serve(namingRelease((request) => handleStripeWebhook(request, dependencies)));
