import { EmailError, renderStoredEmail } from "../../_shared/emails.gen.js";
import type { Effect, EmailStep, KeptEmail, WrittenEmail } from "../../_shared/outbox.ts";
import type { Mail } from "../../_shared/resend.ts";
import type { Ending, Run } from "../run.ts";

type Brand = Parameters<typeof renderStoredEmail>[2]["brand"];

/** How long emails wait that Resend was not asked about, when it asked for no time itself, seconds. */
const LEAVE_RESEND_ALONE_SECONDS = 30;

/**
 * Delivers the claimed emails one after another: written once, kept, sent as kept. Mails that are not begun, because
 * time is up or Resend is not to be asked now, are handed back. Rejects only when the database does.
 */
export async function deliverEmails(effects: readonly Effect[], run: Run): Promise<void> {
  if (effects.length === 0) return;
  const steps = await run.outbox.prepareEmails(effects);
  await run.reach("emails_prepared");
  run.counts.set_aside += effects.length - steps.length;
  const byId = new Map(effects.map((effect) => [effect.id, effect]));
  const waiting = steps.flatMap((step) => {
    const effect = byId.get(step.id);
    return effect ? [{ step, effect }] : [];
  });

  let pause: number | undefined;
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    if (!run.maySend || !run.mayGoOn) {
      const rest = [next, ...waiting].map(({ effect }) => effect);
      await run.outbox.release(rest, run.maySend ? undefined : (pause ?? LEAVE_RESEND_ALONE_SECONDS));
      run.counts.handed_back += rest.length;
      return;
    }
    pause = await deliverEmail(next.effect, next.step, run);
  }
}

/** Returns the seconds after which Resend may be asked again, where it asked for a pause. */
async function deliverEmail(effect: Effect, step: EmailStep, run: Run): Promise<number | undefined> {
  const written = await write(effect, step, run);
  if (written === undefined) return undefined;
  await run.reach("email_rendered");
  const [kept] = await run.outbox.beginEmails(effect.claim_id, [written]);
  await run.reach("email_begun");
  if (kept === undefined) {
    run.counts.lost += 1;
    return undefined;
  }

  await run.pace();
  const startedAt = performance.now();
  const result = await run.sendMail(mailOf(kept), idempotencyKey(kept));
  await run.reach("email_sent");
  const report = (level: "info" | "warn", outcome: string, status?: number) =>
    run.log(level, {
      effect: effect.id,
      kind: "email",
      type: kept.template,
      customer: kept.customer_id ?? undefined,
      attempt: effect.attempts,
      outcome,
      status,
      duration_ms: Math.round(performance.now() - startedAt),
    });

  if (result.is === "sent") {
    const finished = await run.outbox.finishEmail(effect, result.id);
    await run.reach("email_finished");
    run.sendAnswered(true);
    run.counts[finished ? "delivered" : "lost"] += 1;
    report("info", finished ? "delivered" : "lost");
    return undefined;
  }

  const { code, message, status, retryAfterSeconds, final } = result;
  report("warn", code, status);
  if (status === 429) run.stopSending();
  run.sendAnswered(result.is === "refused");
  const failure = { error: { code, message, status }, retryAfterSeconds, final };
  const ending = await run.outbox.failEmail(effect, result.is === "refused", failure);
  await run.reach("effect_failed");
  run.counts[ending === "pending" ? "failed" : (ending as Ending)] += 1;
  return retryAfterSeconds;
}

/** Undefined: it cannot be written, now or ever; the row is dead and says why. */
async function write(effect: Effect, step: EmailStep, run: Run): Promise<WrittenEmail | undefined> {
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
    await run.outbox.failEmail(effect, true, failure);
    await run.reach("effect_failed");
    run.counts.dead += 1;
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

function mailOf(kept: KeptEmail): Mail {
  return {
    from: kept.from_address,
    to: kept.to_address,
    replyTo: kept.reply_to,
    subject: kept.subject,
    html: kept.html,
    text: kept.text,
    tags: { duebase_email: kept.tag, template: kept.template },
  };
}

/** Resend takes keys of up to 256 characters. */
function idempotencyKey({ dedupe_key, key_generation, tag }: KeptEmail): string {
  const key = key_generation === 0 ? dedupe_key : `${dedupe_key}:${key_generation}`;
  return key.length <= 256 ? key : `${tag}:${key_generation}`;
}
