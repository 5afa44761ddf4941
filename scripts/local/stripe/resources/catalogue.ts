import { del, get, post } from "../../service/route.ts";
import { createPrice, createProduct } from "../billing/catalogue.ts";
import { change, emit } from "../core/events.ts";
import type { Price, Product } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf, pageOfTable } from "../http/list.ts";
import { mergedMetadata, Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";
import { planOf } from "../objects/catalogue.ts";

function productOf(world: World, id: string): Product {
  const product = world.store.get("product", id);
  if (!product) throw resourceMissing("product", id);
  return product;
}

function priceOf(world: World, id: string, what = "price"): Price {
  const price = world.store.get("price", id);
  if (!price) throw resourceMissing(what, id);
  return price;
}

function updateProduct(world: World, product: Product, params: Params): Product {
  const updated = world.wallSeconds();
  change(world, "product.updated", product, (it) => {
    it.name = params.text("name") ?? it.name;
    it.active = params.boolean("active") ?? it.active;
    const texts = [
      "description",
      "statement_descriptor",
      "tax_code",
      "unit_label",
      "url",
      "default_price",
    ] as const;
    for (const name of texts) {
      const value = params.text(name);
      if (value !== undefined) it[name] = value;
    }
    it.images = params.strings("images") ?? it.images;
    it.metadata = mergedMetadata(it.metadata, params.hash("metadata"));
    it.updated = updated;
  });
  return product;
}

function updatePrice(world: World, price: Price, params: Params): Price {
  const plan = planOf(price);
  const changed = change(world, "price.updated", price, (it) => {
    it.active = params.boolean("active") ?? it.active;
    const nickname = params.text("nickname");
    if (nickname !== undefined) it.nickname = nickname;
    const lookupKey = params.text("lookup_key");
    if (lookupKey !== undefined) it.lookup_key = lookupKey;
    it.metadata = mergedMetadata(it.metadata, params.hash("metadata"));
  });
  if (changed && price.recurring)
    change(world, "plan.updated", plan, (it) => Object.assign(it, planOf(price)));
  return price;
}

export const productRoutes: Route[] = [
  post("/v1/products", ({ world, params }) => createProduct(world, params)),
  get("/v1/products", ({ world, params }) => {
    const active = params.boolean("active");
    const ids = params.strings("ids");
    if (ids && (params.has("starting_after") || params.has("ending_before"))) {
      throw invalidRequest("You may not use `ids` with `starting_after` or `ending_before`.", {
        param: "ids",
      });
    }
    return pageOfTable(
      world,
      "product",
      params,
      "/v1/products",
      (it) => (active === undefined || it.active === active) && (!ids || ids.includes(it.id)),
    );
  }),
  get("/v1/products/:id", (call) => productOf(call.world, idOf(call))),
  post("/v1/products/:id", (call) =>
    updateProduct(call.world, productOf(call.world, idOf(call)), call.params),
  ),
  del("/v1/products/:id", (call) => {
    const product = productOf(call.world, idOf(call));
    if (call.world.store.where("price", (it) => it.product === product.id)[0]) {
      throw invalidRequest("This product cannot be deleted because it has one or more user-created prices.");
    }
    const tombstone = call.world.store.delete("product", product.id);
    emit(call.world, "product.deleted", product);
    return tombstone;
  }),
];

export const priceRoutes: Route[] = [
  post("/v1/prices", ({ world, params }) => createPrice(world, params)),
  get("/v1/prices", ({ world, params }) => {
    const active = params.boolean("active");
    const product = params.text("product");
    const currency = params.text("currency");
    const type = params.text("type");
    const keys = params.strings("lookup_keys");
    return pageOfTable(
      world,
      "price",
      params,
      "/v1/prices",
      (it) =>
        (active === undefined || it.active === active) &&
        (!product || it.product === product) &&
        (!currency || it.currency === currency) &&
        (!type || it.type === type) &&
        (!keys || (it.lookup_key !== null && keys.includes(it.lookup_key))),
    );
  }),
  get("/v1/prices/:id", (call) => priceOf(call.world, idOf(call))),
  post("/v1/prices/:id", (call) => updatePrice(call.world, priceOf(call.world, idOf(call)), call.params)),
];

/** Plans are recurring prices under an older name. */
export const planRoutes: Route[] = [
  post("/v1/plans", ({ world, params }) => {
    const product = params.raw("product");
    const owner =
      typeof product === "string"
        ? product
        : createProduct(world, params.child("product") ?? new Params({})).id;
    const amount = params.integer("amount") ?? 0;
    const price = createPrice(
      world,
      new Params({
        currency: params.required("currency"),
        unit_amount: String(amount),
        recurring: {
          interval: params.required("interval"),
          interval_count: params.text("interval_count") ?? "1",
          ...(params.has("trial_period_days")
            ? { trial_period_days: params.text("trial_period_days") ?? "" }
            : {}),
        },
        ...(params.has("nickname") ? { nickname: params.text("nickname") ?? "" } : {}),
        metadata: params.hash("metadata") ?? {},
      }),
      owner,
    );
    return planOf(price);
  }),
  get("/v1/plans", ({ world, params }) => {
    const prices = newestFirst(world.store.where("price", (it) => it.recurring !== null));
    return pageOf(prices.map(planOf), params, "/v1/plans");
  }),
  get("/v1/plans/:id", (call) => planOf(priceOf(call.world, idOf(call), "plan"))),
  post("/v1/plans/:id", (call) =>
    planOf(updatePrice(call.world, priceOf(call.world, idOf(call), "plan"), call.params)),
  ),
  del("/v1/plans/:id", (call) => {
    const price = priceOf(call.world, idOf(call), "plan");
    const plan = planOf(price);
    call.world.store.delete("price", price.id);
    emit(call.world, "plan.deleted", plan);
    emit(call.world, "price.deleted", price);
    return { id: plan.id, object: "plan", deleted: true };
  }),
];
