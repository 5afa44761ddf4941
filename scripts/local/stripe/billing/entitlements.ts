import { emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { ActiveEntitlement } from "../core/wire.ts";
import type { World } from "../core/world.ts";

const entitled = new Set<string>(["trialing", "active", "past_due"]);

/** What a customer is entitled to, by the products of their running subscriptions. */
export function entitlementsOf(world: World, customer: string): ActiveEntitlement[] {
  return world.store.where(
    "entitlements.active_entitlement",
    (it) => world.store.hidden.entitlementCustomers.get(it.id) === customer,
  );
}

function featuresOf(world: World, customer: string): Set<string> {
  const features = new Set<string>();
  if (world.store.count("product_feature") === 0) return features;
  const subscriptions = world.store
    .related("subscription", "customer", customer)
    .filter((it) => entitled.has(it.status));
  for (const subscription of subscriptions) {
    for (const item of subscription.items.data) {
      for (const link of world.store.all("product_feature")) {
        if (world.store.hidden.featureProducts.get(link.id) === item.price.product) {
          features.add(link.entitlement_feature.id);
        }
      }
    }
  }
  return features;
}

/** Grant and withdraw entitlements after a subscription changed; says so if anything did. */
export function refreshEntitlements(world: World, customer: string): void {
  const wanted = featuresOf(world, customer);
  const held = entitlementsOf(world, customer);
  const gone = held.filter((it) => !wanted.has(featureId(it)));
  const missing = [...wanted].filter((feature) => !held.some((it) => featureId(it) === feature));
  if (gone.length === 0 && missing.length === 0) return;
  for (const entitlement of gone) world.store.delete("entitlements.active_entitlement", entitlement.id);
  for (const id of missing) {
    const feature = world.store.get("entitlements.feature", id);
    if (!feature) continue;
    const entitlement = world.store.insert<"entitlements.active_entitlement">({
      id: newId("ent"),
      object: "entitlements.active_entitlement",
      feature: feature.id,
      livemode: false,
      lookup_key: feature.lookup_key,
    });
    world.store.hidden.entitlementCustomers.set(entitlement.id, customer);
  }
  const now = entitlementsOf(world, customer);
  const summary = {
    object: "entitlements.active_entitlement_summary",
    customer,
    entitlements: {
      object: "list",
      data: now.slice(0, 10),
      has_more: now.length > 10,
      url: "/v1/entitlements/active_entitlements",
    },
    livemode: false,
  };
  emit(
    world,
    "entitlements.active_entitlement_summary.updated",
    summary,
    { customer },
    { entitlements: { data: JSON.parse(JSON.stringify(held.slice(0, 10))) } },
  );
}

function featureId(entitlement: ActiveEntitlement): string {
  return entitlement.feature;
}
