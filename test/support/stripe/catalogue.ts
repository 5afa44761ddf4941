import type { Plan, Price, Product } from "./wire.ts";

/** A product in the newest API version's shape; `values` replace what matters to a test. */
export function product(values: Partial<Product> & { id: string; created: number }): Product {
  return {
    object: "product",
    active: true,
    default_price: null,
    description: null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: {},
    name: "Example plan",
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

/** A monthly price in the newest shape. `unit_amount` is in minor units and decides unit_amount_decimal. */
export function price(values: Partial<Price> & { id: string; created: number; product: string }): Price {
  const unitAmount = values.unit_amount === undefined ? 2900 : values.unit_amount;
  return {
    object: "price",
    active: true,
    billing_scheme: "per_unit",
    currency: "eur",
    custom_unit_amount: null,
    livemode: false,
    lookup_key: null,
    metadata: {},
    nickname: null,
    recurring: {
      interval: "month",
      interval_count: 1,
      meter: null,
      trial_period_days: null,
      usage_type: "licensed",
    },
    tax_behavior: "unspecified",
    tiers_mode: null,
    transform_quantity: null,
    type: "recurring",
    unit_amount: unitAmount,
    unit_amount_decimal: unitAmount === null ? null : String(unitAmount),
    ...values,
  };
}

/** The older view of a price that subscription items still carry beside it. */
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
