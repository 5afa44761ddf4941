import { keepAliveFor } from "../_duebase/background.ts";
import { createCallerCheck } from "../_duebase/cron-signature.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readDunningEnvironment } from "../_duebase/env.ts";
import { readIdentity } from "../_duebase/history/key-check.ts";
import { createLogger } from "../_duebase/log.ts";
import { namingRelease } from "../_duebase/release.ts";
import { reportDatabase } from "../_duebase/self-report.ts";
import { connectStripe } from "../_duebase/stripe.ts";
import { createReconcileHandler } from "./handler.ts";
import { reconcile } from "./reconcile.ts";

// Throws, and so never serves, when a setting is missing. It needs what duebase-dunning needs.
const environment = readDunningEnvironment((name) => Deno.env.get(name));

const callBilling = connectDatabase({
  url: environment.supabaseUrl,
  secretKey: environment.secretKey,
  projectRef: environment.projectRef,
});
const callStripe = connectStripe({ secretKey: environment.stripeSecretKey, baseUrl: environment.stripeUrl });
const log = createLogger("duebase-reconcile");

const handler = createReconcileHandler({
  checkCaller: createCallerCheck(environment.cronSecrets, "duebase-reconcile"),
  now: Date.now,
  isLocal: environment.isLocal,
  log,
  inBackground: keepAliveFor,
  report: () =>
    reportDatabase({ function: "duebase-reconcile", project: environment.projectRef }, () =>
      readIdentity(callBilling),
    ),
  async run({ now }) {
    const startedAt = performance.now();
    const counts = await reconcile({
      callBilling,
      callStripe,
      secretKey: environment.stripeSecretKey,
      holder: `duebase-reconcile ${crypto.randomUUID().slice(0, 8)}`,
      now,
    });
    log(counts.incomplete ? "warn" : "info", {
      outcome: counts.incomplete ? "incomplete" : counts.paused ? "paused" : "finished",
      counts,
      duration_ms: Math.round(performance.now() - startedAt),
    });
    return counts;
  },
});

Deno.serve(namingRelease(handler));
