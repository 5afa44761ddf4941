import { del, get, post } from "../../service/route.ts";
import { payPart } from "../billing/invoices.ts";
import { pauseCauses, pauseSubscription } from "../billing/pausing.ts";
import { findSubscription } from "../billing/subscriptions.ts";
import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { PaymentMethod, TestClock } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { type Call, idOf, type Route } from "../http/route.ts";
import { authenticateIntent } from "../payments/confirmation.ts";
import { isDeclineName } from "../payments/declines.ts";
import { allowAppeal, closeDispute, openDispute, preventDispute } from "../payments/disputes.ts";
import { authenticateSetup } from "../payments/setups.ts";

function clockOf(world: World, id: string): TestClock {
  const clock = world.store.get("test_helpers.test_clock", id);
  if (!clock) throw resourceMissing("billing clock", id);
  return clock;
}

function createClock({ world, params }: Call): TestClock {
  const frozen = params.integer("frozen_time");
  if (frozen == null) throw missingParam("frozen_time");
  const now = world.wallSeconds();
  const clock = world.store.insert<"test_helpers.test_clock">({
    id: newId("clock"),
    object: "test_helpers.test_clock",
    created: now,
    deletes_after: now + 30 * 86_400,
    frozen_time: frozen,
    livemode: false,
    name: params.text("name") ?? null,
    status: "ready",
    status_details: {},
  });
  emit(world, "test_helpers.test_clock.created", clock);
  return clock;
}

function advanceClock(call: Call): TestClock {
  const { world, params } = call;
  const clock = clockOf(world, idOf(call));
  const target = params.integer("frozen_time");
  if (target == null) throw missingParam("frozen_time");
  if (clock.status === "advancing") {
    throw invalidRequest("Test clock is currently advancing. Wait until its status is `ready`.");
  }
  if (target <= clock.frozen_time) {
    throw invalidRequest("The clock can only be advanced to a time after its current frozen time.", {
      param: "frozen_time",
    });
  }
  // Until the advance is done, its objects still see the old time.
  world.moments.set(clock.id, clock.frozen_time);
  clock.status = "advancing";
  clock.status_details = { advancing: { target_frozen_time: target } };
  clock.frozen_time = target;
  emit(world, "test_helpers.test_clock.advancing", clock);
  world.advance(clock.id, target);
  return clock;
}

/** Deleting a clock deletes the customers that live under it, with all they have. */
function deleteClock(call: Call): object {
  const { world } = call;
  const clock = clockOf(world, idOf(call));
  for (const customer of world.store.where("customer", (it) => it.test_clock === clock.id)) {
    for (const subscription of world.store.where("subscription", (it) => it.customer === customer.id)) {
      subscription.status = "canceled";
    }
    world.store.delete("customer", customer.id);
  }
  const tombstone = world.store.delete("test_helpers.test_clock", clock.id);
  emit(world, "test_helpers.test_clock.deleted", clock, null);
  return tombstone;
}

export const testClockRoutes: Route[] = [
  post("/v1/test_helpers/test_clocks", createClock),
  get("/v1/test_helpers/test_clocks", ({ world, params }) =>
    pageOf(newestFirst(world.store.all("test_helpers.test_clock")), params, "/v1/test_helpers/test_clocks"),
  ),
  get("/v1/test_helpers/test_clocks/:id", (call) => clockOf(call.world, idOf(call))),
  post("/v1/test_helpers/test_clocks/:id/advance", advanceClock),
  del("/v1/test_helpers/test_clocks/:id", deleteClock),
];

function cardOf(call: Call): PaymentMethod {
  const method = call.world.store.get("payment_method", idOf(call));
  if (!method) throw resourceMissing("PaymentMethod", idOf(call));
  return method;
}

/**
 * What a person, a bank or a card network does, which Stripe's own API cannot:
 * these exist here only.
 */
export const duebaseHelperRoutes: Route[] = [
  post("/v1/test_helpers/duebase/payment_intents/:id/authenticate", (call) => {
    const intent = call.world.store.get("payment_intent", idOf(call));
    if (!intent) throw resourceMissing("payment_intent", idOf(call));
    authenticateIntent(call.world, intent, call.params.choice("outcome", ["succeed", "fail"]) !== "fail");
    return intent;
  }),
  post("/v1/test_helpers/duebase/setup_intents/:id/authenticate", (call) => {
    const setup = call.world.store.get("setup_intent", idOf(call));
    if (!setup) throw resourceMissing("setup_intent", idOf(call));
    authenticateSetup(call.world, setup, call.params.choice("outcome", ["succeed", "fail"]) !== "fail");
    return setup;
  }),
  post("/v1/test_helpers/duebase/payment_methods/:id/behave", (call) => {
    const method = cardOf(call);
    const outcome = call.params.required("outcome");
    if (outcome !== "succeed" && outcome !== "authenticate" && !isDeclineName(outcome)) {
      throw invalidRequest(
        `Invalid outcome: succeed, authenticate, or a decline such as insufficient_funds`,
        {
          param: "outcome",
        },
      );
    }
    const instrument = call.world.store.hidden.instruments.get(method.id);
    if (instrument) instrument.outcome = outcome;
    return method;
  }),
  post("/v1/test_helpers/duebase/payment_methods/:id/automatically_update", (call) => {
    const method = cardOf(call);
    const { params } = call;
    const customer = method.customer ? call.world.store.get("customer", method.customer) : null;
    change(
      call.world,
      "payment_method.automatically_updated",
      method,
      (it) => {
        if (!it.card) return;
        it.card.exp_month = params.integer("exp_month") ?? it.card.exp_month;
        it.card.exp_year = params.integer("exp_year") ?? it.card.exp_year + 4;
        it.card.last4 = params.text("last4") ?? it.card.last4;
      },
      customer ?? null,
    );
    return method;
  }),
  post("/v1/test_helpers/duebase/invoices/:id/pay_part", (call) => {
    const invoice = call.world.store.get("invoice", idOf(call));
    if (!invoice) throw resourceMissing("invoice", idOf(call));
    payPart(call.world, invoice, call.params.integer("amount") ?? 0);
    return invoice;
  }),
  post("/v1/test_helpers/duebase/subscriptions/:id/pause", (call) => {
    const subscription = findSubscription(call.world, idOf(call));
    const cause = call.params.choice("cause", pauseCauses) ?? "system";
    pauseSubscription(call.world, subscription, cause);
    return subscription;
  }),
  post("/v1/test_helpers/duebase/disputes/:id/decide", (call) => {
    const dispute = call.world.store.get("dispute", idOf(call));
    if (!dispute) throw resourceMissing("dispute", idOf(call));
    return closeDispute(call.world, dispute, call.params.choice("outcome", ["won", "lost"]) === "won");
  }),
  post("/v1/test_helpers/duebase/disputes/:id/allow_appeal", (call) => {
    const dispute = call.world.store.get("dispute", idOf(call));
    if (!dispute) throw resourceMissing("dispute", idOf(call));
    return allowAppeal(call.world, dispute);
  }),
  post("/v1/test_helpers/duebase/charges/:id/dispute", (call) => {
    const charge = call.world.store.get("charge", idOf(call));
    if (!charge) throw resourceMissing("charge", idOf(call));
    const kind = call.params.choice("kind", [
      "fraudulent",
      "product_not_received",
      "inquiry",
      "prevented",
      "prevented_without_funds",
    ]);
    if (kind === "prevented" || kind === "prevented_without_funds")
      return preventDispute(call.world, charge, kind === "prevented");
    return openDispute(call.world, charge, kind ?? "fraudulent");
  }),
];
