import { createAlarmTeller } from "../_duebase/alarms.ts";
import { connectAlerts } from "../_duebase/alert-webhook.ts";
import { keepAliveFor } from "../_duebase/background.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readHealthEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { namingRelease } from "../_duebase/release.ts";
import { createSecretCheck } from "../_duebase/shared-secret.ts";
import { createHealthHandler, type HealthRow } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readHealthEnvironment((name) => Deno.env.get(name));

const callBilling = connectDatabase({
  url: environment.supabaseUrl,
  secretKey: environment.secretKey,
  projectRef: environment.projectRef,
});
const log = createLogger("duebase-health");

const tellAlarms = createAlarmTeller("duebase-health", {
  callBilling,
  postAlert: environment.alertWebhookUrl ? connectAlerts(environment.alertWebhookUrl) : undefined,
  log,
  now: Date.now,
});

const handler = createHealthHandler({
  hasSecret: createSecretCheck(environment.healthSecrets),
  readHealth: async () => (await callBilling("check_health", "{}")) as HealthRow[],
  tellAlarms: () => keepAliveFor(tellAlarms()),
  log,
  now: Date.now,
});

Deno.serve(namingRelease(handler));
