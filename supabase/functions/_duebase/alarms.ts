import type { PostAlert } from "./alert-webhook.ts";
import type { CallBilling } from "./database.ts";
import { DuebaseError } from "./errors.ts";
import { describeError, type Logger } from "./log.ts";

/** Tells the operator what the database could not tell by itself. Never rejects. */
export type TellAlarms = () => Promise<void>;

/** What `billing.claim_alarms` answers: what has to be told, and whose message it is; `alarms` is empty where nothing is due. */
type ClaimedAlarms = { title: string; lines: string[]; alarms: number[] };

/** How often one instance of a function asks the database, in milliseconds. */
const ASK_EVERY_MS = 60_000;

/**
 * The second way of alarms: where cron, pg_net or Vault is broken, the database tells nobody, and a function that is
 * called from outside finds what is due and posts it. Which alarms are due, and that each is told once an hour by
 * whatever way, is the database's to say (`billing.claim_alarms`); one that was not taken is given back.
 *
 * @param by the function, as `billing.alarms` names it
 */
export function createAlarmTeller(
  by: "duebase-health" | "duebase-stripe-webhook",
  dependencies: { callBilling: CallBilling; postAlert: PostAlert; log: Logger; now: () => number },
): TellAlarms {
  const { callBilling, postAlert, log, now } = dependencies;
  let askedAt = Number.NEGATIVE_INFINITY;

  return async () => {
    // Where nobody can be told, nothing may count as told.
    if (postAlert === undefined || now() - askedAt < ASK_EVERY_MS) return;
    askedAt = now();
    const startedAt = performance.now();
    try {
      const claimed = (await callBilling("claim_alarms", JSON.stringify({ p_way: by }))) as ClaimedAlarms;
      if (claimed.alarms.length === 0) return;
      try {
        await postAlert([claimed.title, ...claimed.lines].join("\n"));
      } catch (error) {
        await callBilling("release_alarms", JSON.stringify({ p_alarms: claimed.alarms }));
        throw error;
      }
      log("warn", {
        outcome: "alarms_told",
        counts: { alarms: claimed.alarms.length },
        duration_ms: Math.round(performance.now() - startedAt),
      });
    } catch (error) {
      log("error", {
        outcome: error instanceof DuebaseError ? error.code : "alarms_not_told",
        duration_ms: Math.round(performance.now() - startedAt),
        ...describeError(error),
      });
    }
  };
}
