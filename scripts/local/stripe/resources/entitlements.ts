import { del, get, post } from "../../service/route.ts";
import { entitlementsOf, refreshEntitlements } from "../billing/entitlements.ts";
import { newId } from "../core/ids.ts";
import type { Feature } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { pageOf } from "../http/list.ts";
import { mergedMetadata } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

function featureOf(world: World, id: string, param = "id"): Feature {
  const feature = world.store.get("entitlements.feature", id);
  if (!feature) throw resourceMissing("entitlements.feature", id, param);
  return feature;
}

/** A feature was added to or taken from a product: everybody who has the product is told. */
function refreshOwners(world: World, product: string): void {
  const owners = new Set(
    world.store
      .where("subscription", (it) => it.items.data.some((item) => item.price.product === product))
      .map((it) => it.customer),
  );
  for (const customer of owners) refreshEntitlements(world, customer);
}

export const entitlementRoutes: Route[] = [
  post("/v1/entitlements/features", ({ world, params }) => {
    const key = params.required("lookup_key");
    if (world.store.where("entitlements.feature", (it) => it.lookup_key === key)[0]) {
      throw invalidRequest(`A feature with the lookup_key ${key} already exists.`, { param: "lookup_key" });
    }
    return world.store.insert<"entitlements.feature">({
      id: newId("feat"),
      object: "entitlements.feature",
      active: true,
      livemode: false,
      lookup_key: key,
      metadata: mergedMetadata({}, params.hash("metadata")),
      name: params.required("name"),
    });
  }),
  get("/v1/entitlements/features", ({ world, params }) => {
    const key = params.text("lookup_key");
    const found = world.store.where("entitlements.feature", (it) => !key || it.lookup_key === key);
    return pageOf(found.reverse(), params, "/v1/entitlements/features");
  }),
  get("/v1/entitlements/features/:id", (call) => featureOf(call.world, idOf(call))),
  post("/v1/entitlements/features/:id", (call) => {
    const feature = featureOf(call.world, idOf(call));
    feature.name = call.params.text("name") ?? feature.name;
    feature.active = call.params.boolean("active") ?? feature.active;
    feature.metadata = mergedMetadata(feature.metadata, call.params.hash("metadata"));
    return feature;
  }),
  get("/v1/entitlements/active_entitlements", ({ world, params }) => {
    const found = entitlementsOf(world, params.required("customer"));
    return pageOf(found.reverse(), params, "/v1/entitlements/active_entitlements");
  }),
  get("/v1/entitlements/active_entitlements/:id", (call) => {
    const found = call.world.store.get("entitlements.active_entitlement", idOf(call));
    if (!found) throw resourceMissing("entitlements.active_entitlement", idOf(call));
    return found;
  }),
  post("/v1/products/:id/features", (call) => {
    const { world, params } = call;
    const product = world.store.get("product", idOf(call));
    if (!product) throw resourceMissing("product", idOf(call));
    const feature = featureOf(world, params.required("entitlement_feature"), "entitlement_feature");
    const link = world.store.insert<"product_feature">({
      id: newId("prodft"),
      object: "product_feature",
      entitlement_feature: feature,
      livemode: false,
    });
    world.store.hidden.featureProducts.set(link.id, product.id);
    refreshOwners(world, product.id);
    return link;
  }),
  get("/v1/products/:id/features", (call) => {
    const products = call.world.store.hidden.featureProducts;
    const found = call.world.store.where("product_feature", (it) => products.get(it.id) === idOf(call));
    return pageOf(found.reverse(), call.params, `/v1/products/${idOf(call)}/features`);
  }),
  get("/v1/products/:id/features/:feature", (call) => {
    const link = call.world.store.get("product_feature", call.path.feature ?? "");
    if (!link) throw resourceMissing("product_feature", call.path.feature ?? "");
    return link;
  }),
  del("/v1/products/:id/features/:feature", (call) => {
    const link = call.world.store.get("product_feature", call.path.feature ?? "");
    if (!link) throw resourceMissing("product_feature", call.path.feature ?? "");
    const tombstone = call.world.store.delete("product_feature", link.id);
    refreshOwners(call.world, idOf(call));
    return tombstone;
  }),
];
