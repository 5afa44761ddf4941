import { get, post } from "../../service/route.ts";
import { moveBalance } from "../billing/balances.ts";
import { grantCredit } from "../billing/credits.ts";
import { customerOf } from "../billing/customers.ts";
import { missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

/** What customers owe or are owed, and credit they have bought or been given. */
export const customerBalanceRoutes: Route[] = [
  post("/v1/customers/:id/balance_transactions", (call) => {
    const { world, params } = call;
    const amount = params.integer("amount");
    if (amount == null) throw missingParam("amount");
    return moveBalance(world, customerOf(world, idOf(call)), amount, {
      type: "adjustment",
      currency: params.required("currency").toLowerCase(),
      description: params.text("description") ?? null,
      metadata: mergedMetadata({}, params.hash("metadata")),
    });
  }),
  get("/v1/customers/:id/balance_transactions", (call) => {
    const { id } = customerOf(call.world, idOf(call));
    const found = call.world.store.where("customer_balance_transaction", (it) => it.customer === id);
    return pageOf(newestFirst(found), call.params, `/v1/customers/${id}/balance_transactions`);
  }),
  post("/v1/billing/credit_grants", ({ world, params }) =>
    grantCredit(world, customerOf(world, params.required("customer"), "customer"), params),
  ),
  get("/v1/billing/credit_grants", ({ world, params }) => {
    const customer = params.text("customer");
    const found = world.store.where("billing.credit_grant", (it) => !customer || it.customer === customer);
    return pageOf(newestFirst(found), params, "/v1/billing/credit_grants");
  }),
  get("/v1/billing/credit_grants/:id", (call) => {
    const grant = call.world.store.get("billing.credit_grant", idOf(call));
    if (!grant) throw resourceMissing("billing.credit_grant", idOf(call));
    return grant;
  }),
];
