import { get, post } from "../../service/route.ts";
import { type Buyer, completeSession } from "../checkout/completion.ts";
import { createSession, expireSession, findSession, sessionLines } from "../checkout/sessions.ts";
import type { CheckoutSession } from "../core/wire.ts";
import { pageOf, pageOfTable } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { type Call, idOf, type Route } from "../http/route.ts";

/** What the buyer types in; `payment_method` is `pm_card_visa` where nothing is said. */
export function buyerFrom(params: Params): Buyer {
  return {
    paymentMethod: params.has("payment_method") ? (params.text("payment_method") ?? null) : "pm_card_visa",
    email: params.text("email") ?? null,
    name: params.text("name") ?? null,
    authenticate: params.choice("authenticate", ["succeed", "fail", "leave"]) ?? "succeed",
  };
}

function complete(call: Call): CheckoutSession {
  return completeSession(call.world, findSession(call.world, idOf(call)), buyerFrom(call.params));
}

export const checkoutRoutes: Route[] = [
  post("/v1/checkout/sessions", ({ world, params }) => createSession(world, params)),
  get("/v1/checkout/sessions", ({ world, params }) => {
    const customer = params.text("customer");
    const subscription = params.text("subscription");
    const intent = params.text("payment_intent");
    const status = params.text("status");
    return pageOfTable(
      world,
      "checkout.session",
      params,
      "/v1/checkout/sessions",
      (it) =>
        (!customer || it.customer === customer) &&
        (!subscription || it.subscription === subscription) &&
        (!intent || it.payment_intent === intent) &&
        (!status || it.status === status),
    );
  }),
  get("/v1/checkout/sessions/:id", (call) => findSession(call.world, idOf(call))),
  post("/v1/checkout/sessions/:id", (call) => {
    const session = findSession(call.world, idOf(call));
    session.metadata = mergedMetadata(session.metadata, call.params.hash("metadata"));
    return session;
  }),
  get("/v1/checkout/sessions/:id/line_items", (call) => {
    const session = findSession(call.world, idOf(call));
    const url = `/v1/checkout/sessions/${session.id}/line_items`;
    return pageOf([...sessionLines(call.world, session.id)], call.params, url);
  }),
  post("/v1/checkout/sessions/:id/expire", (call) => {
    const session = findSession(call.world, idOf(call));
    expireSession(call.world, session);
    return session;
  }),
  // The page behind a session's url; the CLI's triggers speak to it directly.
  get("/v1/payment_pages/:id", (call) => findSession(call.world, idOf(call))),
  post("/v1/payment_pages/:id/confirm", complete),
  post("/v1/test_helpers/duebase/checkout/sessions/:id/complete", complete),
];
