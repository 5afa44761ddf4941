import { emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { SetupIntent } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest } from "../http/errors.ts";
import { type DeclineName, declines } from "./declines.ts";
import { attach, behaviourFor, declineError, isSetUp, markSetUp, paymentMethodFor } from "./instruments.ts";

export interface SetupRequest {
  customer: string | null;
  usage: string;
  description?: string | null;
  metadata?: Record<string, string>;
  allowedTypes?: string[] | null;
  paymentMethodTypes?: string[];
}

/** A new SetupIntent: a card is to be saved for later. */
export function createSetupIntent(world: World, request: SetupRequest): SetupIntent {
  const id = newId("seti");
  const setup = world.store.insert<"setup_intent">({
    id,
    object: "setup_intent",
    allowed_payment_method_types: (request.allowedTypes ??
      null) as SetupIntent["allowed_payment_method_types"],
    application: null,
    automatic_payment_methods: null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${randomToken(25)}`,
    created: timeOf(world, request),
    customer: request.customer,
    customer_account: null,
    description: request.description ?? null,
    excluded_payment_method_types: null,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    managed_payments: null,
    mandate: null,
    metadata: request.metadata ?? {},
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: { mandate_options: null, network: null, request_three_d_secure: "automatic" },
    },
    payment_method_types: request.paymentMethodTypes ?? ["card"],
    single_use_mandate: null,
    status: "requires_payment_method",
    usage: request.usage,
  });
  emit(world, "setup_intent.created", setup);
  return setup;
}

/** Try to save the card.
 * @throws 402 if the bank refuses
 */
export function confirmSetup(
  world: World,
  setup: SetupIntent,
  instrumentId: string | null,
  authenticated = false,
): void {
  if (["succeeded", "canceled", "processing"].includes(setup.status)) {
    throw invalidRequest(`You cannot confirm this SetupIntent because it has a status of ${setup.status}.`, {
      code: "setup_intent_unexpected_state",
    });
  }
  if (instrumentId === null) {
    throw invalidRequest(
      "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a payment method and then confirm it again.",
      { code: "setup_intent_unexpected_state" },
    );
  }
  const method = paymentMethodFor(world, instrumentId, "payment_method", setup);
  const { declined, authentication } = behaviourFor(world, method.id);
  if (declined) throw refuse(world, setup, declined);
  if (authentication && !authenticated && !isSetUp(world, method.id)) {
    setup.status = "requires_action";
    setup.payment_method = method.id;
    setup.next_action = { type: "use_stripe_sdk", use_stripe_sdk: {} };
    emit(world, "setup_intent.requires_action", setup);
    return;
  }
  const customer = setup.customer ? world.store.get("customer", setup.customer) : undefined;
  if (customer && method.object === "payment_method") attach(world, method, customer);
  markSetUp(world, method.id);
  setup.status = "succeeded";
  setup.payment_method = method.id;
  setup.next_action = null;
  setup.last_setup_error = null;
  emit(world, "setup_intent.succeeded", setup);
  world.reactions.setupSucceeded(world, setup);
}

function refuse(world: World, setup: SetupIntent, decline: DeclineName): Error {
  const { code, message, decline_code: declineCode } = declines[decline];
  setup.status = "requires_payment_method";
  setup.payment_method = null;
  setup.last_setup_error = {
    code,
    ...(declineCode ? { decline_code: declineCode } : {}),
    message,
    type: "card_error",
  };
  emit(world, "setup_intent.setup_failed", setup);
  return declineError(decline, { setup_intent: JSON.parse(JSON.stringify(setup)) });
}

/** The customer passes, or fails, 3-D Secure while saving a card. */
export function authenticateSetup(world: World, setup: SetupIntent, passed: boolean): void {
  if (setup.status !== "requires_action") {
    throw invalidRequest(`This SetupIntent's status is ${setup.status}: there is nothing to authenticate.`, {
      code: "setup_intent_unexpected_state",
    });
  }
  if (passed) {
    confirmSetup(world, setup, setup.payment_method, true);
    return;
  }
  setup.status = "requires_payment_method";
  setup.payment_method = null;
  setup.next_action = null;
  setup.last_setup_error = {
    code: "setup_intent_authentication_failure",
    message:
      "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
    type: "invalid_request_error",
  };
  emit(world, "setup_intent.setup_failed", setup);
}

/** Give up on saving a card. */
export function cancelSetup(
  world: World,
  setup: SetupIntent,
  reason: SetupIntent["cancellation_reason"],
): void {
  if (["succeeded", "canceled"].includes(setup.status)) {
    throw invalidRequest(`You cannot cancel this SetupIntent because it has a status of ${setup.status}.`, {
      code: "setup_intent_unexpected_state",
    });
  }
  setup.status = "canceled";
  setup.cancellation_reason = reason;
  setup.next_action = null;
  emit(world, "setup_intent.canceled", setup);
}
