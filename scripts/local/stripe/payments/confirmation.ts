import { emit, jsonCopy } from "../core/events.ts";
import type { Card, Charge, PaymentIntent, PaymentMethod } from "../core/wire.ts";
import { clockOf, timeOf, type World } from "../core/world.ts";
import { invalidRequest, type StripeError } from "../http/errors.ts";
import { type ChargeRequest, failedCharge, finishCharge, pendingCharge, succeededCharge } from "./charges.ts";
import { type DeclineName, declines } from "./declines.ts";
import { attach, behaviourFor, declineError, isSetUp, markSetUp, paymentMethodFor } from "./instruments.ts";

/** How a confirmation went. */
export type Outcome =
  | { kind: "succeeded" }
  | { kind: "requires_capture" }
  | { kind: "requires_action" }
  | { kind: "processing" }
  | { kind: "declined"; decline: DeclineName; charge: Charge };

export interface ConfirmOptions {
  /** The customer is away: nobody can authenticate. */
  offSession: boolean;
  /** Where the customer returns to after authenticating. */
  returnUrl?: string | null;
  /** The customer has just authenticated. */
  authenticated?: boolean;
  /** Invoices wait for the customer even when they are charged off session. */
  waitForCustomer?: boolean;
}

function chargeRequest(
  intent: PaymentIntent,
  instrument: PaymentMethod | Card,
  threeDSecure: boolean,
): ChargeRequest {
  return {
    amount: intent.amount,
    currency: intent.currency,
    customer: intent.customer,
    instrument,
    paymentIntent: intent.id,
    capture: intent.capture_method !== "manual",
    description: intent.description,
    metadata: intent.metadata,
    receiptEmail: intent.receipt_email,
    shipping: intent.shipping,
    threeDSecure,
  };
}

function needsAuthentication(world: World, id: string, options: ConfirmOptions): boolean {
  if (options.authenticated) return false;
  const { authentication } = behaviourFor(world, id);
  if (authentication === "until_set_up") return !(options.offSession && isSetUp(world, id));
  return authentication === "always";
}

/** Try to take the money. Says how it went; throws only if there is nothing to try with. */
export function confirmIntent(
  world: World,
  intent: PaymentIntent,
  instrumentId: string | null,
  options: ConfirmOptions,
): Outcome {
  const startable = ["requires_payment_method", "requires_confirmation", "requires_action"];
  if (!startable.includes(intent.status)) {
    throw invalidRequest(
      `This PaymentIntent's status is ${intent.status}, but it must be one of ${startable.join(", ")} to be confirmed.`,
      { code: "payment_intent_unexpected_state", payment_intent: jsonCopy(intent) },
    );
  }
  if (instrumentId === null) {
    throw invalidRequest(
      "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
      { code: "payment_intent_unexpected_state" },
    );
  }
  const instrument = paymentMethodFor(world, instrumentId, "payment_method", intent);
  saveForLater(world, intent, instrument);
  const behaviour = behaviourFor(world, instrument.id);
  const request = chargeRequest(intent, instrument, options.authenticated === true);
  if (behaviour.declined) return decline(world, intent, request, behaviour.declined);
  if (needsAuthentication(world, instrument.id, options)) {
    if (options.offSession && !options.waitForCustomer) {
      return decline(world, intent, request, "authentication_required");
    }
    return askForAuthentication(world, intent, instrument, options.returnUrl ?? null);
  }
  if (behaviour.declinedLater) return decline(world, intent, request, behaviour.declinedLater);
  if (behaviour.debitOutcome && instrument.object === "payment_method" && instrument.type !== "card") {
    return startDebit(world, intent, request);
  }
  return succeed(world, intent, request, options.authenticated === true);
}

/** A payment method used with `setup_future_usage` is saved to the customer first. */
function saveForLater(world: World, intent: PaymentIntent, instrument: PaymentMethod | Card): void {
  if (!intent.setup_future_usage || !intent.customer || instrument.object !== "payment_method") return;
  const customer = world.store.get("customer", intent.customer);
  if (customer && instrument.customer === null && !behaviourFor(world, instrument.id).declined) {
    attach(world, instrument, customer);
  }
}

function decline(world: World, intent: PaymentIntent, request: ChargeRequest, name: DeclineName): Outcome {
  const charge = failedCharge(world, request, name);
  const { code, message, decline_code: declineCode } = declines[name];
  intent.status = "requires_payment_method";
  intent.latest_charge = charge.id;
  intent.payment_method = null;
  intent.next_action = null;
  intent.last_payment_error = {
    charge: charge.id,
    code,
    ...(declineCode ? { decline_code: declineCode } : {}),
    doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll("_", "-")}`,
    message,
    ...(request.instrument.object === "payment_method"
      ? { payment_method: structuredClone(request.instrument) }
      : {}),
    type: "card_error",
  };
  emit(world, "payment_intent.payment_failed", intent);
  return { kind: "declined", decline: name, charge };
}

function askForAuthentication(
  world: World,
  intent: PaymentIntent,
  instrument: PaymentMethod | Card,
  returnUrl: string | null,
): Outcome {
  intent.status = "requires_action";
  intent.payment_method = instrument.id;
  intent.next_action =
    returnUrl === null
      ? { type: "use_stripe_sdk", use_stripe_sdk: {} }
      : {
          type: "redirect_to_url",
          redirect_to_url: { return_url: returnUrl, url: `${world.publicUrl}/authenticate/${intent.id}` },
        };
  emit(world, "payment_intent.requires_action", intent);
  return { kind: "requires_action" };
}

function succeed(
  world: World,
  intent: PaymentIntent,
  request: ChargeRequest,
  authenticated: boolean,
): Outcome {
  const charge = succeededCharge(world, request);
  intent.latest_charge = charge.id;
  intent.payment_method = request.instrument.id;
  intent.next_action = null;
  intent.last_payment_error = null;
  if (authenticated || intent.setup_future_usage === "off_session") markSetUp(world, request.instrument.id);
  if (!request.capture) {
    intent.status = "requires_capture";
    intent.amount_capturable = intent.amount;
    emit(world, "payment_intent.amount_capturable_updated", intent);
    return { kind: "requires_capture" };
  }
  intent.status = "succeeded";
  intent.amount_received = intent.amount;
  emit(world, "payment_intent.succeeded", intent);
  world.reactions.intentSucceeded(world, intent);
  return { kind: "succeeded" };
}

function startDebit(world: World, intent: PaymentIntent, request: ChargeRequest): Outcome {
  const charge = pendingCharge(world, request);
  intent.latest_charge = charge.id;
  intent.payment_method = request.instrument.id;
  intent.status = "processing";
  emit(world, "payment_intent.processing", intent);
  world.jobs.set(
    "payment.finish",
    intent.id,
    clockOf(world, intent),
    timeOf(world, intent) + world.settings.debitSeconds,
  );
  return { kind: "processing" };
}

/** The outcome of a bank debit: paid, or not. */
export function finishIntent(world: World, intent: PaymentIntent): void {
  const charge = intent.latest_charge ? world.store.get("charge", intent.latest_charge) : undefined;
  if (intent.status !== "processing" || !charge) return;
  const succeeded = behaviourFor(world, intent.payment_method ?? "").debitOutcome !== "failed";
  finishCharge(world, charge, succeeded);
  if (succeeded) {
    intent.status = "succeeded";
    intent.amount_received = intent.amount;
    emit(world, "payment_intent.succeeded", intent);
    world.reactions.intentSucceeded(world, intent);
    return;
  }
  const { code, message } = declines.debit_failed;
  intent.status = "requires_payment_method";
  intent.payment_method = null;
  intent.last_payment_error = { charge: charge.id, code, message, type: "card_error" };
  emit(world, "payment_intent.payment_failed", intent);
  world.reactions.intentFailed(world, intent);
}

/** The customer passes, or fails, 3-D Secure. */
export function authenticateIntent(world: World, intent: PaymentIntent, passed: boolean): void {
  if (intent.status !== "requires_action") {
    throw invalidRequest(
      `This PaymentIntent's status is ${intent.status}: there is nothing to authenticate.`,
      {
        code: "payment_intent_unexpected_state",
      },
    );
  }
  if (passed) {
    const outcome = confirmIntent(world, intent, intent.payment_method, {
      offSession: false,
      authenticated: true,
    });
    if (outcome.kind === "declined") world.reactions.intentFailed(world, intent);
    return;
  }
  intent.status = "requires_payment_method";
  intent.payment_method = null;
  intent.next_action = null;
  intent.last_payment_error = {
    code: "payment_intent_authentication_failure",
    message:
      "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
    type: "invalid_request_error",
  };
  emit(world, "payment_intent.payment_failed", intent);
  world.reactions.intentFailed(world, intent);
}

/** The 402 of a declined confirmation, with the intent inside as Stripe sends it. */
export function declinedError(
  intent: PaymentIntent,
  outcome: Extract<Outcome, { kind: "declined" }>,
): StripeError {
  return declineError(outcome.decline, {
    charge: outcome.charge.id,
    payment_intent: jsonCopy(intent),
    ...(intent.last_payment_error?.payment_method
      ? { payment_method: jsonCopy(intent.last_payment_error.payment_method) }
      : {}),
  });
}
