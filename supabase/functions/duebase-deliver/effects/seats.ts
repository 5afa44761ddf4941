import { StripeCallError } from "../../_duebase/errors.ts";
import type { Effect, SeatsChange, SeatsResult } from "../../_duebase/outbox.ts";
import type { StripeAnswer } from "../../_duebase/stripe.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";
import { decide } from "./decide.ts";
import { readAndApply } from "./refresh.ts";
import { applied } from "./stripe-call.ts";

/** What an outbox row with the call change_seats says: whose seats. How many, the database is asked. */
type SeatsPayload = { owner_id: string };

/** What there is to do, once the database has decided. */
type Wanted = Required<Pick<SeatsChange, "subscription" | "quantity" | "params">> &
  Pick<SeatsChange, "cards" | "card">;

export function isSeatsChange({ payload }: Effect): boolean {
  return (payload as { call?: string } | null)?.call === "change_seats";
}

/**
 * Gives Stripe the quantity of an owner's seats. The subscription is read before every attempt, so that one whose
 * outcome is unknown is not made again if it was made; each attempt has a key of its own, as the quantity may be another
 * by then. A payment that is declined leaves the subscription as it is, and the change waits at Stripe.
 */
export function changeSeats(effect: Effect, run: Run): Promise<Outcome> {
  const { owner_id: owner } = effect.payload as unknown as SeatsPayload;
  const finish = async (result?: SeatsResult): Promise<Outcome> => {
    await run.outbox.finishSeats(owner, effect, result);
    await run.reach("seats_finished");
    return { is: "delivered" };
  };
  return decide(
    { about: `the seats of ${owner}`, reached: "seats_reviewed" },
    (checked) => run.outbox.reviewSeats(owner, checked),
    run,
    async (plan) => {
      const wanted = wantedBy(plan);
      if (wanted === undefined) return finish();
      const answer = await update(effect, wanted, run);
      const paidWith = answer && (await payWithNewerCard(effect, wanted, answer, run));
      return finish({ tried: wanted.quantity, cards: wanted.cards, paidWith });
    },
  );
}

function wantedBy({ go, subscription, quantity, params, cards, card }: SeatsChange): Wanted | undefined {
  if (!go || subscription === undefined || quantity === undefined || params === undefined) return undefined;
  return { subscription, quantity, params, cards, card };
}

/** Undefined: the payment was declined, and nothing has changed. */
async function update(
  effect: Effect,
  { subscription, params }: Wanted,
  run: Run,
): Promise<StripeAnswer | undefined> {
  try {
    const answer = await run.callStripe({
      method: "POST",
      path: pathOf(subscription),
      params,
      idempotencyKey: `${effect.dedupe_key}:${effect.attempts}`,
    });
    await run.reach("seats_made");
    await applied(answer, run);
    return answer;
  } catch (error) {
    if (!(error instanceof StripeCallError)) throw error;
    if (error.status === 402) return undefined;
    if (error.code === "resource_missing") throw changedMeanwhile(error);
    throw error;
  }
}

/** The item went between the read and the call: the next attempt reads what is there now. */
function changedMeanwhile({ message }: StripeCallError): StripeCallError {
  return new StripeCallError({ code: "changed_meanwhile", message, status: 409 });
}

/**
 * Stripe charges the subscription's own card; somebody who has given another one since, in the portal, means that one. The
 * invoice that the change waits for is paid with it. Returns the card, if that went through.
 */
async function payWithNewerCard(
  effect: Effect,
  { subscription, card }: Wanted,
  { object }: StripeAnswer,
  run: Run,
): Promise<string | undefined> {
  const invoice = idOf(object.latest_invoice);
  if (!card || invoice === undefined || !object.pending_update) return undefined;
  try {
    const answer = await run.callStripe({
      method: "POST",
      path: `/v1/invoices/${encodeURIComponent(invoice)}/pay`,
      params: card.startsWith("pm_") ? { payment_method: card } : { source: card },
      idempotencyKey: `${effect.dedupe_key}:${effect.attempts}:pay`,
    });
    await applied(answer, run);
    await readAndApply({ kind: "subscription", id: subscription }, run);
    return answer.object.status === "paid" ? card : undefined;
  } catch (error) {
    // Declined, or not to be paid any more: the change waits as it did.
    if (error instanceof StripeCallError && !error.isPassing) return undefined;
    throw error;
  }
}

function idOf(reference: unknown): string | undefined {
  if (typeof reference === "string") return reference;
  return (reference as { id?: string } | null)?.id;
}

function pathOf(subscription: string): string {
  return `/v1/subscriptions/${encodeURIComponent(subscription)}`;
}
