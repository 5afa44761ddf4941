import { EmailError, renderStoredEmail } from "../../_duebase/emails.gen.js";
import type {
  Effect,
  EmailAnswer,
  EmailStep,
  Endings,
  Failure,
  KeptEmail,
  WrittenEmail,
} from "../../_duebase/outbox.ts";
import {
  BY_NO_PERSON,
  LARGEST_BATCH,
  type Mail,
  type SendResult,
  toldAsTags,
} from "../../_duebase/resend.ts";
import type { Run } from "../run.ts";

type Brand = Parameters<typeof renderStoredEmail>[2]["brand"];
/** A claimed email, and what it needs next. */
type Waiting = { effect: Effect; step: EmailStep };

/** How long emails wait that Resend was not asked about, when it asked for no time itself, seconds. */
const LEAVE_RESEND_ALONE_SECONDS = 30;

/**
 * Delivers the claimed emails, one request to Resend after another: written once, kept, sent as kept. Mails that are
 * not begun, because time is up or Resend is not to be asked now, are handed back. Rejects only when the database does.
 */
export async function deliverEmails(effects: readonly Effect[], run: Run): Promise<void> {
  if (effects.length === 0) return;
  const steps = await run.outbox.prepareEmails(effects);
  await run.reach("emails_prepared");
  run.counts.set_aside += effects.length - steps.length;
  const byId = new Map(effects.map((effect) => [effect.id, effect]));
  const requests = requestsOf(
    steps.flatMap((step) => {
      const effect = byId.get(step.id);
      return effect ? [{ step, effect }] : [];
    }),
  );

  let pause: number | undefined;
  for (let next = requests.shift(); next; next = requests.shift()) {
    if (!run.maySend || !run.mayGoOn) {
      const rest = [next, ...requests].flat().map(({ effect }) => effect);
      await run.outbox.release(rest, run.maySend ? undefined : (pause ?? LEAVE_RESEND_ALONE_SECONDS));
      run.counts.handed_back += rest.length;
      return;
    }
    const { written, left } = await write(next, run);
    if (left.length > 0) requests.unshift(left);
    pause = await send(next, written, run);
  }
}

/**
 * Which mails go in one request, in the order they fall due: those that are to be written go together, one with an
 * attachment and a kept one by itself, the mails of a kept batch with each other.
 */
function requestsOf(waiting: readonly Waiting[]): Waiting[][] {
  const requests: Waiting[][] = [];
  const batches = new Map<string, Waiting[]>();
  for (const mail of waiting) {
    const { batch } = mail.step;
    // One that goes by itself does not part those that go together.
    const last = requests.findLast(([first]) => first?.step.alone !== true);
    const joins =
      batch === undefined
        ? joinsOthers(mail.step) && joinsOthers(last?.[0]?.step) && last && last.length < LARGEST_BATCH
          ? last
          : undefined
        : batches.get(batch);
    if (joins) {
      joins.push(mail);
      continue;
    }
    const request = [mail];
    requests.push(request);
    if (batch !== undefined) batches.set(batch, request);
  }
  return requests;
}

/** Whether a mail may go in one request with others that are to be written. */
function joinsOthers(step: EmailStep | undefined): boolean {
  return step?.render !== undefined && step.alone !== true;
}

/** Writes those that are to be written, until the run's share of rendering is spent; what is left is another request. */
async function write(
  mails: readonly Waiting[],
  run: Run,
): Promise<{ written: WrittenEmail[]; left: Waiting[] }> {
  const written: WrittenEmail[] = [];
  for (const [index, { effect, step }] of mails.entries()) {
    if (index > 0 && step.render !== undefined && !run.mayGoOn) return { written, left: mails.slice(index) };
    const email = await writeOne(effect, step, run);
    if (email === undefined) continue;
    written.push(email);
    await run.reach("email_rendered");
  }
  return { written, left: [] };
}

/** Undefined: it cannot be written, now or ever; the row is dead and says why. */
async function writeOne(effect: Effect, step: EmailStep, run: Run): Promise<WrittenEmail | undefined> {
  const { render } = step;
  if (render === undefined) return { id: step.id };
  try {
    const email = run.render(() =>
      renderStoredEmail(render.template, render.props, {
        brand: render.brand as Brand,
        locales: render.locales,
      }),
    );
    return { id: step.id, subject: email.subject, html: email.html, text: email.text, locale: email.locale };
  } catch (error) {
    const failure = {
      // A template's own messages name fields, never what was in them.
      error:
        error instanceof EmailError
          ? { code: error.code, message: error.message }
          : { code: "render_failed", message: error instanceof Error ? error.name : "unknown" },
      final: true,
    };
    count(run, await run.outbox.failEmails([effect], true, failure));
    await run.reach("effect_failed");
    run.log("error", {
      effect: effect.id,
      kind: "email",
      type: render.template,
      outcome: failure.error.code,
      duration_ms: 0,
    });
    return undefined;
  }
}

/** Makes one request. Returns the seconds after which Resend may be asked again, where it asked for a pause. */
async function send(
  mails: readonly Waiting[],
  written: readonly WrittenEmail[],
  run: Run,
): Promise<number | undefined> {
  const held = new Map(mails.map(({ effect }) => [effect.id, effect]));
  const [first] = mails;
  if (first === undefined || written.length === 0) return undefined;
  const claimId = first.effect.claim_id;
  // A batch comes back whole, in any order, with those of its mails that this run does not hold.
  const kept = await run.outbox.beginEmails(claimId, written);
  kept.sort((a, b) => (a.batch_position ?? 0) - (b.batch_position ?? 0));
  await run.reach("email_begun");
  const begun = kept.flatMap(({ outbox_id }) => held.get(outbox_id) ?? []);
  run.counts.lost += written.length - begun.length;
  const [mail] = kept;
  if (mail === undefined) return undefined;

  await run.pace(kept.length);
  const startedAt = performance.now();
  const result = await run.sendMails(kept.map(mailOf), idempotencyKey(mail));
  const durationMs = Math.round(performance.now() - startedAt);
  await run.reach("email_sent");
  run.sendAnswered(result.is !== "unknown", durationMs);
  if (result.is !== "sent" && result.status === 429) run.stopSending();
  const endings = await record(result, kept, begun, run);
  const isLost = Object.keys(endings).length === 0;
  count(run, isLost ? { lost: begun.length } : endings);
  for (const [index, email] of kept.entries()) {
    const effect = held.get(email.outbox_id);
    if (effect === undefined) continue;
    const refusal = refusalOf(result, index);
    run.log(refusal === undefined ? "info" : "warn", {
      effect: effect.id,
      kind: "email",
      type: email.template,
      customer: email.customer_id ?? undefined,
      attempt: effect.attempts,
      outcome: isLost ? "lost" : (refusal?.code ?? "delivered"),
      status: result.is === "sent" ? undefined : result.status,
      duration_ms: durationMs,
    });
  }
  return result.is === "sent" ? undefined : result.retryAfterSeconds;
}

/** Has the database keep what Resend said. No endings: every claim was lost meanwhile. */
async function record(
  result: SendResult,
  kept: readonly KeptEmail[],
  begun: readonly Effect[],
  run: Run,
): Promise<Endings> {
  const [first] = begun;
  if (first === undefined) return {};
  if (result.is === "sent") {
    const answers = kept.map(({ outbox_id }, index) => answerOf(outbox_id, result, index));
    const endings = await run.outbox.finishEmails(first.claim_id, answers);
    await run.reach("email_finished");
    return endings;
  }
  const { code, message, status, retryAfterSeconds, final } = result;
  const failure: Failure = { error: { code, message, status }, retryAfterSeconds, final };
  const endings = await run.outbox.failEmails(begun, result.is === "refused", failure);
  await run.reach("effect_failed");
  return endings;
}

/** What speaks against one mail of a request; undefined: it was taken. */
function refusalOf(result: SendResult, index: number): { code: string } | undefined {
  if (result.is !== "sent") return result;
  const answer = result.mails[index];
  return answer !== undefined && "refusal" in answer ? answer.refusal : undefined;
}

function answerOf(id: number, { mails }: SendResult & { is: "sent" }, index: number): EmailAnswer {
  const answer = mails[index];
  if (answer === undefined) throw new Error(`Resend's answer has no place ${index}`);
  return "id" in answer ? { id, resend_id: answer.id } : { id, refusal: answer.refusal };
}

function count(run: Run, { delivered = 0, dead = 0, pending = 0, lost = 0 }: Endings): void {
  run.counts.delivered += delivered;
  run.counts.dead += dead;
  run.counts.failed += pending;
  run.counts.lost += lost;
}

function mailOf(kept: KeptEmail): Mail {
  return {
    from: kept.from_address,
    to: kept.to_address,
    replyTo: kept.reply_to,
    subject: kept.subject,
    html: kept.html,
    text: kept.text,
    headers: headersOf(kept),
    tags: { duebase_email: kept.tag, template: kept.template, ...toldAsTags(kept.tells) },
    ...(kept.attachment === null ? {} : { attachment: kept.attachment as Mail["attachment"] }),
  };
}

function headersOf({ message_references }: KeptEmail): Record<string, string> {
  return { ...BY_NO_PERSON, ...(message_references === null ? {} : { References: message_references }) };
}

/** Of the request that a mail goes in. Resend takes keys of up to 256 characters. */
function idempotencyKey({ batch_id, dedupe_key, key_generation, tag }: KeptEmail): string {
  if (batch_id !== null) return `batch:${batch_id}`;
  const key = key_generation === 0 ? dedupe_key : `${dedupe_key}:${key_generation}`;
  return key.length <= 256 ? key : `${tag}:${key_generation}`;
}
