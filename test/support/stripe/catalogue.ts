import type { Price, Product } from "../../../scripts/local/stripe/core/wire.ts";
import {
  price as priceObject,
  product as productObject,
} from "../../../scripts/local/stripe/objects/catalogue.ts";
import type { Values } from "../../../scripts/local/stripe/objects/values.ts";

/** A product of our examples; `values` replace what matters to a test. */
export function product(values: Values<Product, "id" | "created">): Product {
  return productObject({ name: "Example plan", ...values });
}

/** A monthly price of our examples. `unit_amount` is in minor units and decides unit_amount_decimal. */
export function price(values: Values<Price, "id" | "created" | "product">): Price {
  const unitAmount = values.unit_amount === undefined ? 2900 : values.unit_amount;
  return priceObject({
    currency: "eur",
    recurring: {
      interval: "month",
      interval_count: 1,
      meter: null,
      trial_period_days: null,
      usage_type: "licensed",
    },
    ...values,
    unit_amount: unitAmount,
  });
}
