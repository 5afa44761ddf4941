import { get, post } from "../../service/route.ts";
import { newId } from "../core/ids.ts";
import type { Invoice, ShippingRate } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

function createRate(world: World, params: Params): ShippingRate {
  const fixed = params.child("fixed_amount");
  const amount = fixed?.integer("amount");
  if (!fixed || amount == null) throw missingParam("fixed_amount[amount]");
  return world.store.insert<"shipping_rate">({
    id: newId("shr"),
    object: "shipping_rate",
    active: true,
    created: world.wallSeconds(),
    delivery_estimate: null,
    display_name: params.required("display_name"),
    fixed_amount: { amount, currency: fixed.required("currency").toLowerCase() },
    livemode: false,
    metadata: mergedMetadata({}, params.hash("metadata")),
    tax_behavior: "unspecified",
    tax_code: null,
    type: params.choice("type", ["fixed_amount"]) ?? "fixed_amount",
  });
}

function rateOf(world: World, id: string, param = "id"): ShippingRate {
  const rate = world.store.get("shipping_rate", id);
  if (!rate) throw resourceMissing("shipping rate", id, param);
  return rate;
}

/** What an invoice asks for shipping, untaxed; undefined where nothing is said of it. */
export function shippingCostFrom(world: World, params: Params): Invoice["shipping_cost"] | undefined {
  const cost = params.child("shipping_cost");
  if (!cost) return cost;
  const data = cost.child("shipping_rate_data");
  const rate = data
    ? createRate(world, data)
    : rateOf(world, cost.required("shipping_rate"), "shipping_cost[shipping_rate]");
  const amount = rate.fixed_amount?.amount ?? 0;
  return { amount_subtotal: amount, amount_tax: 0, amount_total: amount, shipping_rate: rate.id, taxes: [] };
}

export const shippingRateRoutes: Route[] = [
  post("/v1/shipping_rates", ({ world, params }) => createRate(world, params)),
  get("/v1/shipping_rates", ({ world, params }) =>
    pageOf(newestFirst(world.store.all("shipping_rate")), params, "/v1/shipping_rates"),
  ),
  get("/v1/shipping_rates/:id", (call) => rateOf(call.world, idOf(call))),
];
