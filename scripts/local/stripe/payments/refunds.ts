import { emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Charge, Refund } from "../core/wire.ts";
import { clockOf, recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { refund as refundObject } from "../objects/payments.ts";
import { createBalanceTransaction } from "./balance.ts";
import { behaviourFor } from "./instruments.ts";

/** Give money back.
 * @param amount in the smallest unit; null for all that is left
 */
export function refundCharge(
  world: World,
  charge: Charge,
  amount: number | null,
  reason: Refund["reason"],
  metadata: Record<string, string>,
): Refund {
  // What was let go at a partial capture counts as refunded already.
  const left = charge.amount - charge.amount_refunded;
  if (!charge.captured || charge.status !== "succeeded") {
    throw invalidRequest(`Charge ${charge.id} has not been captured, so it cannot be refunded.`, {
      code: "charge_not_refundable",
    });
  }
  if (left <= 0) {
    throw invalidRequest(`Charge ${charge.id} has already been refunded.`, {
      code: "charge_already_refunded",
    });
  }
  if (
    charge.disputed &&
    world.store.related("dispute", "charge", charge.id).some((it) => !it.is_charge_refundable)
  ) {
    throw invalidRequest(`Charge ${charge.id} has been charged back; cannot issue a refund.`, {
      code: "charge_disputed",
    });
  }
  const wanted = amount ?? left;
  if (wanted > left || wanted <= 0) {
    throw invalidRequest(`Refund amount (${wanted}) is greater than unrefunded amount on charge (${left})`, {
      param: "amount",
    });
  }
  const behaviour = behaviourFor(world, charge.payment_method ?? "");
  const refund = newRefund(world, charge, wanted, reason, metadata);
  refund.status = behaviour.refund === "pending" ? "pending" : "succeeded";
  charge.amount_refunded += wanted;
  charge.refunded = charge.amount_refunded >= charge.amount;
  recordEffect(world, "refund.succeeded", refund, wanted);
  emit(world, "charge.refunded", charge, charge, {
    amount_refunded: charge.amount_refunded - wanted,
    ...(charge.refunded ? { refunded: false } : {}),
  });
  emit(world, "refund.created", refund, charge);
  emit(world, "charge.refund.updated", refund, charge);
  if (behaviour.refund) {
    world.jobs.set(
      "refund.finish",
      refund.id,
      clockOf(world, charge),
      timeOf(world, charge) + world.settings.debitSeconds,
    );
  }
  return refund;
}

function newRefund(
  world: World,
  charge: Charge,
  amount: number,
  reason: Refund["reason"],
  metadata: Record<string, string>,
): Refund {
  const id = newId("re");
  const transaction = createBalanceTransaction(world, {
    amount: -amount,
    fee: 0,
    currency: charge.currency,
    source: id,
    type: "refund",
    subject: charge,
  });
  return world.store.insert<"refund">(
    refundObject({
      id,
      amount,
      balance_transaction: transaction.id,
      charge: charge.id,
      created: timeOf(world, charge),
      currency: charge.currency,
      customer: charge.customer,
      destination_details: {
        card: { reference_status: "pending", reference_type: "acquirer_reference_number", type: "refund" },
        type: "card",
      },
      metadata,
      payment_intent: charge.payment_intent,
      payment_method: charge.payment_method,
      reason,
    }),
  );
}

/** A refund that was pending arrives, or one that looked done is sent back by the bank. */
export function finishRefund(world: World, refund: Refund): void {
  const charge = refund.charge ? world.store.get("charge", refund.charge) : undefined;
  if (!charge) return;
  const previous = { status: refund.status };
  if (behaviourFor(world, charge.payment_method ?? "").refund === "pending") {
    refund.status = "succeeded";
    emit(world, "refund.updated", refund, charge, previous);
    emit(world, "charge.refund.updated", refund, charge, previous);
    return;
  }
  refund.status = "failed";
  refund.failure_reason = "expired_or_canceled_card";
  refund.failure_balance_transaction = createBalanceTransaction(world, {
    amount: refund.amount,
    fee: 0,
    currency: refund.currency,
    source: refund.id,
    type: "refund_failure",
    subject: charge,
  }).id;
  charge.amount_refunded -= refund.amount;
  charge.refunded = false;
  recordEffect(world, "refund.failed", refund, refund.amount, refund.failure_reason);
  emit(world, "refund.failed", refund, charge);
  emit(world, "refund.updated", refund, charge, { ...previous, failure_reason: null });
  emit(world, "charge.refund.updated", refund, charge, { ...previous, failure_reason: null });
}
