import { keepAliveFor } from "../_duebase/background.ts";
import { passThrough, stopAt } from "../_duebase/crash-points.ts";
import { createCallerCheck } from "../_duebase/cron-signature.ts";
import { connectDatabase } from "../_duebase/database.ts";
import { readDunningEnvironment } from "../_duebase/env.ts";
import { createLogger } from "../_duebase/log.ts";
import { connectOutbox } from "../_duebase/outbox.ts";
import { namingRelease } from "../_duebase/release.ts";
import { reportDatabase } from "../_duebase/self-report.ts";
import { connectStripe, modeOfKey } from "../_duebase/stripe.ts";
import { DEFAULT_BUDGET, Run } from "../duebase-deliver/run.ts";
import { runDaily } from "./daily-run.ts";
import { createDunningHandler } from "./handler.ts";

// Throws, and so never serves, when a setting is missing.
const environment = readDunningEnvironment((name) => Deno.env.get(name));
const { isLocal } = environment;

const callBilling = connectDatabase({
  url: environment.supabaseUrl,
  secretKey: environment.secretKey,
  projectRef: environment.projectRef,
});
const callStripe = connectStripe({ secretKey: environment.stripeSecretKey, baseUrl: environment.stripeUrl });
const log = createLogger("duebase-dunning");

const handler = createDunningHandler({
  checkCaller: createCallerCheck(environment.cronSecrets, "duebase-dunning"),
  now: Date.now,
  isLocal,
  log,
  inBackground: keepAliveFor,
  report: () =>
    reportDatabase({ function: "duebase-dunning", project: environment.projectRef }, () =>
      connectOutbox(callBilling, { worker: "probe" }).stripeIdentity(),
    ),
  async run({ now, stop_at, stop_at_nth }) {
    const startedAt = performance.now();
    const worker = `dunning-${crypto.randomUUID().slice(0, 8)}`;
    const run = new Run({
      outbox: connectOutbox(callBilling, { worker, now }),
      reach: stop_at === undefined ? passThrough : stopAt(stop_at, stop_at_nth ?? 1, console.log),
      sendMails: () => Promise.reject(new Error("dunning sends no mail itself")),
      callStripe,
      keyMode: modeOfKey(environment.stripeSecretKey),
      postAlert: undefined,
      log,
      budget: DEFAULT_BUDGET,
    });
    const counts = await runDaily({ callBilling, run, now });
    log(counts.failed ? "warn" : "info", {
      outcome: counts.failed ? "incomplete" : "finished",
      counts,
      duration_ms: Math.round(performance.now() - startedAt),
    });
    return counts;
  },
});

Deno.serve(namingRelease(handler));
