import { change, emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { Card, Charge, PaymentMethod } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { cardDetails, charge as chargeObject, declinedOutcome, type Refusal } from "../objects/payments.ts";
import { createBalanceTransaction, feeOf } from "./balance.ts";
import { type DeclineName, declines } from "./declines.ts";
import { openDispute } from "./disputes.ts";
import { behaviourFor, emptyBillingDetails } from "./instruments.ts";

export interface ChargeRequest {
  /** In the currency's smallest unit. */
  amount: number;
  currency: string;
  customer: string | null;
  instrument: PaymentMethod | Card;
  paymentIntent: string | null;
  capture: boolean;
  description: string | null;
  metadata: Record<string, string>;
  receiptEmail: string | null;
  shipping: Charge["shipping"];
  threeDSecure: boolean;
}

function detailsOf(
  instrument: PaymentMethod | Card,
  request: ChargeRequest,
): Charge["payment_method_details"] {
  if (instrument.object === "payment_method" && instrument.sepa_debit) {
    return { sepa_debit: { ...instrument.sepa_debit, mandate: null }, type: "sepa_debit" };
  }
  const card = instrument.object === "card" ? instrument : instrument.card;
  return cardDetails({
    amount_authorized: request.amount,
    authorization_code: randomToken(6).toUpperCase(),
    brand: card?.brand ?? "visa",
    country: card?.country ?? "US",
    electronic_commerce_indicator: request.threeDSecure ? "05" : null,
    exp_month: card?.exp_month ?? 12,
    exp_year: card?.exp_year ?? 2030,
    fingerprint: card?.fingerprint ?? null,
    funding: card?.funding ?? "credit",
    last4: card?.last4 ?? "4242",
    network_transaction_id: randomToken(15),
    three_d_secure: request.threeDSecure
      ? {
          authentication_flow: "challenge",
          electronic_commerce_indicator: "05",
          exemption_indicator: null,
          result: "authenticated",
          result_reason: null,
          transaction_id: randomToken(24),
          version: "2.2.0",
        }
      : null,
  });
}

function newCharge(world: World, request: ChargeRequest): Charge {
  const { amount, currency, customer, instrument, description, metadata } = request;
  const billing = instrument.object === "payment_method" ? instrument.billing_details : emptyBillingDetails;
  return chargeObject({
    id: newId("ch"),
    amount,
    billing_details: structuredClone(billing),
    calculated_statement_descriptor: "DUEBASE LOCAL",
    created: timeOf(world, { customer }),
    currency,
    customer,
    description,
    metadata: { ...metadata },
    payment_intent: request.paymentIntent,
    payment_method: instrument.id,
    payment_method_details: detailsOf(instrument, request),
    receipt_email: request.receiptEmail,
    shipping: request.shipping,
  });
}

/** Money is taken (or, without capture, held). */
export function succeededCharge(world: World, request: ChargeRequest): Charge {
  const charge = world.store.insert<"charge">({
    ...newCharge(world, request),
    paid: true,
    status: "succeeded",
  });
  charge.receipt_url = `${world.publicUrl}/receipts/${charge.id}`;
  recordEffect(world, request.capture ? "charge.succeeded" : "charge.authorized", charge, charge.amount);
  if (request.capture) {
    charge.captured = true;
    charge.amount_captured = charge.amount;
  }
  emit(world, "charge.succeeded", charge);
  // The balance follows a moment later, with an event of its own.
  if (request.capture) change(world, "charge.updated", charge, (it) => takeMoney(world, it, it.amount));
  const { dispute } = behaviourFor(world, request.instrument.id);
  if (dispute) openDispute(world, charge, dispute);
  return charge;
}

function takeMoney(world: World, charge: Charge, amount: number): void {
  charge.captured = true;
  charge.amount_captured = amount;
  charge.balance_transaction = createBalanceTransaction(world, {
    amount,
    fee: feeOf(amount),
    currency: charge.currency,
    source: charge.id,
    type: "charge",
    subject: charge,
  }).id;
}

/** The bank refuses. */
export function failedCharge(world: World, request: ChargeRequest, decline: DeclineName): Charge {
  const { code, message, network, decline_code: declineCode } = declines[decline];
  const charge = world.store.insert<"charge">({ ...newCharge(world, request), status: "failed" });
  markFailed(charge, { code, message, reason: declineCode ?? code, network: network ?? null });
  recordEffect(world, "charge.failed", charge, charge.amount, declineCode ?? code);
  emit(world, "charge.failed", charge);
  return charge;
}

function markFailed(charge: Charge, refusal: Refusal): void {
  Object.assign(charge, { status: "failed", paid: false, ...declinedOutcome(refusal) });
}

/** A bank debit that will be decided later. */
export function pendingCharge(world: World, request: ChargeRequest): Charge {
  const charge = world.store.insert<"charge">({ ...newCharge(world, request), captured: true });
  charge.amount_captured = charge.amount;
  emit(world, "charge.pending", charge);
  return charge;
}

/** A pending debit is decided. */
export function finishCharge(world: World, charge: Charge, succeeded: boolean): void {
  if (succeeded) {
    charge.status = "succeeded";
    charge.paid = true;
    takeMoney(world, charge, charge.amount);
    recordEffect(world, "charge.succeeded", charge, charge.amount);
    emit(world, "charge.succeeded", charge);
    return;
  }
  const { code, message } = declines.debit_failed;
  charge.captured = false;
  charge.amount_captured = 0;
  markFailed(charge, { code, message, reason: "generic_decline", network: null });
  recordEffect(world, "charge.failed", charge, charge.amount, code);
  emit(world, "charge.failed", charge);
}

/**
 * Take money that was held.
 * @param amount in the smallest unit; the rest is let go
 */
export function captureCharge(world: World, charge: Charge, amount: number): void {
  if (charge.captured) {
    throw invalidRequest(`Charge ${charge.id} has already been captured.`, {
      code: "charge_already_captured",
    });
  }
  change(world, "charge.updated", charge, (it) => {
    takeMoney(world, it, amount);
    it.amount_refunded = it.amount - amount;
  });
  recordEffect(world, "charge.captured", charge, amount);
  emit(world, "charge.captured", charge);
}
