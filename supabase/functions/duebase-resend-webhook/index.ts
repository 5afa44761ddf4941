import { connectDatabase } from "../_duebase/database.ts";
import { readResendWebhookEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { namingRelease } from "../_duebase/release.ts";
import { createSvixVerifier } from "../_duebase/svix-signature.ts";
import { handleResendWebhook, type ResendWebhookDependencies } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const { supabaseUrl, secretKey, projectRef, webhookSecrets } = readResendWebhookEnvironment((name) =>
  Deno.env.get(name),
);
const callBilling = connectDatabase({ url: supabaseUrl, secretKey, projectRef });

const dependencies: ResendWebhookDependencies = {
  verifySignature: createSvixVerifier(webhookSecrets),
  receiveReport: (id, report) =>
    callBilling("receive_email_report", `{"p_id":${JSON.stringify(id)},"p_report":${report}}`),
  log: createLogger("duebase-resend-webhook"),
  now: Date.now,
};

Deno.serve(namingRelease((request) => handleResendWebhook(request, dependencies)));
