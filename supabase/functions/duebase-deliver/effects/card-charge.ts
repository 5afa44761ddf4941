import { StripeCallError } from "../../_duebase/errors.ts";
import type { CardCharge, Effect } from "../../_duebase/outbox.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";
import { readAndApply } from "./refresh.ts";
import { applied, keySaysNothing } from "./stripe-call.ts";

/** What an outbox row with the call charge_card says: pay an invoice with a card that was given. */
type CardChargePayload = {
  /** Invoice (in_…). */
  id: string;
  /** Id in billing.dunning_charges. */
  charge: number;
  /** It was tried before, by an effect that came to nothing: that one may have been made. */
  again?: boolean;
  /** The clock of the review is no earlier: Stripe's may be ahead of ours. */
  not_before?: string;
};

/** What a charge came to, as billing.dunning_charges has it. */
type Result = "paid" | "processing" | "declined" | "needs_confirmation" | "not_wanted";

/** Stripe's codes for a bank that asks the customer; invoice.payment_action_required sends the email about it. */
const ASKS_CUSTOMER = new Set(["invoice_payment_intent_requires_action", "authentication_required"]);

export function isCardCharge({ payload }: Effect): boolean {
  return (payload as { call?: string } | null)?.call === "charge_card";
}

/**
 * Pays an overdue invoice with a card that was given since, naming it: the subscription may have a default of its own
 * that goes before it. The database says once more whether it is needed, and records the result. The dedupe key is the
 * idempotency key, so that an attempt without a known result is answered again, and not made again.
 */
export async function chargeCard(effect: Effect, run: Run, nowMs: number): Promise<Outcome> {
  const { id: invoice, charge, not_before, again = false } = effect.payload as unknown as CardChargePayload;
  const moment = not_before !== undefined && Date.parse(not_before) > nowMs ? not_before : undefined;
  const finish = async (result: Result, reason?: string): Promise<Outcome> => {
    await run.outbox.finishCardCharge(charge, result, reason, moment);
    await run.reach("charge_finished");
    return { is: "delivered" };
  };
  const plan = await run.outbox.reviewCardCharge(charge, moment);
  await run.reach("charge_reviewed");
  const isFirst = effect.attempts === 1 && !again;
  if (!plan.go && isFirst) return finish("not_wanted", plan.reason);
  // An earlier attempt may have been made, and be the very reason why it is not wanted any more.
  if (!plan.go) return finish(await becameOf(invoice, plan, run), plan.reason);
  const isUnknown = !isFirst && (again || keySaysNothing(effect, nowMs));
  if (isUnknown) {
    const result = await becameOf(invoice, plan, run);
    if (result !== "not_wanted") return finish(result);
  }
  const method = plan.payment_method;
  try {
    const answer = await run.callStripe({
      method: "POST",
      path: `/v1/invoices/${encodeURIComponent(invoice)}/pay`,
      params: method.startsWith("pm_") ? { payment_method: method } : { source: method },
      idempotencyKey: isUnknown ? `${effect.dedupe_key}:${effect.attempts}` : effect.dedupe_key,
    });
    await run.reach("charge_made");
    await applied(answer, run);
    return finish(answer.object.status === "paid" ? "paid" : "processing");
  } catch (error) {
    if (!(error instanceof StripeCallError) || error.isPassing) throw error;
    await run.reach("charge_refused");
    if (error.status === 402)
      return finish(ASKS_CUSTOMER.has(error.code) ? "needs_confirmation" : "declined");
    if (await isOver(invoice, run)) return finish(await becameOf(invoice, plan, run), "not_open");
    if (await isDetached(method, run)) return finish("not_wanted", "detached");
    throw error;
  }
}

async function isOver(invoice: string, run: Run): Promise<boolean> {
  const { object } = await readAndApply({ kind: "invoice", id: invoice }, run);
  return object.status !== "open";
}

/** Whether the invoice was paid with this card, or is being paid with it, as Stripe has it. */
async function becameOf(invoice: string, { payment_method }: CardCharge, run: Run): Promise<Result> {
  const { object } = await readAndApply({ kind: "invoice", id: invoice }, run);
  for (const id of paymentIntentsOf(object)) {
    const { object: intent } = await readAndApply({ kind: "payment_intent", id }, run);
    const method = (intent.payment_method ?? intent.source) as string | { id: string } | null;
    if ((typeof method === "string" ? method : method?.id) !== payment_method) continue;
    if (intent.status === "succeeded") return "paid";
    if (intent.status === "processing") return "processing";
  }
  return "not_wanted";
}

function paymentIntentsOf(invoice: Record<string, unknown>): string[] {
  const payments = (invoice.payments as { data?: InvoicePayment[] } | undefined)?.data ?? [];
  return payments.flatMap(({ payment }) => {
    const intent = payment?.payment_intent;
    const id = typeof intent === "string" ? intent : intent?.id;
    return id === undefined ? [] : [id];
  });
}

type InvoicePayment = { payment?: { payment_intent?: string | { id: string } } };

/** A payment method that was detached has no customer, and can never be charged again. */
async function isDetached(method: string, run: Run): Promise<boolean> {
  if (!method.startsWith("pm_")) return false;
  try {
    const { object } = await readAndApply({ kind: "payment_method", id: method }, run);
    return object.customer === null || object.customer === undefined;
  } catch (error) {
    if (error instanceof StripeCallError && error.status === 404) return true;
    throw error;
  }
}
