import { connectDatabase } from "../_duebase/database.ts";
import { readWebhookEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { namingRelease } from "../_duebase/release.ts";
import { createSignatureVerifier } from "../_duebase/stripe-signature.ts";
import { createGatherer } from "./gather.ts";
import { handleStripeWebhook, type WebhookDependencies } from "./handler.ts";
import { createTurns } from "./turns.ts";

// Throws, and so never serves, when a setting is missing.
const { supabaseUrl, secretKey, projectRef, webhookSecrets } = readWebhookEnvironment((name) =>
  Deno.env.get(name),
);
const callBilling = connectDatabase({ url: supabaseUrl, secretKey, projectRef });

const dependencies: WebhookDependencies = {
  verifySignature: createSignatureVerifier(webhookSecrets),
  storeEvent: createGatherer({
    receiveEvent: (event) => callBilling("receive_event", `{"event":${event}}`),
    receiveEvents: (events) => callBilling("receive_events", `{"events":${events}}`),
    takeTurn: createTurns(),
  }),
  log: createLogger("duebase-stripe-webhook"),
  now: Date.now,
};

Deno.serve(namingRelease((request) => handleStripeWebhook(request, dependencies)));
