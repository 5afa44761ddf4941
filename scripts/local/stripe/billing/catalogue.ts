import { emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Price, Product } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { planOf, price as priceObject, product as productObject } from "../objects/catalogue.ts";

const intervals = ["day", "week", "month", "year"] as const;

/** A new product. */
export function createProduct(world: World, params: Params): Product {
  const id = params.text("id") ?? newId("prod").replace("_1L", "_L").slice(0, 19);
  if (world.store.get("product", id)) {
    throw invalidRequest("Product already exists.", { code: "resource_already_exists" });
  }
  const product = world.store.insert<"product">(
    productObject({
      id,
      active: params.boolean("active") ?? true,
      created: world.wallSeconds(),
      description: params.text("description") ?? null,
      images: params.strings("images") ?? [],
      marketing_features: (params.children("marketing_features") ?? []).map((it) => ({
        name: it.required("name"),
      })),
      metadata: mergedMetadata({}, params.hash("metadata")),
      name: params.required("name"),
      shippable: params.boolean("shippable") ?? null,
      statement_descriptor: params.text("statement_descriptor") ?? null,
      tax_code: params.text("tax_code") ?? null,
      unit_label: params.text("unit_label") ?? null,
      url: params.text("url") ?? null,
    }),
  );
  emit(world, "product.created", product);
  const priceData = params.child("default_price_data");
  if (priceData) product.default_price = createPrice(world, priceData, product.id).id;
  return product;
}

function recurringOf(params: Params): Price["recurring"] {
  const recurring = params.child("recurring");
  // The CLI's fixtures send the bracketed name as it is.
  const interval =
    recurring?.choice("interval", intervals) ?? params.choice("recurring[interval]", intervals);
  if (!interval) {
    if (recurring) throw missingParam("recurring[interval]");
    return null;
  }
  return {
    interval,
    interval_count: recurring?.integer("interval_count") ?? 1,
    meter: recurring?.text("meter") ?? null,
    trial_period_days: recurring?.integer("trial_period_days") ?? null,
    usage_type: recurring?.choice("usage_type", ["licensed", "metered"]) ?? "licensed",
  };
}

/** The amount of one unit, given whole or as a decimal. */
function unitAmountOf(params: Params): { unit_amount: number | null; unit_amount_decimal: string | null } {
  const whole = params.integer("unit_amount");
  const decimal = params.text("unit_amount_decimal");
  if (whole === undefined && decimal === undefined) throw missingParam(params.nameOf("unit_amount"));
  const value = whole ?? Number(decimal);
  return {
    unit_amount: Number.isInteger(value) ? value : null,
    unit_amount_decimal: decimal ?? String(value),
  };
}

/**
 * A new price.
 * @param product the product, where the parameters do not name it
 */
export function createPrice(world: World, params: Params, product?: string): Price {
  const recurring = recurringOf(params);
  const productData = product === undefined ? params.child("product_data") : undefined;
  const owner = product ?? (productData ? createProduct(world, productData).id : params.required("product"));
  if (!world.store.get("product", owner)) throw resourceMissing("product", owner, "product");
  const price = world.store.insert<"price">(
    priceObject({
      id: newId("price"),
      active: params.boolean("active") ?? true,
      created: world.wallSeconds(),
      currency: params.required("currency").toLowerCase(),
      lookup_key: params.text("lookup_key") ?? null,
      metadata: mergedMetadata({}, params.hash("metadata")),
      nickname: params.text("nickname") ?? null,
      product: owner,
      recurring,
      tax_behavior: params.choice("tax_behavior", ["exclusive", "inclusive", "unspecified"]) ?? "unspecified",
      ...unitAmountOf(params),
    }),
  );
  emit(world, "price.created", price);
  if (recurring) emit(world, "plan.created", planOf(price));
  return price;
}

/**
 * The price a parameter names (`price`, or the older `plan`), or that `price_data` describes.
 * @throws if it is missing or inactive
 */
export function priceFrom(world: World, params: Params): Price {
  const data = params.child("price_data");
  if (data) return createPrice(world, data);
  const name = params.has("plan") ? "plan" : "price";
  const id = params.required(name);
  const price = world.store.get("price", id);
  if (!price) throw resourceMissing("price", id, params.nameOf(name));
  if (!price.active) {
    throw invalidRequest(`The price specified is inactive. This field only accepts active prices.`, {
      param: params.nameOf(name),
    });
  }
  return price;
}
