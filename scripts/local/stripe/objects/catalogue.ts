import type { Plan, Price, Product } from "../core/wire.ts";
import type { Values } from "./values.ts";

/** A product of which nothing else is known. */
export function product(values: Values<Product, "id" | "created" | "name">): Product {
  return {
    object: "product",
    active: true,
    default_price: null,
    description: null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: {},
    package_dimensions: null,
    shippable: null,
    statement_descriptor: null,
    tax_code: null,
    tax_details: null,
    type: "service",
    unit_label: null,
    updated: values.created,
    url: null,
    ...values,
  };
}

/**
 * A price per unit: recurring where `recurring` says how often.
 *
 * @param values `unit_amount` in the currency's smallest unit decides unit_amount_decimal
 */
export function price(
  values: Values<Price, "id" | "created" | "currency" | "product" | "recurring" | "unit_amount">,
): Price {
  return {
    object: "price",
    active: true,
    billing_scheme: "per_unit",
    custom_unit_amount: null,
    livemode: false,
    lookup_key: null,
    metadata: {},
    nickname: null,
    tax_behavior: "unspecified",
    tiers_mode: null,
    transform_quantity: null,
    type: values.recurring ? "recurring" : "one_time",
    unit_amount_decimal: values.unit_amount === null ? null : String(values.unit_amount),
    ...values,
  };
}

/** The older view of a recurring price, under the same id; subscription items still carry it beside the price. */
export function planOf(price: Price): Plan {
  return {
    id: price.id,
    object: "plan",
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval: price.recurring?.interval ?? "month",
    interval_count: price.recurring?.interval_count ?? 1,
    livemode: price.livemode,
    metadata: price.metadata,
    meter: price.recurring?.meter ?? null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: price.tiers_mode,
    transform_usage: null,
    trial_period_days: price.recurring?.trial_period_days ?? null,
    usage_type: price.recurring?.usage_type ?? "licensed",
  };
}
