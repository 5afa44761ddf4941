import { change, emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { PaymentIntent } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { paymentIntent } from "../objects/payments.ts";
import { captureCharge } from "./charges.ts";

export interface IntentRequest {
  amount: number;
  currency: string;
  customer: string | null;
  captureMethod: PaymentIntent["capture_method"];
  confirmationMethod?: PaymentIntent["confirmation_method"];
  description: string | null;
  metadata: Record<string, string>;
  allowedTypes?: string[] | null;
  paymentMethodTypes: string[];
  receiptEmail: string | null;
  setupFutureUsage: PaymentIntent["setup_future_usage"];
  shipping: PaymentIntent["shipping"];
}

/** A new PaymentIntent, not yet paid. */
export function createIntent(world: World, request: IntentRequest): PaymentIntent {
  const id = newId("pi");
  const intent = world.store.insert<"payment_intent">(
    paymentIntent({
      id,
      allowed_payment_method_types: (request.allowedTypes ??
        null) as PaymentIntent["allowed_payment_method_types"],
      amount: request.amount,
      capture_method: request.captureMethod,
      client_secret: `${id}_secret_${randomToken(25)}`,
      confirmation_method: request.confirmationMethod ?? "automatic",
      created: timeOf(world, request),
      currency: request.currency,
      customer: request.customer,
      description: request.description,
      metadata: { ...request.metadata },
      payment_method_types: request.paymentMethodTypes,
      receipt_email: request.receiptEmail,
      setup_future_usage: request.setupFutureUsage,
      shipping: request.shipping,
    }),
  );
  emit(world, "payment_intent.created", intent);
  return intent;
}

/** Take what a manual confirmation held. */
export function captureIntent(world: World, intent: PaymentIntent, amount: number): void {
  const charge = intent.latest_charge ? world.store.get("charge", intent.latest_charge) : undefined;
  if (intent.status !== "requires_capture" || !charge) {
    throw invalidRequest(
      `This PaymentIntent could not be captured because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.`,
      { code: "payment_intent_unexpected_state" },
    );
  }
  captureCharge(world, charge, amount);
  intent.status = "succeeded";
  intent.amount_capturable = 0;
  intent.amount_received = amount;
  emit(world, "payment_intent.succeeded", intent);
  world.reactions.intentSucceeded(world, intent);
}

/** Give up on a payment. */
export function cancelIntent(
  world: World,
  intent: PaymentIntent,
  reason: PaymentIntent["cancellation_reason"],
): void {
  if (["succeeded", "canceled", "processing"].includes(intent.status)) {
    throw invalidRequest(
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing.`,
      { code: "payment_intent_unexpected_state" },
    );
  }
  const charge = intent.latest_charge ? world.store.get("charge", intent.latest_charge) : undefined;
  if (intent.status === "requires_capture" && charge) {
    change(world, "charge.updated", charge, (it) => {
      it.refunded = true;
      it.amount_refunded = it.amount;
    });
  }
  intent.status = "canceled";
  intent.canceled_at = timeOf(world, intent);
  intent.cancellation_reason = reason;
  intent.amount_capturable = 0;
  intent.next_action = null;
  emit(world, "payment_intent.canceled", intent);
}
