import type { Effect } from "../../_shared/outbox.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";

/** Posts a line to a Slack-compatible webhook; rejects unless it was taken. */
export type PostAlert = ((text: string) => Promise<void>) | undefined;

/** Whom to mail, and as whom. */
export type AlertMail = { from: string; to: string };

const TIMEOUT_MS = 10_000;

/** A poster of alerts to an incoming webhook that understands `{"text": …}`, as Slack's and many others do. */
export function connectAlerts(url: string, send: typeof fetch = fetch): (text: string) => Promise<void> {
  return async (text) => {
    const response = await send(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the alert webhook answered ${response.status}`);
  };
}

/** What each cause means to the person who is woken by it, and where to look. */
const CAUSES: Record<string, string> = {
  dead_webhook:
    "An event could not be projected and is out of retries. See billing.failed_webhooks; after a fix: select billing.replay_failed_webhook(event_id).",
  dead_effect:
    "An effect could not be delivered and is out of tries. See billing.outbox where status = 'dead'; after a fix: select billing.replay_outbox(id).",
  email_bounced:
    "A billing email bounced for good; its address gets no more mail. See billing.suppressed_addresses.",
  email_complained:
    "Somebody called a billing email spam; the address gets no more mail. See billing.suppressed_addresses.",
  email_suppressed:
    "Resend keeps a billing email's address on its own list of those that get no mail. See billing.suppressed_addresses.",
  dunning_did_not_run:
    "The day's run over overdue payments has not finished, two hours after its time. See billing.dunning_runs and billing.job_problems.",
  paid_while_ending:
    "A debt was settled, by a payment, a credit note or a void, in the very moment in which the subscription was ended for non-payment. Start it again, or give the money back; nobody has told the customer anything.",
};

/** Tells the operator: by mail, which is keyed, and then on the webhook, which is not and therefore comes last. */
export async function alert(effect: Effect, run: Run, mailTo: AlertMail | undefined): Promise<Outcome> {
  const text = alertText(effect.payload);
  if (mailTo !== undefined) {
    const subject = `Duebase alert: ${causeOf(effect.payload).replaceAll("_", " ")}`;
    await run.pace();
    const mail = { ...mailTo, replyTo: null, subject, text, html: `<pre>${escapeHtml(text)}</pre>` };
    const result = await run.sendMails([{ ...mail, tags: { template: "alert" } }], effect.dedupe_key);
    await run.reach("alert_mailed");
    if (result.is !== "sent") {
      const { code, message, status, retryAfterSeconds, final } = result;
      return { is: "failed", error: { code, message, status }, retryAfterSeconds, final };
    }
  }
  if (run.postAlert) {
    await run.postAlert(text);
    await run.reach("alert_posted");
  }
  if (mailTo === undefined && !run.postAlert) {
    run.log("error", {
      effect: effect.id,
      kind: "alert",
      type: causeOf(effect.payload),
      outcome: "nobody_to_alert",
      duration_ms: 0,
    });
  }
  return { is: "delivered" };
}

/** The alert as a person reads it: what it means, then the facts. */
export function alertText(payload: unknown): string {
  const cause = causeOf(payload);
  const facts = Object.entries(payload as Record<string, unknown>)
    .filter(([name, value]) => name !== "cause" && value !== null)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [CAUSES[cause] ?? `Something needs a person: ${cause}.`, ...facts].join("\n");
}

function causeOf(payload: unknown): string {
  const cause = (payload as { cause?: unknown } | null)?.cause;
  return typeof cause === "string" ? cause : "unknown";
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
