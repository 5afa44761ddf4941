import type { Charge, PaymentIntent, Refund } from "../../../scripts/local/stripe/core/wire.ts";
import { charge, declined, declinedOutcome, refund as newRefund, paymentIntent } from "../stripe/payments.ts";
import type { Account } from "./account.ts";
import { openDispute } from "./dispute-actions.ts";

/** What a payment is for. */
export interface PaymentRequest {
  amount: number;
  customer: string | null;
  /** Invoice it pays, if any. */
  invoice?: string;
  description?: string;
}

/** A new PaymentIntent, reported or not: Stripe reports those of invoices too. */
export function startPayment(account: Account, request: PaymentRequest): string {
  const id = account.id("pi");
  if (request.invoice) account.linkPayment(request.invoice, { payment_intent: id, charge: null });
  account.create(
    paymentIntent({
      id,
      created: account.now,
      amount: request.amount,
      customer: request.customer,
      description: request.description ?? null,
      metadata: account.random.pick<Record<string, string>>([
        {},
        { order: account.random.token(4) },
        request.invoice ? {} : { credit_kind: "images", credits: String(account.random.int(1, 500)) },
      ]),
    }),
    "payment_intent.created",
  );
  return id;
}

/** Details of a bank debit on a charge. Those of a card are longer. */
function debit(): Charge["payment_method_details"] {
  const sepa_debit = {
    bank_code: "37040044",
    branch_code: "",
    country: "DE",
    fingerprint: "exampleDebit",
    last4: "3000",
    mandate: "mandate_example",
  };
  return { type: "sepa_debit", sepa_debit } as unknown as Charge["payment_method_details"];
}

function newCharge(account: Account, intent: PaymentIntent, values: Partial<Charge>): Charge {
  return charge({
    id: account.id("ch"),
    created: account.now,
    amount: intent.amount,
    customer: intent.customer,
    description: intent.description,
    payment_intent: intent.id,
    payment_method: account.id("pm"),
    receipt_url: `https://pay.example.com/receipts/${intent.id}`,
    ...(account.random.chance(0.2) ? { payment_method_details: debit() } : {}),
    ...values,
  });
}

/** An attempt that the card's bank declines. */
export function failAttempt(account: Account, intentId: string): void {
  const code = account.random.pick(["insufficient_funds", "expired_card", "generic_decline", "stolen_card"]);
  const failed = newCharge(account, account.get(intentId), { status: "failed", ...declinedOutcome(code) });
  account.create(failed, "charge.failed");
  account.change(
    intentId,
    {
      last_payment_error: declined(code, failed.id),
      latest_charge: failed.id,
      next_action: null,
      status: "requires_payment_method",
    },
    null,
    "payment_intent.payment_failed",
  );
}

/** The customer's bank asks for authentication. */
export function requireAction(account: Account, intentId: string): void {
  account.change(
    intentId,
    { last_payment_error: null, status: "requires_action", next_action: { type: "use_stripe_sdk" } },
    null,
    "payment_intent.requires_action",
  );
}

/** The money comes in, at once or through `processing`. Returns the charge. */
export function succeed(account: Account, intentId: string): string {
  const { random } = account;
  const intent = account.get<PaymentIntent>(intentId);
  const isSlow = random.chance(0.2);
  const paid = newCharge(account, intent, { status: isSlow ? "pending" : "succeeded", paid: !isSlow });
  account.create(paid, isSlow ? "charge.pending" : "charge.succeeded");
  const method = {
    payment_method: paid.payment_method,
    latest_charge: paid.id,
    last_payment_error: null,
    next_action: null,
  };
  if (isSlow) {
    account.change(intentId, { ...method, status: "processing" }, null, "payment_intent.processing");
    account.now += random.pick([0, 1, 86_400]);
    account.change(paid.id, { status: "succeeded", paid: true }, null, "charge.succeeded");
  }
  account.change(
    intentId,
    { ...method, status: "succeeded", amount_received: intent.amount },
    null,
    "payment_intent.succeeded",
  );
  if (random.chance(0.4)) {
    account.now += random.pick([0, 0, 2]);
    account.change(paid.id, { balance_transaction: account.id("txn") }, "charge.updated");
  }
  return paid.id;
}

/** Part or all of a charge is refunded, at once or later. */
export function refund(account: Account, chargeId: string): void {
  const current = account.get<Charge>(chargeId);
  const open = current.amount - current.amount_refunded;
  if (current.status !== "succeeded" || open === 0) return;
  const back = account.random.chance(0.5) ? open : Math.ceil(open / 2);
  const id = account.id("re");
  const isSlow = account.random.chance(0.3);
  const given = {
    id,
    created: account.now,
    amount: back,
    charge: chargeId,
    payment_intent: current.payment_intent,
  };
  account.create(newRefund({ ...given, status: isSlow ? "pending" : "succeeded" }), "refund.created");
  const refunded = current.amount_refunded + back;
  account.change(
    chargeId,
    { amount_refunded: refunded, refunded: refunded === current.amount },
    account.random.pick(["charge.refunded", "charge.refunded", "charge.updated"]),
  );
  if (isSlow)
    account.change(
      id,
      { status: "succeeded" },
      account.random.pick(["refund.updated", "charge.refund.updated"]),
    );
  if (account.random.chance(0.25)) failRefund(account, id);
}

/** The bank returns a refund, or it is canceled: the money is back, and the charge may not tell it. */
function failRefund(account: Account, id: string): void {
  const { random } = account;
  account.now += random.pick([1, 86_400]);
  const { amount, charge: chargeId } = account.get<Refund>(id);
  if (random.chance(0.7))
    account.change(
      id,
      { status: "failed", failure_reason: "expired_or_canceled_card" },
      random.pick(["refund.updated", "charge.refund.updated"]),
      "refund.failed",
    );
  else account.change(id, { status: "canceled" }, "refund.updated");
  const { amount_refunded: before } = account.get<Charge>(String(chargeId));
  const less = { amount_refunded: before - amount, refunded: false };
  if (random.chance(0.3)) account.change(String(chargeId), less, "charge.updated");
  else account.changeUnseen(String(chargeId), less);
  account.now += 1;
}

/** A payment without an invoice, with everything that can happen to one. */
export function payOnce(account: Account, customer: string | null): void {
  const { random } = account;
  const intentId = startPayment(account, { amount: random.int(50, 90_000), customer });
  for (let attempt = random.pick([0, 0, 1, 2]); attempt > 0; attempt--) {
    account.pass();
    if (random.chance(0.3)) requireAction(account, intentId);
    failAttempt(account, intentId);
  }
  account.pass();
  const end = random.pick(["succeed", "succeed", "cancel", "authorize", "expire", "fund", "leave"] as const);
  if (end === "succeed") {
    const chargeId = succeed(account, intentId);
    if (random.chance(0.4)) refund(account, chargeId);
    if (random.chance(0.2)) refund(account, chargeId);
    if (random.chance(0.3)) openDispute(account, chargeId);
  } else if (end === "cancel") {
    account.change(
      intentId,
      { status: "canceled", canceled_at: account.now, cancellation_reason: "abandoned" },
      null,
      "payment_intent.canceled",
    );
  } else if (end === "authorize" || end === "expire") {
    authorize(account, intentId, end === "authorize");
  } else if (end === "fund") {
    account.change(
      intentId,
      { amount_details: { tip: { amount: 1 } } },
      null,
      "payment_intent.partially_funded",
    );
  }
}

/** Money that is authorized first, and captured or released later. */
function authorize(account: Account, intentId: string, isCaptured: boolean): void {
  const { random } = account;
  const intent = account.get<PaymentIntent>(intentId);
  const held = newCharge(account, intent, { captured: false, amount_captured: 0, paid: true });
  account.create(held, "charge.succeeded");
  account.change(
    intentId,
    {
      status: "requires_capture",
      amount_capturable: intent.amount,
      latest_charge: held.id,
      payment_method: held.payment_method,
      last_payment_error: null,
    },
    null,
    "payment_intent.amount_capturable_updated",
  );
  account.now += random.pick([0, 1, 86_400]);
  if (isCaptured) {
    const taken = random.chance(0.5) ? intent.amount : Math.ceil(intent.amount / 2);
    account.change(
      held.id,
      { captured: true, amount_captured: taken, amount_refunded: intent.amount - taken },
      null,
      "charge.captured",
    );
    account.change(
      intentId,
      { status: "succeeded", amount_capturable: 0, amount_received: taken },
      null,
      "payment_intent.succeeded",
    );
  } else {
    account.change(held.id, { amount_refunded: intent.amount, refunded: true }, null, "charge.expired");
    account.change(
      intentId,
      {
        status: "canceled",
        amount_capturable: 0,
        canceled_at: account.now,
        cancellation_reason: "automatic",
      },
      null,
      "payment_intent.canceled",
    );
  }
}

/** A charge from before PaymentIntents: it is the payment itself. */
export function chargeAlone(account: Account, customer: string | null): void {
  const { random } = account;
  const id = account.id("ch");
  account.create(
    charge({ id, created: account.now, amount: random.int(50, 9000), customer, metadata: { till: "1" } }),
    "charge.succeeded",
  );
  if (random.chance(0.5)) refund(account, id);
  else if (random.chance(0.3)) openDispute(account, id);
}
