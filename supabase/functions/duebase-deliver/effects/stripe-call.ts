import { StripeCallError } from "../../_duebase/errors.ts";
import type { Effect } from "../../_duebase/outbox.ts";
import type { StripeAnswer } from "../../_duebase/stripe.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";
import type { OwnRequest } from "../stripe-access.ts";

/** What an outbox row of kind stripe says: one of the calls below, on the object `id`. */
export type StripeCallPayload = {
  call: string;
  id: string;
  /** Further form fields of the call, in Stripe's spelling. */
  params?: Record<string, string>;
  /** The default that is to be replaced; one that has changed since stays. */
  instead_of?: string;
  /** Metadata put on a subscription before it is canceled or paused, so that Stripe's own record says why. */
  mark?: Record<string, string>;
};

type Read = Record<string, unknown>;

/** A call: where its object is read, when there is nothing left to do, and how it is made. */
type Call = {
  resource: string;
  isDone: (object: Read, payload: StripeCallPayload) => boolean;
  /** What Stripe has by then decides: it is read before the first attempt too. */
  readsFirst?: boolean;
  method: "POST" | "DELETE";
  action?: string;
  params?: Record<string, string>;
};

const ended = (status: unknown) => status === "canceled" || status === "incomplete_expired";
const closed = (status: unknown) => status === "paid" || status === "void" || status === "uncollectible";

function defaultOf({ default_payment_method, default_source }: Read): string | undefined {
  const method = (default_payment_method ?? default_source) as string | { id: string } | null | undefined;
  return typeof method === "string" ? method : method?.id;
}

/** What Duebase does at Stripe, beside charging a card that was given (see card-charge.ts). */
export const CALLS: Readonly<Record<string, Call>> = {
  cancel_subscription: {
    resource: "subscriptions",
    isDone: ({ status }) => ended(status),
    method: "DELETE",
    params: { prorate: "false" },
  },
  pause_collection: {
    resource: "subscriptions",
    isDone: ({ status, pause_collection }) => ended(status) || Boolean(pause_collection),
    method: "POST",
  },
  /**
   * Stripe's own pause. No credit for the rest of a period that was not paid; usage so far waits as an invoice
   * item, as it does where nothing is said.
   */
  pause_subscription: {
    resource: "subscriptions",
    isDone: ({ status }) => ended(status) || status === "paused",
    method: "POST",
    action: "pause",
    params: {
      type: "subscription",
      "bill_for[unused_time_from][type]": "none",
      "bill_for[outstanding_usage_through][type]": "now",
      invoicing_behavior: "pending_invoice_item",
    },
  },
  clear_pause_collection: {
    resource: "subscriptions",
    isDone: ({ status, pause_collection }) => ended(status) || !pause_collection,
    method: "POST",
    params: { pause_collection: "" },
  },
  /** The period goes on as it was, and nothing is charged for the pause; an invoice it makes all the same is paid first. */
  resume_subscription: {
    resource: "subscriptions",
    isDone: ({ status }) => status !== "paused",
    method: "POST",
    action: "resume",
    params: {
      "billing_cycle_anchor[type]": "unchanged",
      proration_behavior: "none",
      payment_behavior: "resume_on_payment_success",
    },
  },
  set_default_payment_method: {
    resource: "subscriptions",
    isDone: ({ status, ...defaults }, { instead_of }) => ended(status) || defaultOf(defaults) !== instead_of,
    readsFirst: true,
    method: "POST",
  },
  void_invoice: {
    resource: "invoices",
    isDone: ({ status }) => status === "paid" || status === "void",
    method: "POST",
    action: "void",
  },
  mark_uncollectible: {
    resource: "invoices",
    isDone: ({ status }) => closed(status),
    method: "POST",
    action: "mark_uncollectible",
  },
};

/** Stripe keeps a key for 24 hours at least; an hour less covers clocks and waiting. */
const KEY_LIVES_MS = 23 * 3_600_000;

/**
 * Makes one call at Stripe and has Stripe's answer applied. A POST carries the dedupe key as its idempotency key.
 * Where that key says nothing any more, because it may have lapsed or Stripe keeps a failure of its own under it,
 * and for a DELETE, which has none, the object is read first and the call made only if it is still needed.
 */
export async function callStripe(effect: Effect, run: Run, nowMs: number): Promise<Outcome> {
  const payload = effect.payload as unknown as StripeCallPayload;
  const call = CALLS[payload.call];
  if (call === undefined || typeof payload.id !== "string") {
    const message = `There is no call ${payload.call} on ${payload.id}.`;
    return { is: "failed", final: true, error: { code: "unknown_call", message } };
  }
  const path = `/v1/${call.resource}/${encodeURIComponent(payload.id)}`;
  const readsFirst = call.readsFirst || call.method === "DELETE" || keySaysNothing(effect, nowMs);
  if (readsFirst) {
    const answer = await run.callStripe({ method: "GET", path });
    await run.reach("call_checked");
    if (call.isDone(answer.object, payload)) return applied(answer, run);
  }
  const key = readsFirst ? `${effect.dedupe_key}:${effect.attempts}` : effect.dedupe_key;
  if (payload.mark) {
    const params = Object.fromEntries(
      Object.entries(payload.mark).map(([name, value]) => [`metadata[${name}]`, value]),
    );
    await run.callStripe({ method: "POST", path, params, idempotencyKey: `${key}:mark` });
    await run.reach("call_marked");
  }
  const answer = await make(run, {
    method: call.method,
    path: call.action ? `${path}/${call.action}` : path,
    params: { ...call.params, ...payload.params },
    idempotencyKey: call.method === "POST" ? key : undefined,
  });
  await run.reach("call_made");
  return answer === undefined ? { is: "delivered" } : applied(answer, run);
}

/** Whether Stripe's own pause takes a subscription; what else it refuses, such as a billing cadence, it says itself. */
export function canBePaused(subscription: Read): boolean {
  const { status, collection_method, billing_mode, schedule, items } = subscription;
  const isOnTrial = (items as { data?: { current_trial?: unknown }[] } | undefined)?.data?.some(
    ({ current_trial }) => Boolean(current_trial),
  );
  return (
    (billing_mode as { type?: string } | null | undefined)?.type === "flexible" &&
    collection_method === "charge_automatically" &&
    ["active", "past_due", "unpaid"].includes(String(status)) &&
    !schedule &&
    !isOnTrial
  );
}

/** Whether a key may have lapsed at Stripe, or keeps a failure of Stripe's own. */
export function keySaysNothing(effect: Effect, nowMs: number): boolean {
  const lastStatus = (effect.last_error as { status?: number } | null)?.status ?? 0;
  return nowMs - Date.parse(effect.created_at) > KEY_LIVES_MS || lastStatus >= 500;
}

/** Undefined: Stripe's answer is final: a card was declined, or what was to be deleted is gone already. */
async function make(run: Run, request: OwnRequest): Promise<StripeAnswer | undefined> {
  try {
    return await run.callStripe(request);
  } catch (error) {
    if (!(error instanceof StripeCallError)) throw error;
    if (error.status === 402) return undefined;
    if (request.method === "DELETE" && error.code === "resource_missing") return undefined;
    throw error;
  }
}

/** Applies Stripe's answer. */
export async function applied({ object, asOf }: StripeAnswer, run: Run): Promise<Outcome> {
  // Stale or too soon is fine: Stripe's event shows the same.
  await run.outbox.applyRefresh(object, new Date(asOf).toISOString());
  await run.reach("answer_applied");
  return { is: "delivered" };
}
