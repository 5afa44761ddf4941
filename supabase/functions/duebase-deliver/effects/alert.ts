import { AlertNotTakenError, type PostAlert } from "../../_duebase/alert-webhook.ts";
import type { Effect, Failure } from "../../_duebase/outbox.ts";
import { BY_NO_PERSON } from "../../_duebase/resend.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";
import { writeAlert } from "./written-alert.ts";

/** Whom to mail, and as whom. */
export type AlertMail = { from: string; to: string };

/** What each cause means to the operator, and what to read or do. */
const CAUSES: Record<string, string> = {
  dead_webhook:
    "An event could not be projected and is out of retries. See billing.failed_webhooks; after a fix: select billing.replay_failed_webhook(event_id).",
  quarantined_livemode:
    "Stripe sent an event of the other mode (live or test); it is stored and not projected. If it belongs here, set billing.settings.livemode, then: select billing.replay_failed_webhook(event_id) from billing.failed_webhooks where status = 'quarantined'.",
  quarantined_account:
    "Stripe sent an event of an account this project does not mirror; it is stored and not projected. If it belongs here, set billing.settings.stripe_account, then: select billing.replay_failed_webhook(event_id) from billing.failed_webhooks where status = 'quarantined'.",
  payloads_without_partition:
    "Events came for whose month the database has no partition of payloads. They are stored and projected; their payloads are moved when the partition is made. If this alert comes again, see last_error of payload-partitions in billing.tick_parts.",
  dead_effect:
    "An effect could not be delivered and is out of tries. See billing.outbox where status = 'dead'; after a fix: select billing.replay_outbox(id).",
  email_bounced:
    "A billing email bounced for good; its address gets no more mail. See billing.suppressed_addresses.",
  email_complained:
    "Somebody called a billing email spam; the address gets no more mail. See billing.suppressed_addresses.",
  email_suppressed:
    "Resend keeps a billing email's address on its own list of those that get no mail. See billing.suppressed_addresses.",
  wrong_stripe_key:
    "DUEBASE_STRIPE_SECRET_KEY is of another account or mode than the one that this project mirrors (billing.settings: livemode, stripe_account). Nothing is read or done at Stripe until it is put right; what waits stands in billing.outbox.",
  long_outage:
    "What waits in billing.outbox has waited for hours, as Stripe or Resend does not answer, asks to be left alone, or does not accept the key. It goes on by itself once they answer.",
  dunning_did_not_run:
    "The day's run over overdue payments has not finished, two hours after its time. See billing.dunning_runs and billing.job_problems.",
  dunning_undeliverable:
    "No mail reaches a customer who owes something: there is no address, or it takes none. The case is held until they have another. See billing.dunning_cases where holds is not empty.",
  resumed_with_invoice:
    "A subscription that was paused for non-payment was resumed, and Stripe made an invoice for it. Look whether the customer owes it, and void it if not.",
  resumption_refused:
    "Stripe refused to resume a subscription that was paused for non-payment and has been paid since: its customer paid for nothing. Resume it in Stripe's dashboard; or, once the cause is mended: select billing.replay_outbox(outbox_id).",
  end_refused:
    "Stripe refused what a dunning case ends with. Each daily run decides on it anew; until it succeeds the customer keeps the subscription. End it in Stripe's dashboard, or let go: select billing.close_dunning(case, 'why').",
  paid_while_ending:
    "A debt was closed, by a payment, a credit note or a void, while the subscription was being ended for non-payment. Start it again, or give the money back; no email about it was sent to the customer.",
  owner_deleted_with_subscription:
    'A user or team was deleted whose subscription goes on: nothing else stops the charges. Cancel it at Stripe, say that the team is back: select billing.owner_restored(owner_id), or whose the customer is now: select * from billing.link_customers(\'[{"customer": "cus_…", "owner_id": "…"}]\').',
  two_subscriptions:
    "Somebody pays twice: one buyer has two running subscriptions to one product, the newest named first. Cancel the one too many at Stripe and refund its invoice. Where both are meant, set metadata duebase_another on the second.",
  seats_not_counted:
    "A number of seats was not taken from the application (billing.sync_seats): it was null or negative, or something of ours failed; problem says what. The application's own statement went on. Once it is mended, count again: select billing.sync_seats(owner, count).",
  seats_not_paid:
    "A customer has more seats in use than are paid for: the card was declined, and the change waited at Stripe in vain. It is no debt, and the plan runs on with the seats that are paid. Another card or another number of seats tries again. See billing.seats where status = 'expired'.",
  several_seat_items:
    "An owner has several running subscription items whose price has metadata seats = true, so nobody knows which of them the seats are billed by, and none is changed. Leave one: cancel the others at Stripe, or take the metadata from their prices. See billing.seats.",
  dispute_opened:
    "A customer disputes a payment at their bank, or the bank asks about it. Answer in Stripe's dashboard in time. Until it is decided, reminders of this customer's unpaid invoices are on hold.",
  copy: "Functions of another project than the one that went live work on this database: it is a copy, made by a restore, a clone or a branch. Nothing is sent to customers or changed at Stripe from here. If this project is the original now: npx duebase go-live.",
  paid_after_end:
    "An invoice was paid after its subscription had ended, so the customer paid for nothing. Start a new subscription for the customer at Stripe, or refund the payment; no email about it was sent to the customer.",
};

const NOBODY_TO_ALERT = {
  code: "nobody_to_alert",
  message:
    "duebase-deliver has neither DUEBASE_ALERT_EMAIL nor DUEBASE_ALERT_WEBHOOK_URL. Set one with npx duebase connect; then select billing.replay_outbox(id).",
};

/** Ways to send an alert; `last_error.told` keeps those that are done, so that another try does not repeat them. */
type Way = "mailed" | "posted";

/**
 * Sends an alert to the operator: by mail, which has an idempotency key, and then on the webhook, which has none and
 * therefore comes last. One way
 * that fails does not keep the alert from going the other; it is tried again for what is left.
 */
export async function alert(effect: Effect, run: Run, mailTo: AlertMail | undefined): Promise<Outcome> {
  const told = new Set(toldBefore(effect));
  const failures: Failure[] = [];
  if (mailTo !== undefined && !told.has("mailed")) {
    const failure = await mail(effect, run, mailTo);
    if (failure === undefined) told.add("mailed");
    else failures.push(failure);
  }
  if (run.postAlert && !told.has("posted")) {
    const failure = await post(effect, run, run.postAlert);
    if (failure === undefined) told.add("posted");
    else failures.push(failure);
  }
  const [failure] = failures;
  if (failure !== undefined) {
    return {
      is: "failed",
      error: { ...failure.error, told: [...told] },
      retryAfterSeconds: failure.retryAfterSeconds,
      final: failures.every(({ final }) => final),
      isOutage: failures.some(({ isOutage }) => isOutage),
    };
  }
  if (mailTo === undefined && !run.postAlert) {
    // Nobody was told: it is dead, and so red in the health view, until it is replayed.
    return { is: "failed", error: NOBODY_TO_ALERT, final: true };
  }
  return { is: "delivered" };
}

function toldBefore({ last_error }: Effect): Way[] {
  const told = (last_error as { told?: unknown } | null)?.told;
  return Array.isArray(told) ? told.filter((way): way is Way => way === "mailed" || way === "posted") : [];
}

/** Undefined: the mail was taken. */
async function mail(effect: Effect, run: Run, mailTo: AlertMail): Promise<Failure | undefined> {
  if (!run.maySend)
    return { error: { code: "left_alone", message: "Resend does not answer." }, isOutage: true };
  const plain = alertText(effect.payload);
  const { template, subject, html, text } = writeAlert(effect.payload, run) ?? {
    template: "alert",
    subject: `Duebase alert: ${causeOf(effect.payload).replaceAll("_", " ")}`,
    html: `<pre>${escapeHtml(plain)}</pre>`,
    text: plain,
  };
  await run.pace();
  const startedAt = performance.now();
  const result = await run.sendMails(
    [
      {
        ...mailTo,
        replyTo: null,
        subject,
        text,
        html,
        headers: BY_NO_PERSON,
        tags: { template },
      },
    ],
    effect.dedupe_key,
  );
  run.sendAnswered(result.is !== "unknown", performance.now() - startedAt);
  await run.reach("alert_mailed");
  if (result.is === "sent") return undefined;
  const { code, message, status, retryAfterSeconds, final } = result;
  if (status === 429) run.stopSending();
  const isOutage = !final && (result.is === "unknown" || [401, 403, 429].includes(status ?? 0));
  return { error: { code, message, status }, retryAfterSeconds, final, isOutage };
}

/** Undefined: the webhook took it. */
async function post(
  effect: Effect,
  run: Run,
  postAlert: NonNullable<PostAlert>,
): Promise<Failure | undefined> {
  if (!run.mayPost) {
    return { error: { code: "left_alone", message: "The alert webhook does not answer." }, isOutage: true };
  }
  try {
    const subject = writeAlert(effect.payload, run)?.subject;
    await postAlert([...(subject === undefined ? [] : [subject]), alertText(effect.payload)].join("\n"));
  } catch (error) {
    run.stopPosting();
    const message = error instanceof Error ? error.message : "the alert webhook did not answer";
    const status = error instanceof AlertNotTakenError ? error.status : undefined;
    return {
      error: { code: "not_posted", message, status },
      isOutage: status === undefined || status === 429 || status >= 500,
    };
  }
  await run.reach("alert_posted");
  return undefined;
}

/** The alert as a person reads it: what it means, then the facts. */
export function alertText(payload: unknown): string {
  const cause = causeOf(payload);
  const facts = Object.entries(payload as Record<string, unknown>)
    .filter(([name, value]) => name !== "cause" && name !== "mail" && value !== null)
    .map(([name, value]) => `${name}: ${oneLine(typeof value === "string" ? value : JSON.stringify(value))}`);
  return [CAUSES[cause] ?? `Something needs a person: ${cause}.`, ...facts].join("\n");
}

const LONGEST_FACT = 1_000;

/** A fact on its own line: what it quotes begins no line, hides nothing and turns no text around. */
function oneLine(text: string): string {
  // Controls, what is invisible, and what changes the direction of writing.
  const plain = text.replace(
    /[\p{Cc}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/gu,
    " ",
  );
  return plain.length > LONGEST_FACT ? `${plain.slice(0, LONGEST_FACT)}…` : plain;
}

function causeOf(payload: unknown): string {
  const cause = (payload as { cause?: unknown } | null)?.cause;
  return typeof cause === "string" ? cause : "unknown";
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
