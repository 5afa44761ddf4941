import { get, post } from "../../service/route.ts";
import { addressFrom, customerOf } from "../billing/customers.ts";
import { change } from "../core/events.ts";
import type { PaymentMethod } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { cardError, invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";
import { findTestCard } from "../payments/cards.ts";
import { attach, createCard, createSepaDebit, detach, paymentMethodFor } from "../payments/instruments.ts";

/** A payment method out of the API's parameters: a card by number or token, or a bank account. */
function createFrom(world: World, params: Params): PaymentMethod {
  const type = params.required("type");
  if (type === "sepa_debit") {
    const iban = params.child("sepa_debit")?.required("iban");
    if (!iban) throw missingParam("sepa_debit[iban]");
    return createSepaDebit(world, iban.replaceAll(" ", ""));
  }
  if (type !== "card")
    throw invalidRequest(`Invalid type: must be one of card, sepa_debit`, { param: "type" });
  const card = params.child("card");
  const token = card?.text("token");
  const number = card?.text("number");
  if (!card || (!token && !number)) throw missingParam("card");
  const testCard = findTestCard(token ?? number ?? "");
  if (!testCard) {
    if (token) throw resourceMissing("token", token, "card[token]");
    throw cardError("Your card number is incorrect.", { code: "incorrect_number", param: "number" });
  }
  card.text("cvc");
  const month = card.integer("exp_month");
  const year = card.integer("exp_year");
  if (token) return createCard(world, testCard);
  if (month == null || month < 1 || month > 12) {
    throw cardError("Your card's expiration month is invalid.", {
      code: "invalid_expiry_month",
      param: "exp_month",
    });
  }
  const fullYear = year == null ? 0 : year < 100 ? 2000 + year : year;
  const now = new Date(world.wallSeconds() * 1000);
  const past =
    fullYear < now.getUTCFullYear() || (fullYear === now.getUTCFullYear() && month < now.getUTCMonth() + 1);
  if (past) {
    throw cardError("Your card's expiration year is invalid.", {
      code: "invalid_expiry_year",
      param: "exp_year",
    });
  }
  return createCard(world, testCard, { exp_month: month, exp_year: fullYear });
}

function applyBilling(method: PaymentMethod, params: Params): void {
  const details = params.child("billing_details");
  if (!details) return;
  for (const name of ["email", "name", "phone"] as const) {
    const value = details.text(name);
    if (value !== undefined) method.billing_details[name] = value;
  }
  if (details.has("address")) method.billing_details.address = addressFrom(details.child("address")) ?? null;
}

function methodOf(world: World, id: string): PaymentMethod {
  const method = paymentMethodFor(world, id, "id");
  if (method.object !== "payment_method") throw resourceMissing("PaymentMethod", id);
  return method;
}

export const paymentMethodRoutes: Route[] = [
  post("/v1/payment_methods", ({ world, params }) => {
    const method = createFrom(world, params);
    applyBilling(method, params);
    method.metadata = mergedMetadata({}, params.hash("metadata"));
    return method;
  }),
  get("/v1/payment_methods", ({ world, params }) => {
    const customer = params.text("customer");
    const type = params.text("type");
    const found = world.store.where(
      "payment_method",
      (it) => (customer ? it.customer === customer : false) && (!type || it.type === type),
    );
    return pageOf(newestFirst(found), params, "/v1/payment_methods");
  }),
  get("/v1/payment_methods/:id", (call) => methodOf(call.world, idOf(call))),
  post("/v1/payment_methods/:id", (call) => {
    const { world, params } = call;
    const method = methodOf(world, idOf(call));
    const before = method.customer ? world.store.get("customer", method.customer) : null;
    change(
      world,
      "payment_method.updated",
      method,
      (it) => {
        applyBilling(it, params);
        it.metadata = mergedMetadata(it.metadata, params.hash("metadata"));
        const card = params.child("card");
        if (it.card) {
          it.card.exp_month = card?.integer("exp_month") ?? it.card.exp_month;
          it.card.exp_year = card?.integer("exp_year") ?? it.card.exp_year;
        }
      },
      before ?? null,
    );
    return method;
  }),
  post("/v1/payment_methods/:id/attach", (call) => {
    const { world, params } = call;
    const customer = customerOf(world, params.required("customer"), "customer");
    const method = methodOf(world, idOf(call));
    attach(world, method, customer);
    return method;
  }),
  post("/v1/payment_methods/:id/detach", (call) => {
    const method = methodOf(call.world, idOf(call));
    detach(call.world, method);
    return method;
  }),
];
