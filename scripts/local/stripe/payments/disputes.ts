import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Charge, Dispute } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { dispute as disputeObject, evidenceSeconds } from "../objects/payments.ts";
import { createBalanceTransaction } from "./balance.ts";
import type { CardBehaviour } from "./cards.ts";

const disputeFee = 1500;

const reasonCodes = { fraudulent: "10.4", product_not_received: "13.1", inquiry: "10.4" };

/** The cardholder goes to their bank about a charge. An inquiry takes no money; the others do, at once. */
export function openDispute(
  world: World,
  charge: Charge,
  kind: NonNullable<CardBehaviour["dispute"]>,
): Dispute {
  const inquiry = kind === "inquiry";
  const dispute = insertDispute(world, charge, kind, inquiry ? "warning_needs_response" : "needs_response");
  if (!inquiry) {
    moveMoney(world, dispute, charge, -dispute.amount, disputeFee);
    emit(world, "charge.dispute.funds_withdrawn", dispute, charge);
  }
  return dispute;
}

function insertDispute(
  world: World,
  charge: Charge,
  kind: NonNullable<CardBehaviour["dispute"]>,
  status: Dispute["status"],
): Dispute {
  const inquiry = kind === "inquiry";
  const brand = charge.payment_method_details?.card?.brand ?? "visa";
  const created = disputeObject({
    id: newId("du"),
    amount: charge.amount,
    charge: charge.id,
    created: timeOf(world, charge),
    currency: charge.currency,
    is_charge_refundable: inquiry,
    payment_intent: charge.payment_intent,
    payment_method_details: {
      card: {
        brand,
        case_type: inquiry ? "inquiry" : "chargeback",
        network: brand,
        network_reason_code: reasonCodes[kind],
      },
      type: "card",
    },
    reason: kind === "inquiry" ? "fraudulent" : kind,
    status,
  });
  created.evidence.customer_email_address = charge.billing_details.email;
  const dispute = world.store.insert<"dispute">(created);
  charge.disputed = true;
  recordEffect(
    world,
    "dispute.created",
    { ...dispute, customer: charge.customer },
    dispute.amount,
    dispute.reason,
  );
  emit(world, "charge.dispute.created", dispute, charge);
  emit(world, "charge.updated", charge, charge, { disputed: false });
  return dispute;
}

function moveMoney(world: World, dispute: Dispute, charge: Charge, amount: number, fee: number): void {
  const transaction = createBalanceTransaction(world, {
    amount,
    fee,
    currency: dispute.currency,
    source: dispute.id,
    type: "adjustment",
    subject: charge,
  });
  dispute.balance_transactions.push(transaction);
}

/** What the balance lost to a dispute so far (in the currency's smallest unit, without fees). */
function withdrawn(dispute: Dispute): number {
  return -dispute.balance_transactions.reduce((sum, { amount }) => sum + amount, 0);
}

function refuseIfClosed(dispute: Dispute): void {
  if (["won", "lost", "warning_closed", "prevented"].includes(dispute.status)) {
    throw invalidRequest("This dispute is already closed");
  }
}

/** The bank decides, or the merchant gives in. Whoever wins gets back what is away, at a first decision or on appeal. */
export function closeDispute(world: World, dispute: Dispute, won: boolean): Dispute {
  refuseIfClosed(dispute);
  const charge = world.store.get("charge", dispute.charge);
  const inquiry = dispute.status.startsWith("warning_");
  const previous = { status: dispute.status };
  dispute.status = inquiry ? "warning_closed" : won ? "won" : "lost";
  recordEffect(
    world,
    "dispute.closed",
    { ...dispute, customer: charge?.customer ?? null },
    null,
    dispute.status,
  );
  emit(world, "charge.dispute.closed", dispute, charge ?? null, previous);
  const away = withdrawn(dispute);
  if (won && charge && away > 0) {
    moveMoney(world, dispute, charge, away, 0);
    emit(world, "charge.dispute.funds_reinstated", dispute, charge);
  }
  return dispute;
}

/** A lost dispute may be appealed, where the card network allows it: it waits for the merchant. The money stays away. */
export function allowAppeal(world: World, dispute: Dispute): Dispute {
  if (dispute.status !== "lost") {
    throw invalidRequest(`Only a lost dispute can be appealed. This dispute's status is ${dispute.status}.`);
  }
  const charge = world.store.get("charge", dispute.charge) ?? null;
  change(
    world,
    "charge.dispute.updated",
    dispute,
    (it) => {
      it.status = "appeal_needs_response";
      it.evidence_details.due_by = timeOf(world, charge) + evidenceSeconds;
      it.evidence_details.past_due = false;
    },
    charge,
  );
  return dispute;
}

/**
 * A dispute is resolved before it becomes one, as by Visa's Rapid Dispute Resolution.
 * @param takesMoney whether the cardholder was paid back for it
 */
export function preventDispute(world: World, charge: Charge, takesMoney: boolean): Dispute {
  const dispute = insertDispute(world, charge, "fraudulent", "prevented");
  if (takesMoney) {
    moveMoney(world, dispute, charge, -dispute.amount, 0);
    emit(world, "charge.dispute.funds_withdrawn", dispute, charge);
  }
  return dispute;
}

/** New metadata or evidence. Submitted evidence of `winning_evidence` or `losing_evidence` decides the case, as in Stripe's test mode. */
export function updateDispute(
  world: World,
  dispute: Dispute,
  apply: (dispute: Dispute) => void,
  submitted: boolean,
): Dispute {
  if (submitted) refuseIfClosed(dispute);
  const charge = world.store.get("charge", dispute.charge) ?? null;
  change(
    world,
    "charge.dispute.updated",
    dispute,
    (it) => {
      apply(it);
      if (!submitted) return;
      it.evidence_details.has_evidence = true;
      it.evidence_details.submission_count += 1;
      const stage = /^(warning|appeal)_/.exec(it.status)?.[0] ?? "";
      it.status = `${stage}under_review` as Dispute["status"];
    },
    charge,
  );
  const appealed = dispute.status === "appeal_under_review";
  const { uncategorized_text: stated, appeal } = dispute.evidence;
  const text = submitted ? (appealed ? appeal?.card?.reason_for_filing : stated) : null;
  if (text === "winning_evidence") return closeDispute(world, dispute, true);
  return text === "losing_evidence" ? closeDispute(world, dispute, false) : dispute;
}
