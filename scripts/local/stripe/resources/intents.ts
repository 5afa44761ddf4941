import { get, post } from "../../service/route.ts";
import { customerOf, shippingFrom } from "../billing/customers.ts";
import type { PaymentIntent, SetupIntent } from "../core/wire.ts";
import { asksSince, type World } from "../core/world.ts";
import { afterEffects, invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf, pageOfTable } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";
import { confirmIntent, declinedError } from "../payments/confirmation.ts";
import { createSepaDebit, paymentMethodFor } from "../payments/instruments.ts";
import { cancelIntent, captureIntent, createIntent } from "../payments/intents.ts";
import { cancelSetup, confirmSetup, createSetupIntent } from "../payments/setups.ts";

function intentOf(world: World, id: string): PaymentIntent {
  const intent = world.store.get("payment_intent", id);
  if (!intent) throw resourceMissing("payment_intent", id);
  return intent;
}

function setupOf(world: World, id: string): SetupIntent {
  const setup = world.store.get("setup_intent", id);
  if (!setup) throw resourceMissing("setup_intent", id);
  return setup;
}

/** Since 2026-09-30 nobody may say which types there are, only which are allowed. */
function refuseMethodTypes(world: World, params: Params): void {
  if (!params.has("payment_method_types") || !asksSince(world, "2026-09-30")) return;
  throw invalidRequest(
    "`payment_method_types` is no longer supported. Use dynamic payment methods, or `allowed_payment_method_types` to limit them.",
    { code: "payment_method_types_no_longer_supported", param: "payment_method_types" },
  );
}

/** Types that were allowed, and what of them there is; older versions say the latter themselves. */
function methodTypesFrom(world: World, params: Params): { allowed: string[] | null; types: string[] } {
  refuseMethodTypes(world, params);
  const allowed = params.strings("allowed_payment_method_types") ?? null;
  if (allowed && params.has("payment_method_types")) {
    throw invalidRequest(
      "You may only specify one of these parameters: allowed_payment_method_types, payment_method_types.",
      { param: "allowed_payment_method_types" },
    );
  }
  return { allowed, types: allowed ?? params.strings("payment_method_types") ?? ["card"] };
}

function amountFrom(params: Params): number {
  const amount = params.integer("amount");
  if (amount == null) throw missingParam("amount");
  if (amount < 1) {
    throw invalidRequest("This value must be greater than or equal to 1.", {
      code: "parameter_invalid_integer",
      param: "amount",
    });
  }
  return amount;
}

/** The payment method the call names, or describes in `payment_method_data`. */
function methodFrom(world: World, params: Params, intent: { customer: string | null }): string | null {
  const id = params.text("payment_method");
  if (id) return paymentMethodFor(world, id, "payment_method", intent).id;
  const iban = params.child("payment_method_data")?.child("sepa_debit")?.text("iban");
  return iban ? createSepaDebit(world, iban).id : null;
}

/** Confirm, and answer as Stripe does: a decline is a 402, a question of 3-D Secure is not. */
function confirm(world: World, intent: PaymentIntent, params: Params): PaymentIntent {
  params.child("mandate_data");
  refuseMethodTypes(world, params);
  const outcome = confirmIntent(world, intent, methodFrom(world, params, intent) ?? intent.payment_method, {
    offSession: params.boolean("off_session") ?? false,
    returnUrl: params.text("return_url") ?? null,
  });
  if (outcome.kind === "declined") {
    world.reactions.intentFailed(world, intent);
    throw declinedError(intent, outcome);
  }
  if (outcome.kind === "requires_action" && params.boolean("error_on_requires_action")) {
    throw afterEffects(
      invalidRequest("This payment required an authentication action to complete.", {
        code: "authentication_required",
      }),
    );
  }
  return intent;
}

function create(world: World, params: Params): PaymentIntent {
  const customer = params.text("customer");
  if (customer) customerOf(world, customer, "customer");
  const { allowed, types } = methodTypesFrom(world, params);
  const intent = createIntent(world, {
    amount: amountFrom(params),
    currency: params.required("currency").toLowerCase(),
    customer: customer ?? null,
    captureMethod: params.choice("capture_method", ["automatic", "automatic_async", "manual"]) ?? "automatic",
    confirmationMethod: params.choice("confirmation_method", ["automatic", "manual"]) ?? "automatic",
    description: params.text("description") ?? null,
    metadata: mergedMetadata({}, params.hash("metadata")),
    allowedTypes: allowed,
    paymentMethodTypes: types,
    receiptEmail: params.text("receipt_email") ?? null,
    setupFutureUsage: params.choice("setup_future_usage", ["off_session", "on_session"]) ?? null,
    shipping: shippingFrom(params.child("shipping")),
  });
  if (params.boolean("confirm")) return confirm(world, intent, params);
  const method = methodFrom(world, params, intent);
  if (method) {
    intent.payment_method = method;
    intent.status = "requires_confirmation";
  }
  return intent;
}

function update(world: World, intent: PaymentIntent, params: Params): PaymentIntent {
  refuseMethodTypes(world, params);
  if (
    ["succeeded", "canceled"].includes(intent.status) &&
    (params.has("amount") || params.has("payment_method"))
  ) {
    throw invalidRequest(
      `This PaymentIntent's could not be updated because it has a status of ${intent.status}.`,
      {
        code: "payment_intent_unexpected_state",
      },
    );
  }
  const method = methodFrom(world, params, intent);
  if (method) {
    intent.payment_method = method;
    if (intent.status === "requires_payment_method") intent.status = "requires_confirmation";
  }
  if (params.has("amount")) intent.amount = amountFrom(params);
  const description = params.text("description");
  if (description !== undefined) intent.description = description;
  intent.metadata = mergedMetadata(intent.metadata, params.hash("metadata"));
  return intent;
}

const cancellationReasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"] as const;

export const paymentIntentRoutes: Route[] = [
  post("/v1/payment_intents", ({ world, params }) => create(world, params)),
  get("/v1/payment_intents", ({ world, params }) => {
    const customer = params.text("customer");
    return pageOfTable(
      world,
      "payment_intent",
      params,
      "/v1/payment_intents",
      (it) => !customer || it.customer === customer,
    );
  }),
  get("/v1/payment_intents/:id", (call) => intentOf(call.world, idOf(call))),
  post("/v1/payment_intents/:id", (call) =>
    update(call.world, intentOf(call.world, idOf(call)), call.params),
  ),
  post("/v1/payment_intents/:id/confirm", (call) =>
    confirm(call.world, intentOf(call.world, idOf(call)), call.params),
  ),
  post("/v1/payment_intents/:id/capture", (call) => {
    const intent = intentOf(call.world, idOf(call));
    captureIntent(call.world, intent, call.params.integer("amount_to_capture") ?? intent.amount_capturable);
    return intent;
  }),
  post("/v1/payment_intents/:id/cancel", (call) => {
    const intent = intentOf(call.world, idOf(call));
    cancelIntent(call.world, intent, call.params.choice("cancellation_reason", cancellationReasons) ?? null);
    return intent;
  }),
];

export const setupIntentRoutes: Route[] = [
  post("/v1/setup_intents", ({ world, params }) => {
    const customer = params.text("customer");
    if (customer) customerOf(world, customer, "customer");
    const { allowed, types } = methodTypesFrom(world, params);
    const setup = createSetupIntent(world, {
      customer: customer ?? null,
      usage: params.choice("usage", ["off_session", "on_session"]) ?? "off_session",
      description: params.text("description") ?? null,
      metadata: mergedMetadata({}, params.hash("metadata")),
      allowedTypes: allowed,
      paymentMethodTypes: types,
    });
    const method = methodFrom(world, params, setup);
    if (params.boolean("confirm")) confirmSetup(world, setup, method);
    else if (method) {
      setup.payment_method = method;
      setup.status = "requires_confirmation";
    }
    return setup;
  }),
  get("/v1/setup_intents", ({ world, params }) => {
    const customer = params.text("customer");
    const found = world.store.where("setup_intent", (it) => !customer || it.customer === customer);
    return pageOf(newestFirst(found), params, "/v1/setup_intents");
  }),
  get("/v1/setup_intents/:id", (call) => setupOf(call.world, idOf(call))),
  post("/v1/setup_intents/:id", (call) => {
    refuseMethodTypes(call.world, call.params);
    const setup = setupOf(call.world, idOf(call));
    setup.metadata = mergedMetadata(setup.metadata, call.params.hash("metadata"));
    const method = methodFrom(call.world, call.params, setup);
    if (method) setup.payment_method = method;
    return setup;
  }),
  post("/v1/setup_intents/:id/confirm", (call) => {
    const setup = setupOf(call.world, idOf(call));
    confirmSetup(call.world, setup, methodFrom(call.world, call.params, setup) ?? setup.payment_method);
    return setup;
  }),
  post("/v1/setup_intents/:id/cancel", (call) => {
    const setup = setupOf(call.world, idOf(call));
    const reason = call.params.choice("cancellation_reason", [
      "abandoned",
      "duplicate",
      "requested_by_customer",
    ]);
    cancelSetup(call.world, setup, reason ?? null);
    return setup;
  }),
];
