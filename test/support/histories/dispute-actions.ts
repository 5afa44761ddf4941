import type { Charge, Dispute } from "../../../scripts/local/stripe/core/wire.ts";
import { dispute } from "../stripe/payments.ts";
import type { Account } from "./account.ts";

/** A customer disputes a charge, at once or later, and the dispute goes on from there. */
export function openDispute(account: Account, chargeId: string): void {
  const { random } = account;
  const paid = account.get<Charge>(chargeId);
  if (paid.status !== "succeeded" || paid.amount_captured === 0) return;
  const id = account.id("du");
  if (random.chance(0.15)) {
    prevent(account, id, paid);
    return;
  }
  const isInquiry = random.chance(0.3);
  account.create(
    dispute({
      id,
      created: account.now,
      amount: random.chance(0.7) ? paid.amount : Math.ceil(paid.amount / 2),
      charge: chargeId,
      payment_intent: paid.payment_intent,
      status: isInquiry ? "warning_needs_response" : "needs_response",
      is_charge_refundable: isInquiry,
      reason: random.pick(["fraudulent", "product_not_received"]),
    }),
    "charge.dispute.created",
  );
  account.change(chargeId, { disputed: true }, "charge.updated");
  if (!isInquiry) moveMoney(account, id, "charge.dispute.funds_withdrawn");
  account.pass();
  if (isInquiry && random.chance(0.4)) {
    account.change(id, { status: "needs_response", is_charge_refundable: false }, "charge.dispute.updated");
    moveMoney(account, id, "charge.dispute.funds_withdrawn");
  }
  if (random.chance(0.6)) answer(account, id);
  account.pass();
  if (random.chance(0.7)) close(account, id);
}

/** Either the issuer is refunded from the balance before the dispute opens, or the dispute is stopped without that. */
function prevent(account: Account, id: string, paid: Charge): void {
  account.create(
    dispute({
      id,
      created: account.now,
      amount: paid.amount,
      charge: paid.id,
      payment_intent: paid.payment_intent,
      status: "prevented",
      reason: "fraudulent",
    }),
    "charge.dispute.created",
  );
  if (account.random.chance(0.7)) moveMoney(account, id, "charge.dispute.funds_withdrawn");
}

function moveMoney(account: Account, id: string, type: string): void {
  const { balance_transactions: moved, amount, currency } = account.get<Dispute>(id);
  const taken = type === "charge.dispute.funds_withdrawn";
  const entry = {
    id: account.id("txn"),
    object: "balance_transaction",
    amount: taken ? -amount : amount,
    currency,
  };
  account.change(id, { balance_transactions: [...moved, entry] }, null, type);
}

/** Evidence is submitted. */
function answer(account: Account, id: string): void {
  const { status, evidence_details: details } = account.get<Dispute>(id);
  account.change(
    id,
    {
      status: status === "needs_response" ? "under_review" : "warning_under_review",
      evidence_details: { ...details, has_evidence: true, submission_count: details.submission_count + 1 },
    },
    "charge.dispute.updated",
  );
}

/** The bank decides. */
function close(account: Account, id: string): void {
  const { status } = account.get<Dispute>(id);
  const isInquiry = status.startsWith("warning_");
  const end = isInquiry ? "warning_closed" : account.random.pick(["won", "lost"]);
  account.change(id, { status: end }, null, "charge.dispute.closed");
  if (end === "won") {
    account.now += account.random.pick([0, 1]);
    moveMoney(account, id, "charge.dispute.funds_reinstated");
  }
  if (end === "lost" && account.random.chance(0.4)) appeal(account, id);
}

/** The merchant appeals. The money comes back only if the appeal is won. */
function appeal(account: Account, id: string): void {
  const { random } = account;
  account.pass();
  account.change(id, { status: "appeal_needs_response" }, "charge.dispute.updated");
  if (random.chance(0.4)) return;
  account.now += random.pick([1, 60]);
  account.change(id, { status: "appeal_under_review" }, "charge.dispute.updated");
  if (random.chance(0.4)) return;
  account.now += random.pick([1, 60]);
  const end = random.pick(["won", "lost"]);
  account.change(id, { status: end }, null, "charge.dispute.closed");
  if (end === "lost") return;
  account.now += random.pick([0, 1]);
  moveMoney(account, id, "charge.dispute.funds_reinstated");
}
