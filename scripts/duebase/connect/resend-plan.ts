import { secretDigest } from "../connections/management.ts";
import { RESEND_EVENTS, type ResendApi, type ResendWebhook } from "../connections/resend.ts";
import { RESEND_WEBHOOK_SECRET } from "./names.ts";
import { type Found, type Plan, planOf, type Step, type Wanted } from "./plan.ts";

/** A webhook with its secret, which Resend shows whenever it is asked. Secret. */
export type KnownWebhook = ResendWebhook & { secret: string };

/** The address that Resend tells of mails. */
export function resendWebhookUrl(functionsUrl: string): string {
  return `${functionsUrl}/duebase-resend-webhook`;
}

/**
 * What is missing at Resend: the webhook, events, its secret in the project. Changes nothing.
 *
 * @param ours the webhooks to our address
 */
export function planResendWebhook(found: Found, wanted: Wanted, ours: readonly KnownWebhook[]): Plan {
  const digest = found.digests.get(RESEND_WEBHOOK_SECRET);
  const enabled = ours.filter(({ status }) => status === "enabled");
  const fitting = enabled.find(({ secret }) => secretDigest(secret) === digest);
  const kept = wanted.renew.has("resend") ? undefined : (fitting ?? enabled[0]);
  if (kept === undefined) return planOf(creation(wanted, enabled));
  const plan = planOf();
  if (kept !== fitting) {
    plan.steps.push({
      id: RESEND_WEBHOOK_SECRET,
      what: `set the functions' secret ${RESEND_WEBHOOK_SECRET} to that of Resend's webhook${digest === undefined ? "" : ": it is another one now"}`,
      run: ({ supabase }) => supabase.setSecrets({ [RESEND_WEBHOOK_SECRET]: kept.secret }),
    });
  }
  const has = kept.events;
  const missing = has === null ? [] : RESEND_EVENTS.filter((event) => !has.includes(event));
  if (missing.length > 0) {
    plan.steps.push({
      id: "resend-events",
      what: `add events to Resend's webhook: ${missing.join(", ")}`,
      run: ({ resend }) => of(resend).updateWebhook(kept.id, { events: [...(has ?? []), ...missing] }),
    });
  }
  plan.steps.push(...enabled.filter((it) => it !== kept).map(disabling));
  return plan;
}

function creation({ functionsUrl, renew }: Wanted, others: readonly KnownWebhook[]): Step {
  const url = resendWebhookUrl(functionsUrl);
  return {
    id: "resend-webhook",
    what: `make the webhook ${url}${renew.has("resend") ? " anew" : ""} at Resend, and set ${RESEND_WEBHOOK_SECRET}`,
    async run(connections) {
      const { secret } = await of(connections.resend).createWebhook(url, RESEND_EVENTS);
      await connections.supabase.setSecrets({ [RESEND_WEBHOOK_SECRET]: secret });
      for (const other of others) await disabling(other).run(connections);
    },
  };
}

function disabling({ id }: KnownWebhook): Step {
  return {
    id: "resend-webhook-disabled",
    what: `disable Resend's webhook ${id}, which sends to the same address`,
    run: ({ resend }) => of(resend).updateWebhook(id, { status: "disabled" }),
  };
}

function of(resend: ResendApi | undefined): ResendApi {
  if (resend === undefined) throw new Error("a step at Resend was planned without a key");
  return resend;
}
