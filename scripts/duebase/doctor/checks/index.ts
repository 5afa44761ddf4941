import type { Check } from "../check.ts";
import { access } from "./access.ts";
import { clocks } from "./clocks.ts";
import { cronRoundTrip } from "./cron-round-trip.ts";
import { dataApi } from "./data-api.ts";
import { extensions } from "./extensions.ts";
import { functions } from "./functions.ts";
import { history } from "./history.ts";
import { jobs } from "./jobs.ts";
import { mode } from "./mode.ts";
import { release } from "./release.ts";
import { resendSender, resendWebhook } from "./resend.ts";
import { settings } from "./settings.ts";
import { stripeDeliveries } from "./stripe-deliveries.ts";
import { stripeEndpoint } from "./stripe-endpoint.ts";
import { stripeKey } from "./stripe-key.ts";
import { stripeEmails, stripeRetries } from "./stripe-settings.ts";
import { vault } from "./vault.ts";
import { webhookRoundTrip } from "./webhook-round-trip.ts";

/** Every check, in the order in which what it finds is put right. */
export const checks: readonly Check[] = [
  release,
  extensions,
  vault,
  functions,
  cronRoundTrip,
  dataApi,
  webhookRoundTrip,
  clocks,
  stripeKey,
  stripeEndpoint,
  stripeDeliveries,
  stripeRetries,
  stripeEmails,
  resendSender,
  resendWebhook,
  settings,
  mode,
  jobs,
  history,
  access,
];
